// SPDX-License-Identifier: Apache-2.0
//
// What a BPF object says about its own metrics: the decl tags of tags.bpf.h, read from its BTF.
//
// Values, freely copied; nothing is loaded into the kernel and no privilege is needed. Reading one object is a matter of
// a millisecond. Used by the loader (offsets), by the exporter (names) and by `limpet plugin info` (the list). No threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "result.hpp"

namespace limpet {

enum class MetricKind { kCounter, kGauge, kHistogram };

// "counter", "gauge" or "histogram".
[[nodiscard]] const char* to_string(MetricKind kind);

enum class LabelDecoder { kWorkload, kUint, kNonzero, kIp, kAddress, kText, kTextOf, kEnum };

// A member of a key struct and how its bytes become a label value.
struct KeyLabel {
    std::string name;
    LabelDecoder decoder = LabelDecoder::kUint;
    std::vector<std::string> items; // kEnum: the texts by number; kTextOf: the map
    uint32_t offset_bytes = 0;
    uint32_t size_bytes = 0;
};

struct ConstantLabel {
    std::string name;
    std::string value;
};

// A member of a row struct that is exported.
struct RowMetric {
    std::string name;
    MetricKind kind = MetricKind::kCounter;
    std::string unit;     // as counted: "ns", "us", "bytes", "1"
    double divisor = 1.0; // counted value / divisor = exported value
    std::string help;
    uint32_t offset_bytes = 0;
    std::vector<uint32_t> labels; // indices into SeriesLayout::labels, those that are exported
    std::vector<ConstantLabel> constants;
    std::string bounds_variable; // histograms
    std::string source;
    // Of another number of the row: what a gauge is divided by, and what a sample needs to be there. No sample where it is 0.
    std::optional<uint32_t> per_offset_bytes = std::nullopt;
    std::optional<uint32_t> while_offset_bytes = std::nullopt;
    std::optional<uint32_t> plus_offset_bytes = std::nullopt; // of another histogram of the row, which is added
    std::string switch_variable = {}; // in .rodata: where it is 0, the metric is off. "": always on
};

// "seconds", "bytes" or "1".
[[nodiscard]] std::string_view exported_unit(const RowMetric& metric);

// One LIMPET_SERIES table.
struct SeriesLayout {
    std::string table; // the maps are <table>_index, <table>_keys and <table>_rows
    uint32_t key_size_bytes = 0;
    uint32_t slot_size_bytes = 0; // element of <table>_keys
    uint32_t used_offset_bytes = 0;
    uint32_t generation_offset_bytes = 0; // 0: made before rows could be taken back
    uint32_t row_size_bytes = 0;
    std::vector<KeyLabel> labels;
    std::vector<RowMetric> metrics;
};

// A LIMPET_BOUNDS variable in .rodata.
struct BoundsVariable {
    std::string variable;
    std::string config_key;
    std::string unit;     // as counted
    double divisor = 1.0; // config value * divisor = counted value
};

// A variable in .rodata that the host fills from a config key ("limpet:config|key").
struct ConfigVariable {
    std::string variable;
    std::string config_key;
};

// A map of one element where the variable in .rodata is 0 (LIMPET_MAP_IF).
struct SwitchedMap {
    std::string map;
    std::string variable;
};

struct BpfMetrics {
    std::vector<SeriesLayout> tables;
    std::vector<BoundsVariable> bounds;
    std::vector<ConfigVariable> config;
    std::vector<ConfigVariable> ports; // LIMPET_PORTS: lists of ports whose datagrams the probe wants
    std::vector<SwitchedMap> switched_maps;
};

// Reads and checks the declarations of one BPF ELF object. All mistakes in one Error, one per line, each naming struct and
// member: a name that Prometheus does not take, a counter without "_total", a unit that the name does not end in, a label
// twice, bounds that are not declared, a member of the wrong type.
[[nodiscard]] Result<BpfMetrics> read_bpf_metrics(std::span<const std::byte> object);

} // namespace limpet
