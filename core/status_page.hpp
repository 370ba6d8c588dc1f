// SPDX-License-Identifier: Apache-2.0
//
// The pages for people and for health checks: / and /healthz. Made from the agent's state, under its mutex.
#pragma once

#include <string>
#include <string_view>

#include "agent_state.hpp"
#include "http_pages.hpp"

namespace limpet {

// Plain HTML: version, probes with state and reason, their cost, workloads.
[[nodiscard]] HttpPage status_page(AgentState& state);

// 200 "ok" when every enabled probe is active or in a state that its `accept` names, else 503 and a line for each that is not.
[[nodiscard]] HttpPage health_page(AgentState& state);

[[nodiscard]] std::string html_escaped(std::string_view text);

} // namespace limpet
