// SPDX-License-Identifier: Apache-2.0
//
// One HTTP GET over a Unix socket: what container runtimes listen on. Blocks, for a limited time; any thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

#include "result.hpp"

namespace limpet {

struct RequestLimits {
    std::chrono::milliseconds time{2000}; // from connect to the answer's last byte
    size_t body_bytes = 4 << 20;
};

// The body of a 200. The Error names the socket and says what went wrong: nobody listens, no permission, too slow, too
// large, not HTTP, another status. Ends at once, with ECANCELED, when `stop_fd` becomes readable.
[[nodiscard]] Result<std::string> get_over_socket(const std::filesystem::path& socket, const std::string& target,
                                                  int stop_fd, const RequestLimits& limits = {});

} // namespace limpet
