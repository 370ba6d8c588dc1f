// SPDX-License-Identifier: Apache-2.0
#include "series_shares.hpp"

#include <algorithm>
#include <numeric>

#include "plugin_directory.hpp"
#include "probe_object.hpp"

namespace limpet {
namespace {

// What a probe's tables have room for.
struct Demand {
    ProbeConfig* probe;
    TableRows rows;
};

std::vector<uint32_t> numbers_of(const std::vector<Demand>& demands)
{
    std::vector<uint32_t> numbers;
    for (const Demand& demand : demands)
        for (const auto& [table, rows] : demand.rows)
            numbers.push_back(rows);
    return numbers;
}

uint64_t sum(const std::vector<uint32_t>& numbers)
{
    return std::accumulate(numbers.begin(), numbers.end(), uint64_t{0});
}

// Empty where the probe itself is at fault: its start says so.
TableRows rows_of(const ProbeConfig& probe, const PluginFile& file)
{
    const std::optional<uint32_t> of_table = rows_of_table(probe, file.manifest);
    TableRows rows;
    if (!file.bpf_object.empty()) {
        const Result<BpfMetrics> declared = read_bpf_metrics(file.bpf_object);
        Result<BpfObject> object = BpfObject::open(file.bpf_object, probe.name);
        if (!declared || !object)
            return {};
        if (Result<TableRows> wanted = wanted_rows(*object, *declared, probe.values, of_table))
            rows = std::move(*wanted);
    }
    if (!file.manifest.metrics.empty())
        rows[kReportedGauges] = of_table.value_or(kDeclaredGauges);
    return rows;
}

std::string too_few(uint64_t limit, size_t tables, const std::string& whose)
{
    return std::to_string(limit) + " cannot hold one row for each of the " + std::to_string(tables) +
           " series tables of " + whose + "; use " + std::to_string(tables) +
           " or more, thousands where many labels are to be told apart";
}

// Takes away what is over the limit. A problem: the limit is too small for that.
std::optional<std::string> keep(uint64_t limit, std::vector<Demand>& demands, const std::string& whose)
{
    const std::vector<uint32_t> wanted = numbers_of(demands);
    if (limit == 0 || sum(wanted) <= limit)
        return std::nullopt;
    if (limit < wanted.size())
        return too_few(limit, wanted.size(), whose);
    const std::vector<uint32_t> granted = shares_of(limit, wanted);
    auto next = granted.begin();
    for (Demand& demand : demands) {
        for (auto& [table, rows] : demand.rows)
            rows = *next++;
        demand.probe->granted_rows = demand.rows;
    }
    return std::nullopt;
}

bool has_limit(const Config& config)
{
    return config.limits.series.value || std::any_of(config.probes.begin(), config.probes.end(), [](const auto& probe) {
               return probe.enabled && probe.limits.series.value;
           });
}

} // namespace

std::optional<uint32_t> rows_of_table(const ProbeConfig& probe, const Manifest& manifest)
{
    if (probe.series)
        return probe.series;
    return manifest.series ? std::optional(manifest.series) : std::nullopt;
}

std::vector<uint32_t> shares_of(uint64_t limit, const std::vector<uint32_t>& wanted)
{
    if (sum(wanted) <= limit)
        return wanted;
    const uint64_t beyond_one = sum(wanted) - wanted.size();
    const uint64_t left = limit - wanted.size();
    std::vector<uint32_t> shares;
    for (const uint32_t rows : wanted)
        shares.push_back(static_cast<uint32_t>(1 + (rows - 1) * left / beyond_one));
    return shares;
}

std::vector<ConfigProblem> share_series(Config& config)
{
    std::vector<ConfigProblem> problems;
    if (!has_limit(config))
        return problems;
    std::vector<Demand> all;
    for (ProbeConfig& probe : config.probes) {
        const Result<PluginFile> file =
            probe.enabled ? open_configured_plugin(config.agent, probe) : Result<PluginFile>(Error{0, "off"});
        if (!file)
            continue;
        std::vector<Demand> one{{&probe, rows_of(probe, *file)}};
        if (const auto problem = keep(probe.limits.series.value, one, probe.name))
            problems.push_back({probe.limits.series.position, "plugins." + probe.name + ".limits.series", *problem});
        all.push_back(std::move(one.front()));
    }
    if (const auto problem = keep(config.limits.series.value, all, "the enabled probes"))
        problems.push_back({config.limits.series.position, "limits.series", *problem});
    return problems;
}

} // namespace limpet
