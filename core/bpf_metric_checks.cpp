// SPDX-License-Identifier: Apache-2.0
#include "bpf_metric_checks.hpp"

#include <algorithm>

namespace limpet {
namespace {

bool has_same_constants(const RowMetric& a, const RowMetric& b)
{
    return std::equal(
        a.constants.begin(), a.constants.end(), b.constants.begin(), b.constants.end(),
        [](const ConstantLabel& x, const ConstantLabel& y) { return x.name == y.name && x.value == y.value; });
}

bool differs_in_kind(const RowMetric& a, const RowMetric& b)
{
    return a.name == b.name && (a.kind != b.kind || a.help != b.help);
}

bool has_same_series(const RowMetric& a, const RowMetric& b)
{
    return a.name == b.name && a.labels == b.labels && has_same_constants(a, b) && a.switch_variable.empty() &&
           b.switch_variable.empty();
}

std::string kind_mistake(const RowMetric& metric, const RowMetric& other)
{
    return "is the metric \"" + metric.name + "\" as " + other.source +
           " is, but of another kind or with another help text";
}

} // namespace

std::vector<std::string> label_names(const SeriesLayout& layout, const RowMetric& metric)
{
    std::vector<std::string> names;
    for (uint32_t index : metric.labels) {
        const KeyLabel& label = layout.labels[index];
        if (label.decoder == LabelDecoder::kWorkload)
            names.insert(names.end(), {"container_id", "service_name"});
        else
            names.push_back(label.name);
    }
    for (const ConstantLabel& constant : metric.constants)
        names.push_back(constant.name);
    return names;
}

std::vector<std::string> label_mistakes(const SeriesLayout& layout, const RowMetric& metric)
{
    std::vector<std::string> mistakes;
    std::vector<std::string> names = label_names(layout, metric);
    std::sort(names.begin(), names.end());
    for (auto twice = std::adjacent_find(names.begin(), names.end()); twice != names.end();
         twice = std::adjacent_find(std::upper_bound(twice, names.end(), *twice), names.end()))
        mistakes.push_back("has two labels \"" + *twice +
                           "\"; rename one (container_id and service_name are made by the decoder \"workload\")");
    return mistakes;
}

std::vector<std::string> namesake_mistakes(const std::vector<SeriesLayout>& tables, const SeriesLayout& layout,
                                           const RowMetric& metric)
{
    std::vector<std::string> mistakes;
    for (const SeriesLayout& table : tables)
        for (const RowMetric& other : table.metrics)
            if (differs_in_kind(metric, other))
                mistakes.push_back(kind_mistake(metric, other));
    for (const RowMetric& other : layout.metrics) {
        if (differs_in_kind(metric, other))
            mistakes.push_back(kind_mistake(metric, other));
        if (has_same_series(metric, other))
            mistakes.push_back("is the metric \"" + metric.name + "\" with the same labels as " + other.source +
                               "; tell them apart by the option with=<label>:<value>");
    }
    return mistakes;
}

} // namespace limpet
