// SPDX-License-Identifier: Apache-2.0
//
// One LIMPET_SERIES table as the scrape sees it: rows in shared memory become samples with labels.
//
// Owner: Probe; guarded by the agent's mutex. A row's labels are decoded once, when it is first seen; a scrape then only
// adds up numbers. Rows that are not in use are neither mapped nor read. The kernel counts on while we read: the parts of a
// histogram may be a few events apart.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "bpf_metrics.hpp"
#include "ended_rows.hpp"
#include "families.hpp"
#include "mapped_map.hpp"
#include "result.hpp"
#include "workloads.hpp"

namespace limpet {

// An array of texts that labels refer to by number (decoder "text_of").
struct TextArray {
    int fd = -1;
    uint32_t element_bytes = 0;
};

// Where a table lives. Descriptors stay with their owner and must outlive the table.
struct SeriesSource {
    int keys_fd = -1;
    int rows_fd = -1;
    uint32_t rows = 0;                           // including the overflow row
    uint32_t shards = 1;                         // elements of <table>_rows per row
    std::span<const std::byte> used;             // <table>_used: rows handed out so far
    std::map<std::string, TextArray> texts = {}; // by map
    int index_fd = -1;
    int free_fd = -1;                  // -1: rows are not taken back
    std::span<std::byte> rows_of = {}; // <table>_rows_of: rows by workload; empty: no workload has a share
};

// Histogram bounds by variable, in exported units, ascending.
using BoundsByVariable = std::map<std::string, std::vector<double>>;

class SeriesTable {
public:
    static Result<SeriesTable> open(SeriesLayout layout, const SeriesSource& source, const BoundsByVariable& bounds);

    // Appends every sample of the table.
    Done collect(const Workloads& workloads, Families& families);

    // Takes back the rows whose workload has ended and that have not changed for `after`: their series are gone at once, the rows
    // can be used again after the next call. REQUIRES: no program that was running at the last call is running still.
    Done forget(const Workloads& workloads, SteadyTime now, std::chrono::milliseconds after);
    [[nodiscard]] bool has_taken_rows() const { return !taken_.empty(); }
    // Marks the workloads that have rows, by their index.
    void mark_workloads(std::vector<bool>& has_rows) const;

    [[nodiscard]] const SeriesLayout& layout() const { return layout_; }
    [[nodiscard]] uint32_t rows_in_use() const; // the overflow row not counted
    [[nodiscard]] uint32_t limit() const { return source_.rows - 1; }

private:
    // The rows that have the same labels once those that a metric leaves out are gone.
    struct Group {
        Labels labels;
        std::vector<uint32_t> rows;
    };
    // The groups of all metrics that export the same labels.
    struct Grouping {
        std::vector<uint32_t> labels;
        std::vector<ConstantLabel> constants;
        std::vector<Group> groups;
        std::unordered_map<std::string, size_t> by_text;
    };

    SeriesTable(SeriesLayout layout, const SeriesSource& source) : layout_(std::move(layout)), source_(source) {}

    void make_groupings();
    [[nodiscard]] uint32_t rows_handed_out() const;
    [[nodiscard]] const std::byte* slot(uint32_t row) const;
    [[nodiscard]] bool is_whole(uint32_t row) const;
    [[nodiscard]] std::optional<uint32_t> workload_of(uint32_t row) const;
    [[nodiscard]] bool can_be_taken_back(uint32_t row, const Workloads& workloads, SteadyTime now,
                                         std::chrono::milliseconds after);
    void take_back(uint32_t row);
    Done free_taken_rows();
    Done map_rows(uint32_t rows);
    void find_new_rows(const Workloads& workloads);
    void add_row(uint32_t row, const Workloads& workloads);
    void add_to(Grouping& grouping, uint32_t row, const Workloads& workloads);
    void append_labels(Labels& labels, const KeyLabel& label, uint32_t row, const Workloads& workloads) const;
    void collect_metric(size_t index, Families& families) const;
    // Visits what every shard of every row of the group holds.
    template <typename Visit>
    void for_each_shard(const Group& group, Visit visit) const
    {
        const uint64_t stride = array_stride(layout_.row_size_bytes);
        for (uint32_t row : group.rows)
            for (uint32_t shard = 0; shard < source_.shards; ++shard)
                visit(rows_.data() + (uint64_t{row} * source_.shards + shard) * stride);
    }
    [[nodiscard]] std::string text_of_number(const std::string& map, uint64_t number) const;
    [[nodiscard]] std::optional<double> divisor_of(const RowMetric& metric, const Group& group) const;
    [[nodiscard]] uint64_t sum(const Group& group, uint32_t offset_bytes) const;
    bool fill_histogram(prometheus::ClientMetric::Histogram& histogram, const Group& group, size_t index) const;
    [[nodiscard]] bool overflow_has_counts() const;

    SeriesLayout layout_;
    SeriesSource source_;
    MappedMap keys_;
    MappedMap rows_;
    uint32_t mapped_rows_ = 0;
    std::vector<Grouping> groupings_;
    std::vector<size_t> grouping_of_metric_;
    std::vector<std::vector<double>> bounds_of_metric_;
    std::vector<bool> is_known_; // by row
    uint64_t names_version_ = 0;
    EndedRows ended_;
    std::vector<uint32_t> taken_; // taken back and not free yet: with the generation of their next use
};

} // namespace limpet
