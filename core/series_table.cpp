// SPDX-License-Identifier: Apache-2.0
#include "series_table.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>

#include <bpf/bpf.h>

#include "label_decoder.hpp"

namespace limpet {
namespace {

constexpr uint32_t kOverflowRow = 0;
constexpr uint32_t kBuckets = 23;         // LIMPET_BUCKETS
constexpr uint32_t kFirstMappedRows = 64; // mapping makes pages resident: begin small, then double
constexpr const char* kOverflowText = "other";

bool same(const std::vector<ConstantLabel>& a, const std::vector<ConstantLabel>& b)
{
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const ConstantLabel& x, const ConstantLabel& y) {
        return x.name == y.name && x.value == y.value;
    });
}

std::string text_of(const Labels& labels)
{
    std::string text;
    for (const auto& label : labels)
        text.append(label.name).append(1, '\0').append(label.value).append(1, '\0');
    return text;
}

} // namespace

Result<SeriesTable> SeriesTable::open(SeriesLayout layout, const SeriesSource& source, const BoundsByVariable& bounds)
{
    SeriesTable table(std::move(layout), source);
    const size_t keys_bytes = source.rows * array_stride(table.layout_.slot_size_bytes);
    Result<MappedMap> keys = MappedMap::map_writable(source.keys_fd, keys_bytes, table.layout_.table + "_keys");
    if (!keys)
        return keys.error();
    table.keys_ = std::move(*keys);
    table.is_known_.resize(source.rows);
    table.make_groupings();
    for (const RowMetric& metric : table.layout_.metrics) {
        const auto found = bounds.find(metric.bounds_variable);
        table.bounds_of_metric_.push_back(found == bounds.end() ? std::vector<double>{} : found->second);
    }
    return table;
}

void SeriesTable::make_groupings()
{
    for (const RowMetric& metric : layout_.metrics) {
        const auto found = std::find_if(groupings_.begin(), groupings_.end(), [&](const Grouping& grouping) {
            return grouping.labels == metric.labels && same(grouping.constants, metric.constants);
        });
        grouping_of_metric_.push_back(static_cast<size_t>(found - groupings_.begin()));
        if (found == groupings_.end())
            groupings_.push_back({metric.labels, metric.constants, {}, {}});
    }
}

Done SeriesTable::collect(const Workloads& workloads, Families& families)
{
    if (const Done mapped = map_rows(rows_handed_out() + 1); !mapped)
        return mapped;
    find_new_rows(workloads);
    for (size_t i = 0; i < layout_.metrics.size(); ++i)
        collect_metric(i, families);
    return done();
}

uint32_t SeriesTable::rows_in_use() const
{
    uint32_t total = 0;
    for (uint32_t row = 1; row <= rows_handed_out(); ++row)
        total += is_whole(row);
    return total;
}

// So far: those that were taken back are among them.
uint32_t SeriesTable::rows_handed_out() const
{
    const uint32_t handed_out = read_once<uint32_t>(source_.used.data()); // may run past the end when CPUs race for it
    return std::min(std::max(handed_out, 1U), source_.rows) - 1;
}

Done SeriesTable::map_rows(uint32_t rows)
{
    if (rows <= mapped_rows_)
        return done();
    const uint32_t wanted = std::min(source_.rows, std::max({rows, mapped_rows_ * 2, kFirstMappedRows}));
    const size_t row_bytes = source_.shards * array_stride(layout_.row_size_bytes);
    Result<MappedMap> mapped = MappedMap::map_writable(source_.rows_fd, wanted * row_bytes, layout_.table + "_rows");
    if (!mapped)
        return mapped.error();
    rows_ = std::move(*mapped);
    mapped_rows_ = wanted;
    return done();
}

void SeriesTable::find_new_rows(const Workloads& workloads)
{
    if (names_version_ != workloads.version()) {
        for (Grouping& grouping : groupings_) {
            grouping.groups.clear();
            grouping.by_text.clear();
        }
        std::fill(is_known_.begin(), is_known_.end(), false);
        names_version_ = workloads.version();
    }
    const uint32_t rows = rows_handed_out();
    for (uint32_t row = 0; row <= rows; ++row)
        if (!is_known_[row] && (row == kOverflowRow ? overflow_has_counts() : is_whole(row)))
            add_row(row, workloads);
}

void SeriesTable::add_row(uint32_t row, const Workloads& workloads)
{
    is_known_[row] = true;
    for (Grouping& grouping : groupings_)
        add_to(grouping, row, workloads);
}

void SeriesTable::add_to(Grouping& grouping, uint32_t row, const Workloads& workloads)
{
    Labels labels;
    for (uint32_t index : grouping.labels)
        append_labels(labels, layout_.labels[index], row, workloads);
    for (const ConstantLabel& constant : grouping.constants)
        labels.push_back({constant.name, constant.value});
    const auto [place, is_new] = grouping.by_text.try_emplace(text_of(labels), grouping.groups.size());
    if (is_new)
        grouping.groups.push_back({std::move(labels), {}});
    grouping.groups[place->second].rows.push_back(row);
}

void SeriesTable::append_labels(Labels& labels, const KeyLabel& label, uint32_t row, const Workloads& workloads) const
{
    const std::span<const std::byte> key(slot(row), layout_.key_size_bytes);
    if (label.decoder == LabelDecoder::kWorkload) {
        const auto number = static_cast<uint32_t>(unsigned_number(key.subspan(label.offset_bytes, label.size_bytes)));
        const WorkloadName name =
            row == kOverflowRow ? WorkloadName{kOverflowText, kOverflowText} : workloads.name(number);
        labels.push_back({"container_id", name.container_id});
        labels.push_back({"service_name", name.service_name});
    } else if (row == kOverflowRow) {
        labels.push_back({label.name, kOverflowText});
    } else if (label.decoder == LabelDecoder::kTextOf) {
        const uint64_t number = unsigned_number(key.subspan(label.offset_bytes, label.size_bytes));
        if (std::string text = text_of_number(label.items.front(), number); !text.empty())
            labels.push_back({label.name, std::move(text)});
    } else if (auto text = decode_label(label, key)) {
        labels.push_back({label.name, std::move(*text)});
    }
}

// Element 0 stands for what has no element of its own.
std::string SeriesTable::text_of_number(const std::string& map, uint64_t number) const
{
    const auto texts = source_.texts.find(map);
    if (number == 0 || texts == source_.texts.end())
        return kOverflowText;
    std::vector<char> text(array_stride(texts->second.element_bytes));
    const auto index = static_cast<uint32_t>(number);
    if (bpf_map_lookup_elem(texts->second.fd, &index, text.data()))
        return kOverflowText;
    return valid_utf8({text.data(), strnlen(text.data(), texts->second.element_bytes)});
}

bool SeriesTable::overflow_has_counts() const
{
    const Group overflow{{}, {kOverflowRow}};
    for (uint32_t offset = 0; offset + sizeof(uint64_t) <= layout_.row_size_bytes; offset += sizeof(uint64_t))
        if (sum(overflow, offset))
            return true;
    return false;
}

void SeriesTable::collect_metric(size_t index, Families& families) const
{
    const RowMetric& metric = layout_.metrics[index];
    const std::vector<Group>& groups = groupings_[grouping_of_metric_[index]].groups;
    if (groups.empty())
        return;
    prometheus::MetricFamily& family = families.family(metric.name, metric.kind, metric.help);
    family.metric.reserve(family.metric.size() + groups.size());
    for (const Group& group : groups) {
        prometheus::ClientMetric sample;
        const std::optional<double> divisor = divisor_of(metric, group);
        if (!divisor || (metric.kind == MetricKind::kHistogram && !fill_histogram(sample.histogram, group, index)))
            continue;
        if (metric.kind == MetricKind::kCounter)
            sample.counter.value = static_cast<double>(sum(group, metric.offset_bytes)) / *divisor;
        if (metric.kind == MetricKind::kGauge)
            sample.gauge.value = static_cast<double>(static_cast<int64_t>(sum(group, metric.offset_bytes))) / *divisor;
        sample.label = group.labels;
        family.metric.push_back(std::move(sample));
    }
}

// What the metric's sum is divided by; none: the group has no sample of it now. A number below 0 is one that two CPUs are
// changing while we read, and as good as 0.
std::optional<double> SeriesTable::divisor_of(const RowMetric& metric, const Group& group) const
{
    const auto number_at = [&](uint32_t offset) { return static_cast<int64_t>(sum(group, offset)); };
    if (metric.while_offset_bytes && number_at(*metric.while_offset_bytes) <= 0)
        return std::nullopt;
    if (!metric.per_offset_bytes)
        return metric.divisor;
    const int64_t per = number_at(*metric.per_offset_bytes);
    return per > 0 ? std::optional(metric.divisor * static_cast<double>(per)) : std::nullopt;
}

// Of one number, over all shards of all rows of the group.
uint64_t SeriesTable::sum(const Group& group, uint32_t offset_bytes) const
{
    uint64_t total = 0;
    for_each_shard(group, [&](const std::byte* row) { total += read_once<uint64_t>(row + offset_bytes); });
    return total;
}

// False when nothing has been observed.
bool SeriesTable::fill_histogram(prometheus::ClientMetric::Histogram& histogram, const Group& group, size_t index) const
{
    const RowMetric& metric = layout_.metrics[index];
    const std::vector<double>& bounds = bounds_of_metric_[index];
    std::array<uint64_t, 1 + kBuckets> totals{}; // struct limpet_histogram: sum, buckets
    const auto add = [&](uint32_t offset_bytes) {
        for_each_shard(group, [&](const std::byte* row) {
            for (size_t i = 0; i < totals.size(); ++i)
                totals[i] += read_once<uint64_t>(row + offset_bytes + i * sizeof(uint64_t));
        });
    };
    add(metric.offset_bytes);
    if (metric.plus_offset_bytes)
        add(*metric.plus_offset_bytes);
    histogram.bucket.reserve(bounds.size() + 1);
    uint64_t cumulative = 0;
    for (size_t bucket = 0; bucket < kBuckets; ++bucket) {
        cumulative += totals[1 + bucket];
        if (bucket < bounds.size())
            histogram.bucket.push_back({cumulative, bounds[bucket]});
    }
    histogram.bucket.push_back({cumulative, std::numeric_limits<double>::infinity()});
    histogram.sample_count = cumulative;
    histogram.sample_sum = static_cast<double>(totals[0]) / metric.divisor;
    return cumulative > 0;
}

} // namespace limpet
