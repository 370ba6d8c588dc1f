// SPDX-License-Identifier: Apache-2.0
//
// Metric families as Prometheus reads them: the text format, version 0.0.4.
//
// A function without state. To the byte what prometheus-cpp's TextSerializer writes (tests/core/exposition_test.cpp), which spends
// most of a scrape in streams and locales.
#pragma once

#include <string>
#include <vector>

#include <prometheus/metric_family.h>

namespace limpet {

[[nodiscard]] std::string exposition(const std::vector<prometheus::MetricFamily>& families);

} // namespace limpet
