// SPDX-License-Identifier: Apache-2.0
//
// The keys that the agent itself knows: [agent], and those that every [plugins.<name>] has. Pure functions; no threads.
#pragma once

#include <filesystem>

#include "config.hpp"
#include "table_reader.hpp"

namespace limpet {

// Overwrites what the table sets. Paths that are not absolute are seen from `directory`, the configuration file's own.
void read_agent(TableReader& table, const std::filesystem::path& directory, AgentConfig& agent);

// The same for the common keys of a probe's table.
void read_common_probe_keys(TableReader& table, const std::filesystem::path& directory, ProbeConfig& probe);

// Whether a probe may have this name: [a-z][a-z0-9_]{0,31}.
[[nodiscard]] bool is_probe_name(const std::string& name);

// The keys that every [plugins.<name>] has, which a probe must not declare again.
[[nodiscard]] std::vector<std::string> common_probe_keys();

} // namespace limpet
