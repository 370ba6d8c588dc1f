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

#include "agent_budget.hpp"
#include "connection_sample.hpp"
#include "container_names.hpp"
#include "cost_meter.hpp"
#include "cost_rates.hpp"
#include "governor.hpp"
#include "lease.hpp"
#include "memory_watch.hpp"
#include "owned_fd.hpp"
#include "probe.hpp"
#include "rings.hpp"
#include "tap.hpp"
#include "workloads.hpp"

namespace limpet {

inline constexpr const char* kCorePlugin = "core"; // the tap, in metrics by plugin

// What there is of something that has, or may have, a limit.
struct LimitUse {
    std::string limit; // its key in [limits]
    double used = 0;
    double allowed = 0; // 0: no limit
};

struct AgentState {
    AgentState(Tap loaded_tap, Workloads its_workloads, const Config& config)
        : container_names(config.names), tap(std::move(loaded_tap)), workloads(std::move(its_workloads)),
          limits(config.limits), memory(config.limits.memory.value), lease(config.limits.lease, jiffies_per_second()),
          governor(config.limits.kernel_cpu, config.limits.may_pause), budget(config.limits.agent_cpu)
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
    Tap::Times last_times{}; // of the tap, when they were last asked for
    double own_ns_per_run = 0;
    CostRates rates;
    LimitsConfig limits; // as of now, but for the lease
    MemoryWatch memory;
    Lease lease;
    Governor governor;
    ConnectionSample sample;
    AgentBudget budget;
    double event_seconds = 0;
    std::chrono::steady_clock::time_point governed_at{};
    uint64_t governed_runs = 0; // of the tap, then
    bool has_said_exhausted = false;
    uint8_t era = 0;                 // programs have rested so many times
    uint64_t paused_connections = 0; // that were forgotten for it
    std::chrono::duration<double> last_scrape{0};
    bool has_complained_of_moves = false;
    bool has_complained_of_lease = false;

    // REQUIRES, for all of these: mutex is held.
    [[nodiscard]] std::vector<MeteredProgram> metered_programs() const;
    // Brings what every program has cost up to date; these programs.
    std::vector<MeteredProgram> charge();
    void end_cost_window();
    // kernel_cpu (of a core), memory, kernel_memory (bytes), series.
    [[nodiscard]] std::vector<LimitUse> limit_uses() const;
    [[nodiscard]] uint64_t kernel_memory_bytes() const;
    void set_limits(const LimitsConfig& config);
    // Starts one of `probes` and logs what came of it.
    void start_probe(Probe& probe, const AgentConfig& agent);
    // After probes have come or gone.
    void reopen_rings();
    // Hands out events and looks up new workloads.
    void drain();
    // Before anything else that is due. After a time in which the agent could not, programs have rested: what they
    // remember is void.
    void renew_lease();
    // Takes back the rows and the numbers of workloads that ended `after` ago.
    void forget(std::chrono::milliseconds after);
    // Once a second: what probes do as time passes.
    void tick();
    // Keeps limits.kernel_cpu: by the runs since the last call at the prices of now.
    void govern();
    // So near to that limit that govern() wants prices that are new. By old ones.
    [[nodiscard]] bool is_near_limit();
    // How much is left out: the higher of what both limits of CPU time ask for.
    [[nodiscard]] uint32_t shed_level() const;

private:
    [[nodiscard]] TapShare tap_share();
    void add_parsers(std::vector<MeteredProgram>& programs) const;
    void resume();
    void note_costs();
    [[nodiscard]] double recent_share() const;
    [[nodiscard]] double resting_share(double seconds) const;
    [[nodiscard]] double number_of_connections(double share);
    void change_level(uint32_t before);
    void command_all();
    void command_level(uint32_t before);
    void budget_events();
    void command(KernelStats& stats) const;
};

} // namespace limpet
