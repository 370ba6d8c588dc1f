// SPDX-License-Identifier: Apache-2.0
#include "bpf_metrics.hpp"

#include <algorithm>
#include <optional>
#include <set>
#include <tuple>

#include "bpf_metric_checks.hpp"
#include "bpf_tags.hpp"
#include "libbpf_log.hpp"
#include "libbpf_owned.hpp"
#include "metric_names.hpp"
#include "split.hpp"

namespace limpet {
namespace {

constexpr uint32_t kHistogramSizeBytes = 192; // struct limpet_histogram
constexpr std::string_view kRowsSuffix = "_rows";

struct Unit {
    std::string_view counted;
    std::string_view exported;
    double divisor;
};
constexpr Unit kUnits[] = {{"ns", "seconds", 1e9}, {"us", "seconds", 1e6}, {"bytes", "bytes", 1.0}, {"1", "1", 1.0}};

const Unit* find_unit(std::string_view counted)
{
    const auto* found =
        std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& unit) { return unit.counted == counted; });
    return found == std::end(kUnits) ? nullptr : found;
}

// Gathers everything that one object declares, and every mistake on the way.
class Reader {
public:
    Reader(const bpf_object* object, const btf* types) : object_(object), types_(types), tags_(types) {}

    Result<BpfMetrics> read()
    {
        read_variables();
        const bpf_map* map = nullptr;
        bpf_object__for_each_map(map, object_) {
            const std::string_view name = bpf_map__name(map);
            if (name.ends_with(kRowsSuffix))
                read_table(std::string(name.substr(0, name.size() - kRowsSuffix.size())), map);
        }
        if (!found_.tables.empty() && bpf_object__next_program(object_, nullptr) == nullptr)
            mistake("the BPF object", "has tables but no program: a function is one by the SEC(\"…\") in front of it");
        if (mistakes_.empty())
            return std::move(found_);
        std::string text;
        for (const std::string& mistake : mistakes_)
            text += (text.empty() ? "" : "\n") + mistake;
        return Error{0, text};
    }

private:
    void mistake(const std::string& where, const std::string& text) { mistakes_.push_back(where + ": " + text); }

    const char* name_at(uint32_t offset) const { return btf__name_by_offset(types_, offset); }

    uint32_t size_of(uint32_t type_id) const
    {
        return static_cast<uint32_t>(std::max<int64_t>(0, btf__resolve_size(types_, type_id)));
    }

    void read_variables()
    {
        const uint32_t count = btf__type_cnt(types_);
        for (uint32_t id = 1; id < count; ++id) {
            const btf_type* type = btf__type_by_id(types_, id);
            if (!btf_is_var(type))
                continue;
            const std::string name = name_at(type->name_off);
            if (const auto fields = tags_.of(id, -1))
                read_variable(name, *fields, size_of(type->type));
        }
    }

    void read_variable(const std::string& name, const std::vector<std::string>& fields, uint32_t size_bytes)
    {
        const std::string where = "variable " + name;
        if (fields[0] == "config" && fields.size() == 2)
            return found_.config.push_back({name, fields[1]});
        if (fields[0] == "ports" && fields.size() == 2)
            return found_.ports.push_back({name, fields[1]});
        if (fields[0] == "if" && fields.size() == 2)
            return found_.switched_maps.push_back({name, fields[1]});
        if (fields[0] != "bounds" || fields.size() != 3)
            return mistake(where,
                           "its tag is none of \"config|key\", \"ports|key\", \"bounds|key|unit\", \"if|variable\"");
        const Unit* unit = find_unit(fields[2]);
        if (!unit)
            return mistake(where, "unknown unit \"" + fields[2] + "\"; one of ns, us, bytes, 1");
        if (size_bytes != 32 * sizeof(uint64_t))
            return mistake(where, "histogram bounds are 32 unsigned 64-bit numbers; use LIMPET_BOUNDS");
        found_.bounds.push_back({name, fields[1], fields[2], unit->divisor});
    }

    // A map with a plain row struct and no `_index` beside it is the probe's own business.
    void read_table(const std::string& table, const bpf_map* rows)
    {
        const bpf_map* index = bpf_object__find_map_by_name(object_, (table + "_index").c_str());
        const bpf_map* keys = bpf_object__find_map_by_name(object_, (table + "_keys").c_str());
        if (!index || !keys)
            return;
        SeriesLayout layout;
        layout.table = table;
        const auto [key, key_id] = struct_behind(types_, bpf_map__btf_key_type_id(index));
        const auto [row, row_id] = struct_behind(types_, bpf_map__btf_value_type_id(rows));
        if (!key || !row)
            return mistake("table " + table, "key and row must be structs");
        layout.key_size_bytes = size_of(key_id);
        layout.row_size_bytes = size_of(row_id);
        layout.slot_size_bytes = bpf_map__value_size(keys);
        read_slot(layout, keys);
        read_key(layout, key, key_id);
        const size_t before = mistakes_.size();
        read_row(layout, row, row_id);
        if (layout.metrics.empty() && mistakes_.size() == before)
            mistake("table " + table, "no member of struct " + std::string(name_at(row->name_off)) + " is a metric");
        found_.tables.push_back(std::move(layout));
    }

    void read_slot(SeriesLayout& layout, const bpf_map* keys)
    {
        const auto [slot, slot_id] = struct_behind(types_, bpf_map__btf_value_type_id(keys));
        for (uint32_t i = 0; slot && i < btf_vlen(slot); ++i) {
            const std::string_view member = name_at(btf_members(slot)[i].name_off);
            const uint32_t offset_bytes = btf_member_bit_offset(slot, i) / 8;
            if (member == "used")
                layout.used_offset_bytes = offset_bytes;
            else if (member == "generation")
                layout.generation_offset_bytes = offset_bytes;
        }
        if (layout.used_offset_bytes == 0)
            mistake("map " + layout.table + "_keys",
                    "its element has no member \"used\"; declare the table with LIMPET_SERIES");
    }

    std::string where_of(const btf_type* type, uint32_t member) const
    {
        return "struct " + std::string(name_at(type->name_off)) + "." + name_at(btf_members(type)[member].name_off);
    }

    void read_key(SeriesLayout& layout, const btf_type* key, uint32_t key_id)
    {
        uint32_t covered_bytes = 0;
        for (uint32_t i = 0; i < btf_vlen(key); ++i) {
            const uint32_t size_bytes = size_of(btf_members(key)[i].type);
            covered_bytes += size_bytes;
            if (const auto fields = tags_.of(key_id, static_cast<int32_t>(i)))
                read_label(layout, where_of(key, i), *fields, btf_member_bit_offset(key, i) / 8, size_bytes);
        }
        if (covered_bytes != layout.key_size_bytes)
            mistake("struct " + std::string(name_at(key->name_off)),
                    "has padding; a hash compares every byte, so name the gaps as members and keep them 0");
    }

    void read_label(SeriesLayout& layout, const std::string& where, const std::vector<std::string>& fields,
                    uint32_t offset_bytes, uint32_t size_bytes)
    {
        if (fields[0] != "label" || fields.size() != 3)
            return mistake(where, "its tag is not \"label|name|decoder\"; a text must not contain '|'");
        KeyLabel label{fields[1], LabelDecoder::kUint, {}, offset_bytes, size_bytes};
        if (!read_decoder(label, fields[2]))
            return mistake(where, "decoder \"" + fields[2] + "\" is unknown or does not fit a member of " +
                                      std::to_string(size_bytes) + " bytes; see tags.bpf.h");
        if (label.decoder != LabelDecoder::kWorkload && !is_label_name(label.name))
            return mistake(where, "\"" + label.name + "\" is not a label name");
        for (const KeyLabel& other : layout.labels)
            if (other.name == label.name)
                return mistake(where, "label \"" + label.name + "\" is declared twice");
        layout.labels.push_back(std::move(label));
    }

    static bool read_decoder(KeyLabel& label, const std::string& text)
    {
        const bool is_number =
            label.size_bytes == 1 || label.size_bytes == 2 || label.size_bytes == 4 || label.size_bytes == 8;
        if (text.starts_with("enum:")) {
            label.decoder = LabelDecoder::kEnum;
            label.items = split(std::string_view(text).substr(5), ',');
            return is_number;
        }
        if (text.starts_with("text_of:")) {
            label.decoder = LabelDecoder::kTextOf;
            label.items = {text.substr(8)};
            return is_number;
        }
        if (text == "workload" || text == "uint" || text == "nonzero") {
            label.decoder = text == "workload" ? LabelDecoder::kWorkload
                            : text == "uint"   ? LabelDecoder::kUint
                                               : LabelDecoder::kNonzero;
            return is_number;
        }
        label.decoder = text == "ip"        ? LabelDecoder::kIp
                        : text == "address" ? LabelDecoder::kAddress
                                            : LabelDecoder::kText;
        return (text == "ip" && label.size_bytes == 16) || (text == "address" && label.size_bytes >= 18) ||
               (text == "text" && label.size_bytes > 0);
    }

    void read_row(SeriesLayout& layout, const btf_type* row, uint32_t row_id)
    {
        for (uint32_t i = 0; i < btf_vlen(row); ++i) {
            const auto fields = tags_.of(row_id, static_cast<int32_t>(i));
            if (!fields)
                continue;
            RowMetric metric;
            metric.source = where_of(row, i);
            metric.offset_bytes = btf_member_bit_offset(row, i) / 8;
            if (read_metric(layout, metric, *fields, row, i))
                layout.metrics.push_back(std::move(metric));
        }
    }

    bool read_metric(const SeriesLayout& layout, RowMetric& metric, const std::vector<std::string>& fields,
                     const btf_type* row, uint32_t member)
    {
        const uint32_t size_bytes = size_of(btf_members(row)[member].type);
        const size_t before = mistakes_.size();
        const bool is_histogram = fields[0] == "histogram";
        if ((fields[0] != "counter" && fields[0] != "gauge" && !is_histogram) ||
            fields.size() != (is_histogram ? 6U : 5U)) {
            mistake(metric.source, "its tag is not \"kind|name|unit|help|options\"; a text must not contain '|'");
            return false;
        }
        metric.kind = is_histogram             ? MetricKind::kHistogram
                      : fields[0] == "counter" ? MetricKind::kCounter
                                               : MetricKind::kGauge;
        metric.name = fields[1];
        metric.unit = fields[2];
        metric.help = fields[3];
        read_unit(metric, fields[0]);
        if (metric.help.empty())
            mistake(metric.source, "has no help text");
        if (metric.help.find('\n') != std::string::npos)
            mistake(metric.source, "its help text must be one line");
        if (size_bytes != (is_histogram ? kHistogramSizeBytes : sizeof(uint64_t)))
            mistake(metric.source, "is not of the type that LIMPET_COUNTER, _GAUGE or _HISTOGRAM declares");
        if (is_histogram)
            read_bounds(metric, fields[5]);
        read_options(layout, metric, fields[4], row);
        for (const std::string& text : label_mistakes(layout, metric))
            mistake(metric.source, text);
        for (const std::string& text : namesake_mistakes(found_.tables, layout, metric))
            mistake(metric.source, text);
        return mistakes_.size() == before;
    }

    void read_unit(RowMetric& metric, const std::string& kind)
    {
        const Unit* unit = find_unit(metric.unit);
        if (!unit)
            return mistake(metric.source, "unknown unit \"" + metric.unit + "\"; one of ns, us, bytes, 1");
        metric.divisor = unit->divisor;
        const std::string wrong = metric_name_mistake(metric.name, kind, unit->exported);
        if (!wrong.empty())
            mistake(metric.source, wrong);
    }

    void read_bounds(RowMetric& metric, const std::string& variable)
    {
        metric.bounds_variable = variable;
        for (const BoundsVariable& bounds : found_.bounds) {
            if (bounds.variable != variable)
                continue;
            if (bounds.unit != metric.unit)
                mistake(metric.source, "counts in " + metric.unit + ", its bounds " + variable + " in " + bounds.unit);
            return;
        }
        mistake(metric.source, "its bounds \"" + variable + "\" are not declared; LIMPET_BOUNDS(" + variable + ", …)");
    }

    // Where another member of the row lies, for the options per=, while= and plus=.
    std::optional<uint32_t> member_of_row(const RowMetric& metric, const btf_type* row, const std::string& option,
                                          uint32_t size_bytes, const char* what)
    {
        const std::string name = option.substr(option.find('=') + 1);
        for (uint32_t i = 0; i < btf_vlen(row); ++i)
            if (name == name_at(btf_members(row)[i].name_off) && size_of(btf_members(row)[i].type) == size_bytes)
                return btf_member_bit_offset(row, i) / 8;
        mistake(metric.source, "option \"" + option + "\" names no " + what + " in its struct");
        return std::nullopt;
    }

    std::optional<uint32_t> number_in_row(const RowMetric& metric, const btf_type* row, const std::string& option)
    {
        return member_of_row(metric, row, option, sizeof(uint64_t), "number of 8 bytes");
    }

    bool has_variable(const std::string& name) const
    {
        return btf__find_by_name_kind(types_, name.c_str(), BTF_KIND_VAR) > 0;
    }

    void read_options(const SeriesLayout& layout, RowMetric& metric, const std::string& options, const btf_type* row)
    {
        std::set<std::string> without;
        for (const std::string& option : split(options, ';')) {
            const size_t colon = option.find(':');
            if (option.starts_with("without="))
                without.insert(option.substr(8));
            else if (option.starts_with("with=") && colon != std::string::npos &&
                     is_label_name(option.substr(5, colon - 5)))
                metric.constants.push_back({option.substr(5, colon - 5), option.substr(colon + 1)});
            else if (option.starts_with("per=") && metric.kind == MetricKind::kGauge)
                metric.per_offset_bytes = number_in_row(metric, row, option);
            else if (option.starts_with("while=") && metric.kind != MetricKind::kHistogram)
                metric.while_offset_bytes = number_in_row(metric, row, option);
            else if (option.starts_with("plus=") && metric.kind == MetricKind::kHistogram)
                metric.plus_offset_bytes =
                    member_of_row(metric, row, option, kHistogramSizeBytes, "struct limpet_histogram");
            else if (option.starts_with("if=") && has_variable(option.substr(3)))
                metric.switch_variable = option.substr(3);
            else if (!option.empty())
                mistake(metric.source, "option \"" + option +
                                           "\" is none of without=<label>, with=<label>:<value>, per=<member> (of "
                                           "gauges), while=<member> (of gauges and counters), plus=<member> (of "
                                           "histograms) and if=<variable>");
        }
        for (uint32_t i = 0; i < layout.labels.size(); ++i)
            if (without.erase(layout.labels[i].name) == 0)
                metric.labels.push_back(i);
        for (const std::string& name : without)
            mistake(metric.source, "without=" + name + ": the key has no such label");
    }

    const bpf_object* object_;
    const btf* types_;
    BpfTags tags_;
    BpfMetrics found_;
    std::vector<std::string> mistakes_;
};

} // namespace

const char* to_string(MetricKind kind)
{
    switch (kind) {
    case MetricKind::kCounter:
        return "counter";
    case MetricKind::kGauge:
        return "gauge";
    case MetricKind::kHistogram:
        return "histogram";
    }
    return "unknown";
}

std::string_view exported_unit(const RowMetric& metric)
{
    return find_unit(metric.unit)->exported;
}

Result<BpfMetrics> read_bpf_metrics(std::span<const std::byte> object)
{
    if (object.empty())
        return BpfMetrics{};
    LibbpfLog log;
    const OwnedBpfObject opened(bpf_object__open_mem(object.data(), object.size(), nullptr));
    if (!opened)
        return errno_error("cannot read the BPF object (" + log.last_line("no details") + ")");
    const btf* types = bpf_object__btf(opened.get());
    if (!types)
        return Error{0, "the BPF object has no BTF; compile it with clang -g and strip only debug sections"};
    return Reader(opened.get(), types).read();
}

} // namespace limpet
