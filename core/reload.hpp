// SPDX-License-Identifier: Apache-2.0
//
// What a new configuration means for a running agent: which probes start, stop, start anew, or take new values.
//
// plan_reload() compares, apply_reload() acts. Main thread only.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "agent_state.hpp"
#include "config.hpp"

namespace limpet {

struct ReloadPlan {
    std::vector<std::string> stop;          // no longer enabled
    std::vector<std::string> start;         // newly enabled
    std::vector<std::string> replace;       // another file or table size: has to start anew
    std::vector<std::string> change;        // own keys differ: starts anew unless it can take them while it runs
    std::vector<std::string> accept;        // only `accept` differs
    std::vector<std::string> needs_restart; // keys of [agent], and [names], that a running agent cannot change
};

[[nodiscard]] ReloadPlan plan_reload(const Config& old_config, const Config& new_config);

// Every mistake that only the probes' files can tell; without any, what limits leave each probe has been set. A probe whose file cannot be read has none here: it fails on its own.
[[nodiscard]] std::vector<ConfigProblem> check_probe_configs(Config& config);

// Reads the file again. With problems the old configuration stays in force, and all of them are logged; else `config` becomes
// the new one. REQUIRES: the state's mutex is not held.
void reload(AgentState& state, Config& config, const std::filesystem::path& file);

} // namespace limpet
