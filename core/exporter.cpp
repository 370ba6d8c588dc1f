// SPDX-License-Identifier: Apache-2.0
#include "exporter.hpp"

#include "limpet/abi.h"
#include "process_metrics.hpp"

namespace limpet {
namespace {

void add_identity(const AgentState& state, Families& families)
{
    const std::string abi = std::to_string(LIMPET_ABI_MAJOR) + "." + std::to_string(LIMPET_ABI_MINOR);
    families.add("limpet_build_info", MetricKind::kGauge, "Version of the agent and of its plugin interface; always 1.",
                 {{"version", LIMPET_VERSION}, {"abi", abi}}, 1);
    for (const auto& probe : state.probes)
        families.add("limpet_plugin_info", MetricKind::kGauge, "Enabled probes and their versions; always 1.",
                     {{"plugin", probe->name()}, {"version", probe->manifest().version}}, 1);
}

void add_states(const AgentState& state, Families& families)
{
    for (const auto& probe : state.probes)
        for (const ProbeState candidate : kProbeStates)
            families.add(
                "limpet_plugin_state", MetricKind::kGauge, "State of each enabled probe: 1 for the current one.",
                {{"plugin", probe->name()}, {"state", to_string(candidate)}}, probe->state() == candidate ? 1 : 0);
}

void add_programs(AgentState& state, Families& families)
{
    for (const MeteredProgram& program : state.charge()) {
        const Labels labels = {{"plugin", program.plugin}, {"program", program.program}};
        families.add("limpet_program_runs_total", MetricKind::kCounter, "Runs of limpet's BPF programs.", labels,
                     static_cast<double>(program.runs));
        if (const auto seconds = state.cost.seconds(program.plugin, program.program))
            families.add("limpet_kernel_seconds_total", MetricKind::kCounter,
                         "CPU time of limpet's BPF programs: their runs times the cost of one, measured in short "
                         "windows, without "
                         "what measuring costs. Parsers have their part of the core's tap, which calls them.",
                         labels, *seconds);
        if (const auto seconds = state.cost.hook_seconds(program.plugin, program.program))
            families.add("limpet_hook_seconds_total", MetricKind::kCounter,
                         "CPU time of the way into limpet's BPF programs and out of them, which no program can see: an "
                         "estimate, their runs times what an empty one is expected to cost on this host. Not in "
                         "limpet_kernel_seconds_total.",
                         labels, *seconds);
    }
}

void add_user_time(AgentState& state, Families& families)
{
    for (const auto& probe : state.probes) {
        const Labels labels = {{"plugin", probe->name()}};
        families.add("limpet_user_seconds_total", MetricKind::kCounter,
                     "CPU time of the agent itself for a probe: its events, its part of scrapes.", labels,
                     probe->user_seconds());
        if (const auto fill = state.rings.take_peak_fill(*probe))
            families.add("limpet_ring_fill_ratio", MetricKind::kGauge,
                         "How full a probe's ring of events was at most since the last scrape; at 1 events are lost.",
                         labels, *fill);
    }
}

void add_limits(const AgentState& state, Families& families)
{
    const uint32_t level = state.shed_level();
    const double sampled = level == level::kPaused ? 0 : 1.0 / weight_of(level);
    families.add("limpet_shed_level", MetricKind::kGauge,
                 "How much is left out so that limits are kept: 0 nothing, 1 to 5 details, 6 to 12 connections are "
                 "sampled, 15 paused. Counts are exact below 6.",
                 {}, level);
    for (const auto& probe : state.probes)
        if (probe->parser_number())
            families.add("limpet_sampling_ratio", MetricKind::kGauge,
                         "Part of the connections that is followed. Counts have its inverse as weight.",
                         {{"plugin", probe->name()}}, sampled);
    families.add("limpet_sampling_error_ratio", MetricKind::kGauge,
                 "Expected relative error (standard deviation) of the number of requests over the last minute, where "
                 "connections were sampled; else 0.",
                 {}, state.sample.relative_error(std::chrono::steady_clock::now()));
    for (const LimitUse& use : state.limit_uses())
        if (use.allowed > 0)
            families.add("limpet_limit_ratio", MetricKind::kGauge, "What is used of a limit; above 1 it is not kept.",
                         {{"limit", use.limit}}, use.used / use.allowed);
}

void add_memory(const AgentState& state, Families& families)
{
    const auto add = [&](const std::string& plugin, uint64_t bytes) {
        families.add("limpet_kernel_memory_bytes", MetricKind::kGauge,
                     "Kernel memory of BPF maps and programs, without per-socket storage.", {{"plugin", plugin}},
                     static_cast<double>(bytes));
    };
    add(kCorePlugin, state.tap.kernel_memory_bytes());
    for (const auto& probe : state.probes)
        add(probe->name(), probe->kernel_memory_bytes());
}

void add_events(const AgentState& state, Families& families)
{
    for (const auto& probe : state.probes)
        for (const auto& [outcome, stat] :
             {std::pair("emitted", KernelStat::kEmitted), std::pair("dropped", KernelStat::kDropped),
              std::pair("sampled_out", KernelStat::kSampledOut)})
            families.add("limpet_events_total", MetricKind::kCounter,
                         "Events for user space: sent, lost in a full ring, left out by the sampling ratio.",
                         {{"plugin", probe->name()}, {"outcome", outcome}},
                         static_cast<double>(probe->stats().total(stat)));
}

void add_series(const AgentState& state, Families& families)
{
    for (const auto& probe : state.probes) {
        const Labels labels = {{"plugin", probe->name()}};
        families.add("limpet_series", MetricKind::kGauge, "Combinations of labels in use.", labels, probe->series());
        families.add("limpet_series_limit", MetricKind::kGauge,
                     "Combinations of labels that fit; further ones are counted as \"other\".", labels,
                     probe->series_limit());
        families.add("limpet_series_overflow_total", MetricKind::kCounter,
                     "Times that a new combination of labels found no room.", labels,
                     static_cast<double>(probe->series_overflows()));
    }
}

// The same counter in the tap and in every probe.
double everywhere(const AgentState& state, KernelStat stat)
{
    uint64_t total = state.tap.stats().total(stat);
    for (const auto& probe : state.probes)
        total += probe->stats().total(stat);
    return static_cast<double>(total);
}

void add_losses(const AgentState& state, Families& families)
{
    families.add("limpet_connections_evicted_total", MetricKind::kCounter,
                 "Connections whose state was displaced by another's while a request was in flight.", {},
                 everywhere(state, KernelStat::kEvicted));
    for (const auto& [reason, stat] :
         {std::pair("encrypted", KernelStat::kUnseenEncrypted),
          std::pair("desynchronised", KernelStat::kUnseenDesynchronised), std::pair("limit", KernelStat::kUnseenLimit),
          std::pair("handed_off", KernelStat::kUnseenHandedOff), std::pair("memory", KernelStat::kUnseenMemory)})
        families.add(
            "limpet_unseen_total", MetricKind::kCounter,
            "What limpet knows that it could not follow: encrypted connections, lost message boundaries, segments "
            "over a limit, connections that changed protocol, threads that the kernel had no memory for, what was "
            "under "
            "way when programs rested.",
            {{"reason", reason}}, everywhere(state, stat));
    families.add("limpet_unseen_total", MetricKind::kCounter, "", {{"reason", "paused"}},
                 everywhere(state, KernelStat::kUnseenPaused) + static_cast<double>(state.paused_connections));
}

} // namespace

std::vector<prometheus::MetricFamily> Exporter::Collect() const
{
    Families families;
    const std::lock_guard lock(state_.mutex);
    for (const auto& probe : state_.probes)
        probe->collect(state_.workloads, families);
    add_identity(state_, families);
    add_states(state_, families);
    add_programs(state_, families);
    add_user_time(state_, families);
    add_limits(state_, families);
    add_memory(state_, families);
    add_events(state_, families);
    add_series(state_, families);
    add_losses(state_, families);
    families.add("limpet_scrape_duration_seconds", MetricKind::kGauge, "How long the last scrape before this one took.",
                 {}, state_.last_scrape.count());
    add_process_metrics(families);
    return families.take();
}

} // namespace limpet
