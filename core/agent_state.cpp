// SPDX-License-Identifier: Apache-2.0
#include "agent_state.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <utility>

#include "log.hpp"
#include "thread_time.hpp"

namespace limpet {
namespace {

constexpr int kEmptyBatches = 5;
constexpr uint64_t kLevelBits = 15; // of the control word
constexpr uint64_t kEndedLease = 1; // jiffies: long ago

constexpr int kAgeShift = 8; // of jiffies: limpet_connection.last_used

constexpr uint64_t kFewestTimedRuns = 20; // for a new average

void log_state(const Probe& probe)
{
    const std::string state = to_string(probe.state());
    if (probe.state() == ProbeState::kActive)
        log(LogLevel::kInfo, probe.name(), state + ", version " + probe.manifest().version);
    else
        log(probe.state() == ProbeState::kDegraded ? LogLevel::kWarn : LogLevel::kError, probe.name(),
            state + ": " + probe.reason());
}

// BPF programs run between two grace periods of RCU; the kernel lets this call return after a whole one. Where it does not (CPUs
// without a tick), the time since the last call of forget() has to do.
void wait_for_running_programs()
{
    (void)::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0);
}

} // namespace

// Parsers that do not count their runs themselves: the runs of the tap that were timed stand for all.
void AgentState::add_parsers(std::vector<MeteredProgram>& programs) const
{
    const Tap::Times times = tap.times();
    for (const auto& probe : probes) {
        const uint32_t number = probe->parser_number();
        const std::string name = probe->program_in("limpet/stream");
        const bool is_known = std::any_of(programs.begin(), programs.end(), [&](const MeteredProgram& program) {
            return program.plugin == probe->name() && program.program == name;
        });
        if (number != 0 && !name.empty() && !is_known)
            programs.push_back({probe->name(), name, -1, times.streams[number] * Tap::kTimedOneIn, true});
    }
}

std::vector<MeteredProgram> AgentState::metered_programs() const
{
    std::vector<MeteredProgram> programs;
    const auto add = [&](const std::string& plugin, const KernelStats& stats) {
        for (const CountedProgram& program : stats.programs())
            programs.push_back({plugin, program.name, program.fd, stats.runs(program), program.is_tail_called});
    };
    add(kCorePlugin, tap.stats());
    for (const auto& probe : probes)
        add(probe->name(), probe->stats());
    add_parsers(programs);
    return programs;
}

void AgentState::note_costs()
{
    std::map<std::string, CostSoFar> costs;
    for (const MeteredProgram& program : charge()) {
        costs[program.plugin].runs += program.runs;
        costs[program.plugin].is_measured |= cost.seconds(program.plugin, program.program).has_value();
    }
    for (const auto& probe : probes)
        costs.try_emplace(probe->name(), CostSoFar{0, 0, 0, true}); // no BPF programs: nothing to measure
    for (auto& [plugin, so_far] : costs) {
        so_far.kernel_seconds = cost.total_seconds(plugin);
        so_far.hook_seconds = cost.total_hook_seconds(plugin);
    }
    for (const auto& probe : probes)
        costs[probe->name()].user_seconds = probe->user_seconds();
    rates.note(std::chrono::steady_clock::now(), std::move(costs));
}

// Whom the tap calls, by the runs that it has timed.
TapShare AgentState::tap_share()
{
    const Tap::Times now = tap.times();
    if (now.runs >= last_times.runs + kFewestTimedRuns) {
        own_ns_per_run =
            static_cast<double>(now.own_ns - last_times.own_ns) / static_cast<double>(now.runs - last_times.runs);
        last_times = now;
    }
    TapShare share{std::max(0.0, own_ns_per_run - cost.clock_ns()), {}};
    const auto add = [&](const std::string& plugin, const std::string& program, uint64_t calls) {
        if (calls && !program.empty())
            share.calls.push_back({plugin, program, static_cast<double>(calls) / static_cast<double>(now.runs)});
    };
    add(kCorePlugin, "tap_open", now.streams[0]);
    for (const auto& probe : probes) {
        if (const uint32_t number = probe->parser_number())
            add(probe->name(), probe->program_in("limpet/stream"), now.streams[number]);
        if (const uint32_t number = probe->datagram_parser_number())
            add(probe->name(), probe->program_in("limpet/datagram"), now.datagrams[number]);
    }
    return share;
}

std::vector<MeteredProgram> AgentState::charge()
{
    std::vector<MeteredProgram> programs = metered_programs();
    cost.charge(programs);
    cost.attribute(tap_share());
    return programs;
}

void AgentState::end_cost_window()
{
    for (int batch = 0; batch < kEmptyBatches; ++batch) {
        tap.run_empty_program();
        cost.note_empty_runs();
    }
    cost.end_window(metered_programs());
}

uint64_t AgentState::kernel_memory_bytes() const
{
    uint64_t total = tap.kernel_memory_bytes();
    for (const auto& probe : probes)
        total += probe->kernel_memory_bytes();
    return total;
}

std::vector<LimitUse> AgentState::limit_uses() const
{
    uint64_t series = 0;
    for (const auto& probe : probes)
        series += probe->series();
    const auto use = [](const char* key, uint64_t used, const Limit& limit) {
        return LimitUse{key, static_cast<double>(used), static_cast<double>(limit.value)};
    };
    return {{"agent_cpu", budget.used(), budget.limit()},
            {"kernel_cpu", governor.used(), governor.limit()},
            use("memory", memory.used_bytes(), limits.memory),
            use("kernel_memory", kernel_memory_bytes(), limits.kernel_memory),
            use("series", series, limits.series)};
}

// Of kernel_memory: what runs goes on.
void AgentState::set_limits(const LimitsConfig& config)
{
    limits = config;
    memory.set_limit(config.memory.value);
    budget.set_limit(config.agent_cpu);
    governor.set_limit(config.kernel_cpu, config.may_pause);
}

void AgentState::start_probe(Probe& probe, const AgentConfig& agent)
{
    std::vector<std::string> taken;
    for (const auto& other : probes)
        if (other.get() != &probe && other->is_running())
            for (std::string& name : other->metric_names())
                taken.push_back(std::move(name));
    const KernelMemoryRoom room{limits.kernel_memory.value, kernel_memory_bytes()};
    probe.start({agent, tap, cgroup_root.get(), std::move(taken), room});
    command(probe.stats());
    log_state(probe);
    probe.follow_level(shed_level());
}

void AgentState::reopen_rings()
{
    rings = Rings();
    Result<Rings> opened = Rings::open(probes);
    if (opened)
        rings = std::move(*opened);
    else
        log(LogLevel::kError, "agent", opened.error().text + "; events are not read");
}

void AgentState::drain()
{
    const Rings::Drained drained = rings.drain(budget.allowance(std::chrono::steady_clock::now()));
    budget.spend(drained.seconds, drained.has_ended_early);
    event_seconds += drained.seconds;
    for (const auto& probe : probes)
        probe->settle();
    workloads.refresh();
}

// The words by which programs know what they may do.
void AgentState::command(KernelStats& stats) const
{
    const uint64_t control = sample.control() | uint64_t{era} << 8;
    stats.set_control((control & ~kLevelBits) | (shed_level() & kLevelBits));
    stats.set_lease(governor.level() == level::kPaused ? kEndedLease : lease.until_jiffies());
}

void AgentState::command_all()
{
    command(tap.stats());
    for (const auto& probe : probes)
        command(probe->stats());
}

// Attached last: a program that goes on knows at once that it has rested.
void AgentState::command_level(uint32_t before)
{
    const uint32_t now = shed_level();
    const bool has_rested = std::any_of(probes.begin(), probes.end(), [&](const auto& probe) {
        return probe->resting_programs().any_goes_on(before, now);
    });
    if (has_rested || (before >= level::kNoDurations && now < level::kNoDurations) || before == level::kPaused)
        ++era; // what programs have noted before has a gap behind it
    command_all();
    for (const auto& probe : probes)
        probe->follow_level(now);
}

uint32_t AgentState::shed_level() const
{
    return std::max(governor.level(), budget.shed() == AgentBudget::Shed::kNothing ? level::kAll : level::kNoEvents);
}

void AgentState::budget_events()
{
    EventWork work{ThreadTime::of_process(), event_seconds, 0, 0};
    for (const auto& probe : probes) {
        work.sent += probe->stats().total(KernelStat::kEmitted);
        work.left_out += probe->stats().total(KernelStat::kSampledOut);
    }
    const AgentBudget::Shed before = budget.shed();
    const uint32_t level_before = shed_level();
    if (!budget.step(std::chrono::steady_clock::now(), work))
        return;
    char figures[96];
    std::snprintf(figures, sizeof(figures),
                  "limits.agent_cpu is %.2f %% of a core, %.2f %% used: ", budget.limit() * 100, budget.used() * 100);
    log(budget.shed() > before ? LogLevel::kWarn : LogLevel::kInfo, "agent", figures + budget.description());
    command_level(level_before);
}

void AgentState::change_level(uint32_t before)
{
    const uint32_t now = governor.level();
    char figures[96];
    std::snprintf(figures, sizeof(figures), "limits.kernel_cpu is %.2f %% of a core, %.2f %% used: level %u, ",
                  governor.limit() * 100, governor.used() * 100, now);
    log(now > before ? LogLevel::kWarn : LogLevel::kInfo, "agent", figures + description_of(now));
    if (before == level::kPaused)
        paused_connections += tap.forget_all_connections();
    sample.set_level(now, tap.connections(), governor.connections(), std::chrono::steady_clock::now());
    has_said_exhausted = false;
    cost.expect_change();
    command_level(before);
}

double AgentState::recent_share() const
{
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - governed_at;
    return cost.recent_seconds() / passed.count();
}

bool AgentState::is_near_limit()
{
    charge();
    return governor.is_near(recent_share());
}

// What programs cost that rest where details are left out.
double AgentState::resting_share(double seconds) const
{
    double spent = 0;
    for (const auto& probe : probes)
        for (const std::string& program : probe->resting_programs().at(level::kNoDurations))
            spent += cost.recent_seconds(probe->name(), program);
    return spent / seconds;
}

void AgentState::govern()
{
    charge();
    const auto now = std::chrono::steady_clock::now();
    const double seconds = std::chrono::duration<double>(now - std::exchange(governed_at, now)).count();
    const double rests = resting_share(seconds);
    const double used = cost.take_recent_seconds() / seconds;
    const uint64_t runs = tap.stats().total(KernelStat::kRuns0);
    const double rate = static_cast<double>(runs - std::exchange(governed_runs, runs)) / seconds;
    const uint32_t before = governor.level();
    if (governor.step(now, {used, rate, number_of_connections(used), rests}) != before)
        change_level(before);
    else if (weight_of(governor.level()) > 1 &&
             sample.step(tap.connections(), now)) // the table: 4 MB once it is mapped
        command_all();
    if (governor.is_exhausted() && !std::exchange(has_said_exhausted, true))
        log(LogLevel::kWarn, "agent",
            "limits.kernel_cpu is not kept: nothing more can be left out, " +
                std::to_string(std::lround(governor.connections())) +
                " ends of connections are too few for a smaller sample");
}

// With requests in the last epoch; not looked for where no limit is near.
double AgentState::number_of_connections(double share)
{
    const Result<uint64_t> now = tap.jiffies();
    if (!now || !governor.is_near(share))
        return 0;
    const uint64_t epoch = static_cast<uint64_t>(ConnectionSample::kEpoch.count()) * jiffies_per_second();
    return sample.number_of(tap.connections(), static_cast<uint16_t>(*now >> kAgeShift),
                            static_cast<uint16_t>(epoch >> kAgeShift));
}

// In this order: while programs rest, nothing is written to a connection that is being forgotten.
void AgentState::resume()
{
    ++era;
    const uint32_t forgotten = tap.forget_all_connections();
    paused_connections += forgotten;
    log(LogLevel::kWarn, "agent",
        "was held up for longer than limits.lease; its BPF programs have rested. Connections that begin anew: " +
            std::to_string(forgotten));
}

void AgentState::renew_lease()
{
    const Result<uint64_t> now = tap.jiffies();
    if (!now) { // without a clock there is no lease: programs go on as they did
        if (!std::exchange(has_complained_of_lease, true))
            log(LogLevel::kWarn, "agent", now.error().text + "; limits.lease is not kept");
        return;
    }
    const bool has_rested = !lease.holds(*now);
    if (has_rested)
        resume();
    lease.renew(*now);
    command_all();
    if (has_rested)
        tap.adopt_again(); // sockets that were made meanwhile
}

void AgentState::forget(std::chrono::milliseconds after)
{
    const auto now = std::chrono::steady_clock::now();
    std::vector<bool> has_rows(Workloads::kLimit);
    const auto has_taken = [](const auto& probe) { return probe->has_taken_rows(); };
    if (workloads.has_given_back() || std::any_of(probes.begin(), probes.end(), has_taken))
        wait_for_running_programs();
    workloads.find_ended(now);
    for (const auto& probe : probes) {
        probe->forget(workloads, now, after);
        probe->mark_workloads(has_rows);
    }
    if (const Done forgotten = workloads.forget(now, after, has_rows); !forgotten)
        log(LogLevel::kError, "agent", forgotten.error().text);
}

void AgentState::tick()
{
    note_costs();
    memory.look(std::chrono::steady_clock::now());
    budget_events();
    for (const auto& probe : probes) {
        probe->follow_level(shed_level()); // again, where it has failed
        probe->tick();
    }
    if (const Done followed = tap.follow_moves(); !followed && !std::exchange(has_complained_of_moves, true))
        log(LogLevel::kWarn, "agent",
            followed.error().text + "; a process that is moved to another cgroup goes on counting for the old one");
}

} // namespace limpet
