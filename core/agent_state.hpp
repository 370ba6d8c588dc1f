// SPDX-License-Identifier: Apache-2.0
//
// What the agent is made of while it runs: shared by the main loop, which changes it, and the HTTP server, which reads it.
//
// Owner: run_agent(). Everything below is guarded by `mutex`; the server takes it for the length of one scrape, the loop
// for one drain. Counting goes on in the kernel all the while.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "container_names.hpp"
#include "cost_meter.hpp"
#include "owned_fd.hpp"
#include "probe.hpp"
#include "rings.hpp"
#include "tap.hpp"
#include "workloads.hpp"

namespace limpet {

inline constexpr const char* kCorePlugin = "core"; // the tap, in metrics by plugin

struct AgentState {
    AgentState(Tap loaded_tap, Workloads its_workloads, const NamesConfig& names)
        : container_names(names), tap(std::move(loaded_tap)), workloads(std::move(its_workloads))
    {
        workloads.set_container_names(container_names);
    }

    std::mutex mutex;
    ContainerNames container_names; // before workloads, which ask it
    Tap tap;
    Workloads workloads;
    OwnedFd cgroup_root;
    std::vector<std::unique_ptr<Probe>> probes; // the enabled ones, in the order of the file; after tap: they go first
    Rings rings;                                // after probes
    CostMeter cost;
    std::chrono::duration<double> last_scrape{0};
    bool has_complained_of_moves = false;

    // REQUIRES, for all of these: mutex is held.
    [[nodiscard]] std::vector<MeteredProgram> metered_programs() const;
    // Starts one of `probes` and logs what came of it.
    void start_probe(Probe& probe, const AgentConfig& agent);
    // After probes have come or gone.
    void reopen_rings();
    // Hands out events and looks up new workloads.
    void drain();
    // Once a second: what probes do as time passes.
    void tick();
};

} // namespace limpet
