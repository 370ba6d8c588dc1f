// SPDX-License-Identifier: Apache-2.0
//
// Structured log lines on stderr: "time level component: text key=value …". Thread-safe.
//
// A thin face over spdlog so that the rest of the agent names neither it nor its macros.
#pragma once

#include <string>

namespace limpet {

enum class LogLevel { kDebug, kInfo, kWarn, kError };

// Sets what is written; the default is kInfo. `name` is one of debug, info, warn, error (checked by the config).
void set_log_level(const std::string& name);

// One line. `component` is "agent" or a probe's name.
void log(LogLevel level, const std::string& component, const std::string& text);

} // namespace limpet
