// SPDX-License-Identifier: Apache-2.0
//
// Shell commands for tests: what one printed, and whether it went well. One thread.
#pragma once

#include <array>
#include <cstdio>
#include <string>

namespace limpet::test {

struct CommandResult {
    int status = -1; // as of waitpid; 0 is success
    std::string output;
};

// Runs `command` by sh and reads its standard output to the end.
inline CommandResult run(const std::string& command)
{
    CommandResult result;
    FILE* pipe = popen(command.c_str(), "r");
    if (!pipe)
        return result;
    std::array<char, 4096> part{};
    while (const size_t length = fread(part.data(), 1, part.size(), pipe))
        result.output.append(part.data(), length);
    result.status = pclose(pipe);
    return result;
}

inline std::string output_of(const std::string& command)
{
    return run(command).output;
}

} // namespace limpet::test
