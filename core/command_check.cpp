// SPDX-License-Identifier: Apache-2.0
#include "commands.hpp"

#include <ostream>

#include "agent.hpp"
#include "bpf_metrics.hpp"
#include "config.hpp"
#include "host_checks.hpp"
#include "map_budget.hpp"
#include "plugin_directory.hpp"
#include "probe_object.hpp"
#include "series_shares.hpp"

namespace limpet {
namespace {

// Where a mistake was made that only the probe's BPF object can tell.
std::string in_table(const ProbeConfig& probe, const std::string& text)
{
    return to_string(ConfigProblem{probe.position, "plugins." + probe.name, text});
}

// A probe that is switched off is held against its manifest too if there is one, so that switching it on brings no
// surprise.
std::vector<std::string> problems_of(const AgentConfig& agent, ProbeConfig& probe)
{
    const Result<PluginFile> file = open_configured_plugin(agent, probe);
    if (!file)
        return probe.enabled ? std::vector<std::string>{file.error().text} : std::vector<std::string>{};
    std::vector<std::string> problems;
    for (const ConfigProblem& problem : check_probe_config(probe, file->manifest))
        problems.push_back(to_string(problem));
    const Result<BpfMetrics> metrics = read_bpf_metrics(file->bpf_object);
    if (!metrics) {
        problems.push_back(file->path.string() + ": " + metrics.error().text);
        return problems;
    }
    if (const Result<BoundsByVariable> bounds = read_bounds(*metrics, probe.values); !bounds)
        problems.push_back(in_table(probe, bounds.error().text));
    return problems;
}

std::string counted(size_t count, const std::string& noun)
{
    return std::to_string(count) + " " + noun + (count == 1 ? "" : "s");
}

std::string enabled_probes(const Config& config)
{
    std::string names;
    size_t count = 0;
    for (const ProbeConfig& probe : config.probes) {
        if (!probe.enabled)
            continue;
        names += (names.empty() ? " (" : ", ") + probe.name;
        ++count;
    }
    return counted(count, "probe") + " enabled" + names + (names.empty() ? "" : ")");
}

} // namespace

int check_command(const std::filesystem::path& config_file, std::ostream& out, bool is_loaded_next)
{
    ParsedConfig parsed = parse_config(config_file);
    std::vector<std::string> problems;
    for (const ConfigProblem& problem : parsed.problems)
        problems.push_back(to_string(problem));
    for (ProbeConfig& probe : parsed.config.probes)
        for (const std::string& problem : problems_of(parsed.config.agent, probe))
            problems.push_back(problem);
    if (problems.empty())
        for (const ConfigProblem& problem : share_series(parsed.config))
            problems.push_back(to_string(problem));
    for (const ConfigProblem& problem : check_core_fits(parsed.config.limits))
        problems.push_back(to_string(problem));
    for (const std::string& problem : problems)
        out << problem << '\n';
    for (const Error& lack : check_host(read_host_facts(parsed.config.agent.cgroup_root), core_capabilities()))
        out << "note: limpet could not run here now: " << lack.text << '\n';

    out << config_file.string() << ": ";
    if (!problems.empty()) {
        out << counted(problems.size(), "problem") << "; nothing was loaded\n";
        return kExitBadConfig;
    }
    out << "good; " << enabled_probes(parsed.config)
        << (is_loaded_next ? "; now they are loaded\n" : "; nothing was loaded into the kernel\n");
    return kExitOk;
}

} // namespace limpet
