// SPDX-License-Identifier: Apache-2.0
#include "metric_declarations.hpp"

#include <algorithm>
#include <map>

#include "bpf_metric_checks.hpp"

namespace limpet {
namespace {

MetricDeclaration declaration_of(const SeriesLayout& layout, const RowMetric& metric, const BpfMetrics& all)
{
    MetricDeclaration declaration{metric.name, metric.kind,  std::string(exported_unit(metric)), metric.help, {},
                                  "",          metric.source};
    declaration.labels = label_names(layout, metric);
    for (const BoundsVariable& bounds : all.bounds)
        if (bounds.variable == metric.bounds_variable)
            declaration.bounds_config_key = bounds.config_key;
    return declaration;
}

// By name; one that several rows have, with the labels of each.
std::vector<MetricDeclaration> joined(std::vector<MetricDeclaration> all)
{
    std::map<std::string, MetricDeclaration> by_name;
    for (const MetricDeclaration& declaration : all) {
        const auto [first, is_new] = by_name.try_emplace(declaration.name, declaration);
        std::vector<std::string>& labels = first->second.labels;
        for (const std::string& label : declaration.labels)
            if (!is_new && std::find(labels.begin(), labels.end(), label) == labels.end())
                labels.push_back(label);
    }
    all.clear();
    for (auto& [name, declaration] : by_name)
        all.push_back(std::move(declaration));
    return all;
}

} // namespace

Result<std::vector<MetricDeclaration>> declared_metrics(std::span<const std::byte> object)
{
    const Result<BpfMetrics> metrics = read_bpf_metrics(object);
    if (!metrics)
        return metrics.error();
    std::vector<MetricDeclaration> all;
    for (const SeriesLayout& layout : metrics->tables)
        for (const RowMetric& metric : layout.metrics)
            all.push_back(declaration_of(layout, metric, *metrics));
    return joined(std::move(all));
}

} // namespace limpet
