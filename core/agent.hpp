// SPDX-License-Identifier: Apache-2.0
//
// The life of the agent, from the first check of the host to the last probe's end. Called once by main().
#pragma once

#include <filesystem>

#include "config.hpp"

namespace limpet {

enum class RunMode {
    kServe,    // until SIGTERM or SIGINT; SIGHUP reads the configuration again
    kLoadOnly, // loads and attaches everything, says what came of it on stdout, detaches
};

// The process's exit codes, as documented.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailure = 1;   // could not start or go on; kLoadOnly: a probe is not healthy
inline constexpr int kExitBadConfig = 3; // a probe's keys do not fit its manifest
inline constexpr int kExitCannotRunHere = 4;

// `config` has been parsed from `config_file` without problems. Returns the exit code; everything has been logged.
[[nodiscard]] int run_agent(Config config, const std::filesystem::path& config_file, RunMode mode);

} // namespace limpet
