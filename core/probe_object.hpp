// SPDX-License-Identifier: Apache-2.0
//
// Prepares a probe's BPF object for this host and this configuration, before it is loaded.
//
// Functions without state. What a probe's object may contain, and what the agent fills in, is the kernel side of the SDK:
// series.bpf.h, histogram.bpf.h, stream.bpf.h, stats.bpf.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "bpf_metrics.hpp"
#include "bpf_object.hpp"
#include "config.hpp"
#include "plugin_host.hpp"
#include "result.hpp"
#include "series_table.hpp"
#include "tap.hpp"

namespace limpet {

struct ObjectSettings {
    const BpfMetrics& declared;
    const std::map<std::string, ConfigValue>& values; // of the probe's config
    const BoundsByVariable& bounds;                   // from read_bounds()
    std::optional<uint32_t> series_rows;              // per table, the overflow row included; empty: as declared
    const TableRows& granted_rows;                    // where a limit leaves less than that
    double workload_share = 1;                        // of a table's rows, that one workload may take
    uint32_t shards = 1;                              // elements of <table>_rows per row
    uint32_t parser_number = 0;                       // 0: parses no streams
    const PluginHost::Variables& variables;           // that the probe sets by itself; they win
    const Tap& tap;
};

// The histogram bounds that the config gives: 1 to 22 of them, positive and ascending. One mistake per line.
[[nodiscard]] Result<BoundsByVariable> read_bounds(const BpfMetrics& declared,
                                                   const std::map<std::string, ConfigValue>& values);

// Bounds as the kernel side compares them: in the counted unit, padded.
[[nodiscard]] std::array<uint64_t, 32> counted_bounds(const std::vector<double>& bounds, double divisor);

// The ports that a LIMPET_PORTS variable stands for: 1 to 16 whole numbers from 1 to 65535, each once.
[[nodiscard]] Result<std::vector<uint16_t>> read_ports(const ConfigVariable& ports,
                                                       const std::map<std::string, ConfigValue>& values);

// The rows of the tables that the config does not switch off. `object` is only opened; its variables are those of the config then.
[[nodiscard]] Result<TableRows> wanted_rows(BpfObject& object, const BpfMetrics& declared,
                                            const std::map<std::string, ConfigValue>& values,
                                            std::optional<uint32_t> series_rows);

// Takes metrics out that are switched off: once the object has its variables.
void drop_switched_off(BpfMetrics& declared, const BpfObject& object);

// Variables, map sizes and shared maps.
Done prepare_object(BpfObject& object, const ObjectSettings& settings);

} // namespace limpet
