// SPDX-License-Identifier: Apache-2.0
//
// Everything that /metrics shows: the probes' series, limpet_* about the agent's own work, process_*.
//
// Owner: run_agent(); the HTTP server's threads call Collect(), which takes the agent's mutex.
#pragma once

#include <vector>

#include <prometheus/collectable.h>
#include <prometheus/metric_family.h>

#include "agent_state.hpp"

namespace limpet {

class Exporter : public prometheus::Collectable {
public:
    explicit Exporter(AgentState& state) : state_(state) {}

    [[nodiscard]] std::vector<prometheus::MetricFamily> Collect() const override;

private:
    AgentState& state_;
};

} // namespace limpet
