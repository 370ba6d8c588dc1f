// SPDX-License-Identifier: Apache-2.0
//
// Where probes live on disk and which file belongs to which [plugins.<name>] table. Pure look-ups; no threads, no
// state.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "config.hpp"
#include "plugin_file.hpp"
#include "result.hpp"

namespace limpet {

// agent.plugin_dir, or `plugins/` beside the executable when it is there (a build tree), else
// `../lib/limpet/plugins` seen from the executable (an installation). Absolute.
[[nodiscard]] std::filesystem::path plugin_directory(const AgentConfig& agent);

// The file of a probe: its `path`, or <plugin_directory>/<name>.so. Absolute.
[[nodiscard]] std::filesystem::path plugin_path(const AgentConfig& agent, const ProbeConfig& probe);

// The names of the probes in a directory: every "<name>.so" whose name could stand in [plugins.<name>], sorted.
[[nodiscard]] std::vector<std::string> plugins_in(const std::filesystem::path& directory);

// open_plugin() for a configured probe: a missing file is reported with the names that are there, and the manifest's
// name must be the table's.
[[nodiscard]] Result<PluginFile> open_configured_plugin(const AgentConfig& agent, const ProbeConfig& probe);

} // namespace limpet
