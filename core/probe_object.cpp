// SPDX-License-Identifier: Apache-2.0
#include "probe_object.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <unistd.h>

namespace limpet {
namespace {

constexpr size_t kMaxBounds = 22;             // LIMPET_MAX_BOUNDS
constexpr uint64_t kBoundUnused = ~0ULL >> 1; // LIMPET_BOUND_UNUSED
constexpr size_t kMaxPorts = 16;              // LIMPET_MAX_PORTS
constexpr uint32_t kFewestRows = 2;           // the overflow row and one more

std::string mistake_in(const std::vector<double>& bounds)
{
    if (bounds.empty() || bounds.size() > kMaxBounds)
        return "needs 1 to " + std::to_string(kMaxBounds) + " bounds and has " + std::to_string(bounds.size());
    if (!(bounds.front() > 0))
        return "bounds must be above 0";
    const auto falls = [](double a, double b) { return !(a < b); };
    if (std::adjacent_find(bounds.begin(), bounds.end(), falls) != bounds.end())
        return "bounds must ascend";
    return "";
}

// A config value as the kernel side takes it: durations in nanoseconds.
std::optional<uint64_t> kernel_number(const ConfigValue& value)
{
    if (const auto* number = std::get_if<int64_t>(&value))
        return static_cast<uint64_t>(*number);
    if (const auto* truth = std::get_if<bool>(&value))
        return *truth ? 1 : 0;
    if (const auto* seconds = std::get_if<double>(&value))
        return static_cast<uint64_t>(std::llround(*seconds * 1e9));
    return std::nullopt;
}

Done set_config_variables(BpfObject& object, const std::vector<ConfigVariable>& variables,
                          const std::map<std::string, ConfigValue>& values)
{
    for (const ConfigVariable& variable : variables) {
        const auto found = values.find(variable.config_key);
        const auto number = found == values.end() ? std::nullopt : kernel_number(found->second);
        if (!number || !object.set_number(variable.variable, *number))
            return Error{0, "variable " + variable.variable + " stands for the config key \"" + variable.config_key +
                                "\", which the manifest does not declare as integer, boolean or duration"};
    }
    return done();
}

Done set_bounds(BpfObject& object, const ObjectSettings& settings)
{
    for (const BoundsVariable& declared : settings.declared.bounds) {
        const std::array<uint64_t, 32> counted =
            counted_bounds(settings.bounds.at(declared.variable), declared.divisor);
        const std::span<std::byte> place = object.variable(declared.variable);
        if (place.size() != sizeof(counted))
            return Error{0, "the bounds " + declared.variable + " are not in read-only data; use LIMPET_BOUNDS"};
        std::memcpy(place.data(), counted.data(), sizeof(counted));
    }
    return done();
}

Done set_ports(BpfObject& object, const ObjectSettings& settings)
{
    for (const ConfigVariable& variable : settings.declared.ports) {
        const Result<std::vector<uint16_t>> ports = read_ports(variable, settings.values);
        if (!ports)
            return ports.error();
        const std::span<std::byte> place = object.variable(variable.variable);
        if (place.size() != kMaxPorts * sizeof(uint16_t))
            return Error{0, "the ports " + variable.variable + " are not in read-only data; use LIMPET_PORTS"};
        std::fill(place.begin(), place.end(), std::byte{0});
        std::memcpy(place.data(), ports->data(), ports->size() * sizeof(uint16_t));
    }
    return done();
}

Done set_own_variables(BpfObject& object, const ObjectSettings& settings)
{
    for (const auto& [name, bytes] : settings.variables) {
        const std::span<std::byte> place = object.variable(name);
        if (place.empty())
            return Error{0, "the probe sets the variable " + name + ", which its BPF object does not have"};
        if (place.size() != bytes.size())
            return Error{0, "the probe sets the variable " + name + " to " + std::to_string(bytes.size()) +
                                " bytes; it has " + std::to_string(place.size())};
        std::copy(bytes.begin(), bytes.end(), place.begin());
    }
    return done();
}

bool is_on(const RowMetric& metric, const BpfObject& object)
{
    return metric.switch_variable.empty() || object.number(metric.switch_variable).value_or(1) != 0;
}

bool is_on(const SeriesLayout& layout, const BpfObject& object)
{
    return std::any_of(layout.metrics.begin(), layout.metrics.end(),
                       [&](const RowMetric& metric) { return is_on(metric, object); });
}

Done size_switched_maps(BpfObject& object, const ObjectSettings& settings)
{
    for (const SwitchedMap& switched : settings.declared.switched_maps) {
        const std::optional<uint64_t> number = object.number(switched.variable);
        if (!number)
            return Error{0, "map " + switched.map + " is there if " + switched.variable +
                                ", which is no number in its BPF object"};
        if (*number == 0)
            if (const Done resized = object.resize_map(switched.map, 1); !resized)
                return resized;
    }
    return done();
}

// The overflow row included.
uint32_t rows_of(const SeriesLayout& layout, const BpfObject& object, std::optional<uint32_t> series_rows)
{
    const uint32_t wanted = series_rows.value_or(object.map_entries(layout.table + "_index"));
    return is_on(layout, object) ? std::max(kFewestRows, wanted) : kFewestRows;
}

// At least one row, of those that are not the overflow row.
void set_share(BpfObject& object, const SeriesLayout& layout, uint32_t rows, double share)
{
    object.set_number(layout.table + "_share", static_cast<uint64_t>(std::ceil((rows - 1) * share)));
    for (const KeyLabel& label : layout.labels)
        if (label.decoder == LabelDecoder::kWorkload && (label.size_bytes == 2 || label.size_bytes == 4)) {
            object.set_number(layout.table + "_workload_offset", label.offset_bytes);
            object.set_number(layout.table + "_workload_bytes", label.size_bytes);
        }
}

Done size_tables(BpfObject& object, const ObjectSettings& settings)
{
    for (const SeriesLayout& layout : settings.declared.tables) {
        const std::string& table = layout.table;
        const auto granted = settings.granted_rows.find(table);
        const uint32_t rows = granted == settings.granted_rows.end() ? rows_of(layout, object, settings.series_rows)
                                                                     : granted->second + 1;
        object.set_number(table + "_limit", rows);
        set_share(object, layout, rows, settings.workload_share);
        for (const auto& [map, entries] : {std::pair(table + "_index", rows), std::pair(table + "_keys", rows),
                                           std::pair(table + "_rows", rows * settings.shards)})
            if (const Done resized = object.resize_map(map, entries); !resized)
                return resized;
        if (object.has_map(table + "_free"))
            if (const Done resized = object.resize_map(table + "_free", rows); !resized)
                return resized;
    }
    return done();
}

Done size_stats(BpfObject& object)
{
    return object.has_map("limpet_stats") ? object.resize_map("limpet_stats", possible_cpus()) : done();
}

} // namespace

Result<BoundsByVariable> read_bounds(const BpfMetrics& declared, const std::map<std::string, ConfigValue>& values)
{
    BoundsByVariable all;
    std::string mistakes;
    for (const BoundsVariable& variable : declared.bounds) {
        const auto found = values.find(variable.config_key);
        const auto* bounds = found == values.end() ? nullptr : std::get_if<std::vector<double>>(&found->second);
        const std::string mistake =
            bounds ? mistake_in(*bounds) : "is not declared as a list of number in the manifest";
        if (bounds && mistake.empty())
            all[variable.variable] = *bounds;
        else
            mistakes += (mistakes.empty() ? "" : "\n") + ("config key \"" + variable.config_key + "\": " + mistake);
    }
    if (!mistakes.empty())
        return Error{0, mistakes};
    return all;
}

std::array<uint64_t, 32> counted_bounds(const std::vector<double>& bounds, double divisor)
{
    std::array<uint64_t, 32> counted{};
    counted.fill(kBoundUnused);
    for (size_t i = 0; i < bounds.size() && i < kMaxBounds; ++i)
        counted[i] = static_cast<uint64_t>(std::llround(bounds[i] * divisor));
    return counted;
}

Result<std::vector<uint16_t>> read_ports(const ConfigVariable& ports, const std::map<std::string, ConfigValue>& values)
{
    const std::string where = "config key \"" + ports.config_key + "\": ";
    const auto found = values.find(ports.config_key);
    const auto* numbers = found == values.end() ? nullptr : std::get_if<std::vector<double>>(&found->second);
    if (!numbers)
        return Error{0, where + "is not declared as a list of number in the manifest"};
    if (numbers->empty() || numbers->size() > kMaxPorts)
        return Error{0, where + "needs 1 to " + std::to_string(kMaxPorts) + " ports and has " +
                            std::to_string(numbers->size())};
    std::vector<uint16_t> list;
    for (const double number : *numbers) {
        const auto port = static_cast<uint16_t>(std::clamp(number, 0.0, 65535.0));
        if (port == 0 || port < number || port > number)
            return Error{0, where + "ports are whole numbers from 1 to 65535"};
        if (std::find(list.begin(), list.end(), port) == list.end())
            list.push_back(port);
    }
    return list;
}

Result<TableRows> wanted_rows(BpfObject& object, const BpfMetrics& declared,
                              const std::map<std::string, ConfigValue>& values, std::optional<uint32_t> series_rows)
{
    if (const Done set = set_config_variables(object, declared.config, values); !set)
        return set.error();
    TableRows rows;
    for (const SeriesLayout& layout : declared.tables)
        if (is_on(layout, object))
            rows[layout.table] = rows_of(layout, object, series_rows) - 1;
    return rows;
}

void drop_switched_off(BpfMetrics& declared, const BpfObject& object)
{
    for (SeriesLayout& layout : declared.tables)
        std::erase_if(layout.metrics, [&](const RowMetric& metric) { return !is_on(metric, object); });
}

Done prepare_object(BpfObject& object, const ObjectSettings& settings)
{
    object.set_number("limpet_shard_mask", settings.shards - 1);
    object.set_number("limpet_parser_number", settings.parser_number);
    object.set_number("limpet_self_tgid", static_cast<uint64_t>(::getpid()));
    if (const Done set = set_config_variables(object, settings.declared.config, settings.values); !set)
        return set;
    for (const auto& step : {set_bounds, set_ports, set_own_variables, size_tables, size_switched_maps})
        if (const Done prepared = step(object, settings); !prepared)
            return prepared;
    if (const Done sized = size_stats(object); !sized)
        return sized;
    for (const char* map : kSharedMaps)
        if (object.has_map(map))
            if (const Done shared = object.share_map(map, settings.tap.shared_map_fd(map)); !shared)
                return shared;
    return done();
}

} // namespace limpet
