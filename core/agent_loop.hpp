// SPDX-License-Identifier: Apache-2.0
//
// What the main thread does while the agent serves: drains, measures, reloads, until it is told to stop.
#pragma once

#include <filesystem>

#include "agent_state.hpp"
#include "config.hpp"
#include "stop_signals.hpp"

namespace limpet {

// Returns the signal that ended it. `config` follows reloads.
int run_loop(AgentState& state, Config& config, const std::filesystem::path& config_file, const StopSignals& signals);

} // namespace limpet
