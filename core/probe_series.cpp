// SPDX-License-Identifier: Apache-2.0
//
// The part of Probe that keeps its series tables.
#include "probe.hpp"

#include <algorithm>

#include "log.hpp"
#include "series_shares.hpp"

namespace limpet {

uint32_t Probe::table_rows(uint32_t declared) const
{
    return rows_of_table(config_, manifest_).value_or(declared);
}

// Of the gauges that its code reports.
uint32_t Probe::gauge_limit() const
{
    const auto granted = config_.granted_rows.find(kReportedGauges);
    return granted == config_.granted_rows.end() ? table_rows(kDeclaredGauges) : granted->second;
}

Done Probe::open_tables()
{
    BpfObject& object = loaded_->object;
    for (const SeriesLayout& layout : declared_.tables) {
        if (layout.metrics.empty())
            continue; // switched off
        const std::string& table = layout.table;
        SeriesSource source{object.map_fd(table + "_keys"), object.map_fd(table + "_rows"),
                            object.map_entries(table + "_keys"), shards(), object.live_variable(table + "_used")};
        for (const KeyLabel& label : layout.labels)
            if (label.decoder == LabelDecoder::kTextOf)
                source.texts[label.items.front()] = {object.map_fd(label.items.front()),
                                                     object.map_value_size_bytes(label.items.front())};
        source.index_fd = object.map_fd(table + "_index");
        source.free_fd = object.map_fd(table + "_free");
        source.rows_of = object.live_variable(table + "_rows_of");
        if (source.used.size() != sizeof(uint32_t))
            return Error{0, "table " + table + " has no counter " + table + "_used; declare it with LIMPET_SERIES"};
        Result<SeriesTable> opened = SeriesTable::open(layout, source, bounds_);
        if (!opened)
            return opened.error();
        tables_.push_back(std::move(*opened));
    }
    return done();
}

void Probe::forget(const Workloads& workloads, SteadyTime now, std::chrono::milliseconds after)
{
    for (SeriesTable& table : tables_)
        if (const Done forgotten = table.forget(workloads, now, after); !forgotten)
            log(LogLevel::kError, config_.name, forgotten.error().text);
}

bool Probe::has_taken_rows() const
{
    return std::any_of(tables_.begin(), tables_.end(), [](const SeriesTable& table) { return table.has_taken_rows(); });
}

void Probe::mark_workloads(std::vector<bool>& has_rows) const
{
    for (const SeriesTable& table : tables_)
        table.mark_workloads(has_rows);
}

uint32_t Probe::series() const
{
    uint32_t total = instance_ ? instance_->host().samples() : 0;
    for (const SeriesTable& table : tables_)
        total += table.rows_in_use();
    return total;
}

uint32_t Probe::series_limit() const
{
    uint32_t total = 0;
    for (const SeriesTable& table : tables_)
        total += table.limit();
    return manifest_.metrics.empty() ? total : total + gauge_limit();
}

uint64_t Probe::series_overflows() const
{
    return stats_.total(KernelStat::kSeriesOverflow) + (instance_ ? instance_->host().dropped_samples() : 0);
}

} // namespace limpet
