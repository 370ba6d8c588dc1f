// SPDX-License-Identifier: Apache-2.0
//
// The metric families of one scrape, each name once, in the order of first use.
//
// Owner: the scrape. Several tables of a probe may feed one family. No threads.
#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>

#include "bpf_metrics.hpp"

namespace limpet {

using Labels = std::vector<prometheus::ClientMetric::Label>;

class Families {
public:
    // The family of that name, made on first use. The reference is good until the next call.
    prometheus::MetricFamily& family(const std::string& name, MetricKind kind, const std::string& help)
    {
        const auto [place, is_new] = index_.try_emplace(name, families_.size());
        if (is_new)
            families_.push_back({name, help, type_of(kind), {}});
        return families_[place->second];
    }

    // One sample of a counter or gauge.
    void add(const std::string& name, MetricKind kind, const std::string& help, Labels labels, double value)
    {
        prometheus::ClientMetric& metric = family(name, kind, help).metric.emplace_back();
        metric.label = std::move(labels);
        (kind == MetricKind::kCounter ? metric.counter.value : metric.gauge.value) = value;
    }

    [[nodiscard]] std::vector<prometheus::MetricFamily> take() { return std::move(families_); }
    [[nodiscard]] const std::vector<prometheus::MetricFamily>& all() const { return families_; }

private:
    static prometheus::MetricType type_of(MetricKind kind)
    {
        return kind == MetricKind::kCounter ? prometheus::MetricType::Counter
               : kind == MetricKind::kGauge ? prometheus::MetricType::Gauge
                                            : prometheus::MetricType::Histogram;
    }

    std::vector<prometheus::MetricFamily> families_;
    std::unordered_map<std::string, size_t> index_;
};

} // namespace limpet
