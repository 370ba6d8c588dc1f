// SPDX-License-Identifier: Apache-2.0
//
// The commands of the command line besides `run`: what they print and the exit code they end with (agent.hpp).
//
// None needs root or touches the kernel, and none runs code of a probe. Called once by main(); results go to `out`,
// what keeps a command from its work to `errors`.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace limpet {

inline constexpr int kExitUsage = 2;

// Prints every problem of the configuration, of the probes' files and of their keys, what this host lacks, and a
// summary.
[[nodiscard]] int check_command(const std::filesystem::path& config_file, std::ostream& out,
                                bool is_loaded_next = false);

// One row for each probe that is configured or lies in the plugin directory.
[[nodiscard]] int list_command(const std::filesystem::path& config_file, std::ostream& out, std::ostream& errors);

// What a probe's file says about itself. Files of any owner, since they are only read.
[[nodiscard]] int info_command(const std::filesystem::path& plugin_file, std::ostream& out, std::ostream& errors);

} // namespace limpet
