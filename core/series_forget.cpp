// SPDX-License-Identifier: Apache-2.0
//
// How a series table takes back the rows of workloads that have ended. The kernel side: limpet/series.bpf.h.
#include "series_table.hpp"

#include <cstring>

#include <bpf/bpf.h>

#include "label_decoder.hpp"

namespace limpet {
namespace {

constexpr uint32_t kGenerationShift = 17; // LIMPET_ROW_GENERATION_SHIFT
constexpr uint32_t kGenerations = 1U << (32 - kGenerationShift);

} // namespace

const std::byte* SeriesTable::slot(uint32_t row) const
{
    return keys_.data() + row * array_stride(layout_.slot_size_bytes);
}

bool SeriesTable::is_whole(uint32_t row) const
{
    return __atomic_load_n(reinterpret_cast<const uint32_t*>(slot(row) + layout_.used_offset_bytes),
                           __ATOMIC_ACQUIRE) != 0;
}

std::optional<uint32_t> SeriesTable::workload_of(uint32_t row) const
{
    for (const KeyLabel& label : layout_.labels)
        if (label.decoder == LabelDecoder::kWorkload)
            return static_cast<uint32_t>(unsigned_number({slot(row) + label.offset_bytes, label.size_bytes}));
    return std::nullopt;
}

void SeriesTable::mark_workloads(std::vector<bool>& has_rows) const
{
    const uint32_t rows = rows_handed_out();
    for (uint32_t row = 1; row <= rows; ++row)
        if (const auto workload = is_whole(row) ? workload_of(row) : std::nullopt)
            has_rows[Workloads::index_of(*workload)] = true;
}

// A gauge that is not 0 stands for something that is still there and will take away what it has added.
bool SeriesTable::can_be_taken_back(uint32_t row, const Workloads& workloads, SteadyTime now,
                                    std::chrono::milliseconds after)
{
    const std::optional<uint32_t> workload = workload_of(row);
    const Group alone{{}, {row}};
    if (!workload || !workloads.has_ended(*workload)) {
        ended_.drop(row);
        return false;
    }
    uint64_t content = 0;
    for_each_shard(alone, [&](const std::byte* words) {
        for (uint32_t offset = 0; offset + sizeof(uint64_t) <= layout_.row_size_bytes; offset += sizeof(uint64_t))
            content = content * 0x100000001b3 + read_once<uint64_t>(words + offset);
    });
    if (!ended_.is_settled(row, content, now, after))
        return false;
    for (const RowMetric& metric : layout_.metrics)
        if (metric.kind == MetricKind::kGauge && sum(alone, metric.offset_bytes) != 0)
            return false;
    return true;
}

// From here on nobody finds it, and whoever has kept it does not count in it any more.
void SeriesTable::take_back(uint32_t row)
{
    (void)bpf_map_delete_elem(source_.index_fd, slot(row));
    std::byte* const place = keys_.writable_data() + row * array_stride(layout_.slot_size_bytes);
    const uint32_t next = (read_once<uint32_t>(place + layout_.generation_offset_bytes) + 1) % kGenerations;
    __atomic_store_n(reinterpret_cast<uint32_t*>(place + layout_.used_offset_bytes), 0, __ATOMIC_RELEASE);
    __atomic_store_n(reinterpret_cast<uint32_t*>(place + layout_.generation_offset_bytes), next, __ATOMIC_RELEASE);
    if (const uint32_t index = Workloads::index_of(workload_of(row).value_or(0));
        source_.rows_of.size() > index * sizeof(uint32_t))
        __atomic_fetch_sub(reinterpret_cast<uint32_t*>(source_.rows_of.data()) + index, 1, __ATOMIC_RELAXED);
    taken_.push_back(row | next << kGenerationShift);
    ended_.drop(row);
    names_version_ = 0; // all labels are made anew
}

// No program counts in them by now.
Done SeriesTable::free_taken_rows()
{
    const size_t bytes = source_.shards * array_stride(layout_.row_size_bytes);
    while (!taken_.empty()) {
        const uint32_t row = taken_.back();
        std::memset(rows_.writable_data() + (row & ((1U << kGenerationShift) - 1)) * bytes, 0, bytes);
        if (bpf_map_update_elem(source_.free_fd, nullptr, &row, BPF_ANY))
            return errno_error("cannot take back a row of " + layout_.table);
        taken_.pop_back();
    }
    return done();
}

Done SeriesTable::forget(const Workloads& workloads, SteadyTime now, std::chrono::milliseconds after)
{
    if (source_.free_fd < 0 || layout_.generation_offset_bytes == 0)
        return done();
    if (const Done freed = free_taken_rows(); !freed)
        return freed;
    const uint32_t rows = rows_handed_out();
    if (const Done mapped = map_rows(rows + 1); !mapped)
        return mapped;
    for (uint32_t row = 1; row <= rows; ++row)
        if (is_whole(row) && can_be_taken_back(row, workloads, now, after))
            take_back(row);
    return done();
}

} // namespace limpet
