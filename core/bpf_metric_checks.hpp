// SPDX-License-Identifier: Apache-2.0
//
// Metrics that a BPF object declares, held against each other: what would make a scrape unreadable or series ambiguous.
// Pure functions; no threads. Mistakes are texts for people, without the member that they are about.
#pragma once

#include <string>
#include <vector>

#include "bpf_metrics.hpp"

namespace limpet {

// Of its samples, constant ones included.
[[nodiscard]] std::vector<std::string> label_names(const SeriesLayout& layout, const RowMetric& metric);

// Prometheus takes nothing at all from a scrape in which a label stands twice in a sample.
[[nodiscard]] std::vector<std::string> label_mistakes(const SeriesLayout& layout, const RowMetric& metric);

// Members that are one metric must be told apart by their labels, or by variables that switch them off. `tables`: those before
// `layout`, which has the metrics in front of this one.
[[nodiscard]] std::vector<std::string> namesake_mistakes(const std::vector<SeriesLayout>& tables,
                                                         const SeriesLayout& layout, const RowMetric& metric);

} // namespace limpet
