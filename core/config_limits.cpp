// SPDX-License-Identifier: Apache-2.0
#include "config_limits.hpp"

#include <cmath>
#include <string_view>

#include "quantity.hpp"

namespace limpet {
namespace {

constexpr double kShortestLease = 2; // it is renewed once a second
constexpr double kLongestLease = 600;
// Of a core.
constexpr double kKernelFloor = 0.001;
constexpr double kAgentFloor = 0.002;
constexpr const char* kKernelFloorIs =
    "\"0.1%\": what the tap alone costs with about 10,000 packets a second; use more, or "
    "disable the probes";
constexpr const char* kAgentFloorIs = "\"0.2%\": what an agent costs that is scraped once in a while; use more";
constexpr double kMostPercent = 10'000;
constexpr uint64_t kFewestBytes = 1 << 20;
constexpr uint64_t kMostBytes = 1ULL << 40;
constexpr int64_t kMostSeriesOfAll = 10'000'000;
constexpr double kLeastOfTable = 0.01;

// "5%".
std::optional<double> share_of(std::string_view text, double most_percent)
{
    const std::optional<Quantity> quantity = parse_quantity(text);
    const bool is_percent = quantity && quantity->unit == "%" && quantity->number <= most_percent;
    return is_percent ? std::optional(quantity->number / 100) : std::nullopt;
}

struct Floor {
    double share;
    const char* what_it_is;
};

void read_share(TableReader& table, const char* key, Floor floor, double& limit)
{
    const TomlEntry* const found = table.entry(key);
    if (found == nullptr)
        return;
    const auto* const text = std::get_if<std::string>(&found->value.data);
    if (text == nullptr)
        return table.wrong_type(key, found->value, "a part of a core such as \"5%\"");
    const std::optional<double> share = text->empty() ? 0 : share_of(*text, kMostPercent);
    if (!share)
        table.problem(key, "\"" + *text + "\" is not a part of a core such as \"5%\"");
    else if (!text->empty() && *share < floor.share)
        table.problem(key, "\"" + *text + "\" is below the floor of " + floor.what_it_is);
    else
        limit = *share;
}

void read_below_floor(TableReader& table, LimitsConfig& limits)
{
    const std::optional<std::string> text = table.text("below_floor");
    if (!text)
        return;
    if (*text == "pause" || *text == "sample")
        limits.may_pause = *text == "pause";
    else
        table.problem("below_floor", "\"" + *text + "\" is neither \"sample\" nor \"pause\"");
}

void read_size(TableReader& table, const std::string& key, Limit& limit)
{
    if (const std::optional<uint64_t> bytes = table.size_bytes(key, kFewestBytes, kMostBytes))
        limit = {*bytes, table.position_of(key)};
}

void read_series(TableReader& table, Limit& limit)
{
    if (const std::optional<int64_t> rows = table.integer("series", 0, kMostSeriesOfAll))
        limit = {static_cast<uint64_t>(*rows), table.position_of("series")};
}

void read_series_per_workload(TableReader& table, double& part)
{
    const std::optional<std::string> text = table.text("series_per_workload");
    if (!text)
        return;
    const std::optional<double> share = share_of(*text, 100);
    if (share && *share >= kLeastOfTable)
        part = *share;
    else
        table.problem("series_per_workload",
                      "\"" + *text + "\" is not a part of a table's rows; use \"1%\" to \"100%\"");
}

} // namespace

void read_limits(TableReader& table, LimitsConfig& limits)
{
    read_share(table, "agent_cpu", {kAgentFloor, kAgentFloorIs}, limits.agent_cpu);
    read_share(table, "kernel_cpu", {kKernelFloor, kKernelFloorIs}, limits.kernel_cpu);
    read_below_floor(table, limits);
    read_size(table, "memory", limits.memory);
    read_size(table, "kernel_memory", limits.kernel_memory);
    read_series(table, limits.series);
    read_series_per_workload(table, limits.series_per_workload);
    if (const std::optional<double> seconds = table.duration_seconds("lease", kShortestLease, kLongestLease))
        limits.lease = std::chrono::milliseconds(std::lround(*seconds * 1000));
    table.report_unknown();
}

void read_probe_limits(TableReader& table, ProbeLimits& limits)
{
    read_size(table, "kernel_memory", limits.kernel_memory);
    read_series(table, limits.series);
    table.report_unknown();
}

} // namespace limpet
