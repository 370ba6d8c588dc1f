// SPDX-License-Identifier: Apache-2.0
#include "reload.hpp"

#include <algorithm>

#include "log.hpp"
#include "map_budget.hpp"
#include "plugin_directory.hpp"
#include "series_shares.hpp"

namespace limpet {
namespace {

const ProbeConfig* enabled_probe(const Config& config, const std::string& name)
{
    for (const ProbeConfig& probe : config.probes)
        if (probe.name == name && probe.enabled)
            return &probe;
    return nullptr;
}

bool has_same_values(const ProbeConfig& a, const ProbeConfig& b)
{
    return std::equal(a.raw.begin(), a.raw.end(), b.raw.begin(), b.raw.end(), [](const auto& x, const auto& y) {
        return x.first == y.first && x.second.value == y.second.value;
    });
}

bool is_same_file(const ProbeConfig& a, const ProbeConfig& b)
{
    return a.path == b.path && a.sha256 == b.sha256 && a.series == b.series && a.granted_rows == b.granted_rows &&
           a.workload_share == b.workload_share;
}

std::vector<std::string> changed_fixed_keys(const Config& old_config, const Config& new_config)
{
    const AgentConfig& a = old_config.agent;
    const AgentConfig& b = new_config.agent;
    std::vector<std::string> keys;
    for (const auto& [key, differs] :
         {std::pair("agent.listen", a.listen != b.listen), std::pair("agent.plugin_dir", a.plugin_dir != b.plugin_dir),
          std::pair("agent.cpus", a.cpus != b.cpus), std::pair("agent.nice", a.nice != b.nice),
          std::pair("agent.drain_interval", a.drain_interval != b.drain_interval),
          std::pair("agent.forget_after", a.forget_after != b.forget_after),
          std::pair("agent.cgroup_root", a.cgroup_root != b.cgroup_root),
          std::pair("limits.lease", old_config.limits.lease != new_config.limits.lease),
          std::pair("names", old_config.names != new_config.names)})
        if (differs)
            keys.emplace_back(key);
    return keys;
}

auto find_probe(AgentState& state, const std::string& name)
{
    return std::find_if(state.probes.begin(), state.probes.end(),
                        [&](const std::unique_ptr<Probe>& probe) { return probe->name() == name; });
}

void replace_probe(AgentState& state, const AgentConfig& agent, const ProbeConfig& config)
{
    const auto place = find_probe(state, config.name);
    (*place)->stop(); // first the old one: both would count
    *place = std::make_unique<Probe>(config);
    state.start_probe(**place, agent);
}

// Probes to start anew although their tables are the same: those that do not run, and those whose file is another one now.
void add_stale_probes(const AgentState& state, const Config& config, ReloadPlan& plan)
{
    for (const auto& probe : state.probes) {
        const ProbeConfig* wanted = enabled_probe(config, probe->name());
        if (!wanted || std::count(plan.replace.begin(), plan.replace.end(), probe->name()))
            continue;
        if (probe->is_running() && probe->file_identity() == identity_of_file(plugin_path(config.agent, *wanted)))
            continue;
        std::erase(plan.change, probe->name());
        std::erase(plan.accept, probe->name());
        plan.replace.push_back(probe->name());
    }
}

// An undecided connection is offered to parser after parser until a number is free: numbers must have no gap.
void close_parser_gaps(AgentState& state, const AgentConfig& agent)
{
    for (const auto& probe : state.probes) {
        const uint32_t free = state.tap.free_parser_number();
        if (free == 0 || probe->parser_number() < free)
            continue;
        log(LogLevel::kInfo, probe->name(), "starts anew because a parser in front of it has gone");
        replace_probe(state, agent, ProbeConfig(probe->config()));
    }
}

void apply(AgentState& state, const Config& config, const ReloadPlan& plan)
{
    const std::lock_guard lock(state.mutex);
    state.workloads.set_rules(config.workloads);
    state.set_limits(config.limits);
    state.rings = Rings(); // its reader knows probes that may go
    for (const std::string& name : plan.stop) {
        log(LogLevel::kInfo, name, "stopped");
        state.probes.erase(find_probe(state, name));
    }
    for (const std::string& name : plan.accept)
        (*find_probe(state, name))->set_accepted_states(*enabled_probe(config, name));
    for (const std::string& name : plan.replace)
        replace_probe(state, config.agent, *enabled_probe(config, name));
    for (const std::string& name : plan.change) {
        const ProbeConfig& wanted = *enabled_probe(config, name);
        if ((*find_probe(state, name))->reconfigure(wanted))
            log(LogLevel::kInfo, name, "has taken its new configuration");
        else
            replace_probe(state, config.agent, wanted);
    }
    for (const std::string& name : plan.start) {
        state.probes.push_back(std::make_unique<Probe>(*enabled_probe(config, name)));
        state.start_probe(*state.probes.back(), config.agent);
    }
    close_parser_gaps(state, config.agent);
    for (const auto& probe : state.probes)
        probe->run_iterators();
    state.reopen_rings();
}

void log_problems(const std::vector<ConfigProblem>& problems)
{
    for (const ConfigProblem& problem : problems)
        log(LogLevel::kError, "agent", to_string(problem));
    log(LogLevel::kError, "agent",
        "the old configuration stays in force; mistakes in the new one: " + std::to_string(problems.size()));
}

} // namespace

ReloadPlan plan_reload(const Config& old_config, const Config& new_config)
{
    ReloadPlan plan;
    for (const ProbeConfig& probe : old_config.probes)
        if (probe.enabled && !enabled_probe(new_config, probe.name))
            plan.stop.push_back(probe.name);
    for (const ProbeConfig& probe : new_config.probes) {
        const ProbeConfig* before = enabled_probe(old_config, probe.name);
        if (!probe.enabled)
            continue;
        if (!before)
            plan.start.push_back(probe.name);
        else if (!is_same_file(*before, probe))
            plan.replace.push_back(probe.name);
        else if (!has_same_values(*before, probe))
            plan.change.push_back(probe.name);
        else if (before->accept != probe.accept)
            plan.accept.push_back(probe.name);
    }
    plan.needs_restart = changed_fixed_keys(old_config, new_config);
    return plan;
}

std::vector<ConfigProblem> check_probe_configs(Config& config)
{
    std::vector<ConfigProblem> problems;
    for (ProbeConfig& probe : config.probes) {
        if (!probe.enabled)
            continue;
        const Result<PluginFile> file = open_configured_plugin(config.agent, probe);
        if (!file)
            continue;
        for (ConfigProblem& problem : check_probe_config(probe, file->manifest))
            problems.push_back(std::move(problem));
    }
    if (problems.empty())
        problems = share_series(config);
    for (ConfigProblem& problem : check_core_fits(config.limits))
        problems.push_back(std::move(problem));
    return problems;
}

void reload(AgentState& state, Config& config, const std::filesystem::path& file)
{
    ParsedConfig parsed = parse_config(file);
    for (ConfigProblem& problem : check_probe_configs(parsed.config))
        parsed.problems.push_back(std::move(problem));
    if (!parsed.problems.empty())
        return log_problems(parsed.problems);
    ReloadPlan plan = plan_reload(config, parsed.config);
    for (const std::string& key : plan.needs_restart)
        log(LogLevel::kWarn, "agent", key + " has changed; restart limpet for that");
    set_log_level(parsed.config.agent.log_level);
    Config running = std::move(parsed.config);
    const std::string log_level = running.agent.log_level;
    running.agent = config.agent; // what cannot change goes on as it was
    running.agent.log_level = log_level;
    running.names = config.names;
    running.limits.lease = config.limits.lease;
    config = std::move(running);
    add_stale_probes(state, config, plan);
    apply(state, config, plan);
    log(LogLevel::kInfo, "agent",
        "configuration read again: " + std::to_string(plan.start.size()) + " started, " +
            std::to_string(plan.change.size() + plan.replace.size()) + " changed, " + std::to_string(plan.stop.size()) +
            " stopped");
}

} // namespace limpet
