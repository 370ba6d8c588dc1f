// SPDX-License-Identifier: Apache-2.0
//
// The metrics of a BPF object as people read them: `limpet plugin info` and the generated documents. Pure functions; no threads.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "bpf_metrics.hpp"
#include "result.hpp"

namespace limpet {

// One exported metric.
struct MetricDeclaration {
    std::string name;
    MetricKind kind = MetricKind::kCounter;
    std::string unit; // as exported: "seconds", "bytes" or "1"
    std::string help;
    std::vector<std::string> labels; // container_id and service_name included where they apply
    std::string bounds_config_key;   // histograms: the config key that sets the bucket bounds
    std::string source;              // "struct http_server_row.duration": where it is declared
};

// What read_bpf_metrics finds, sorted by name; errors as there. An empty object has none.
[[nodiscard]] Result<std::vector<MetricDeclaration>> declared_metrics(std::span<const std::byte> object);

} // namespace limpet
