// SPDX-License-Identifier: Apache-2.0
#include "exposition.hpp"

#include <charconv>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string_view>

namespace limpet {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr int kDigits = std::numeric_limits<double>::max_digits10 - 1; // as TextSerializer
constexpr double kLargestWhole = 1e15;                                 // whole numbers below have all their digits

void append(std::string& text, uint64_t number)
{
    char digits[24];
    text.append(digits, std::to_chars(digits, digits + sizeof(digits), number).ptr);
}

void append(std::string& text, double number)
{
    char digits[40];
    if (std::isnan(number))
        text += "Nan";
    else if (std::isinf(number))
        text += number < 0 ? "-Inf" : "+Inf";
    else if (number > 0 && number < kLargestWhole && !(std::trunc(number) < number))
        append(text, static_cast<uint64_t>(number));
    else
        text.append(digits,
                    std::to_chars(digits, digits + sizeof(digits), number, std::chars_format::general, kDigits).ptr);
}

constexpr std::string_view kSpecialInLabel = "\\\"\n";
constexpr std::string_view kSpecialInHelp = "\\\n";

void append_escaped(std::string& text, std::string_view value, std::string_view special)
{
    for (size_t at = value.find_first_of(special); at != std::string_view::npos; at = value.find_first_of(special)) {
        text.append(value.substr(0, at)).append(1, '\\').append(1, value[at] == '\n' ? 'n' : value[at]);
        value.remove_prefix(at + 1);
    }
    text.append(value);
}

// `name="value",…` without braces.
std::string labels_of(const ClientMetric& metric)
{
    std::string text;
    for (const ClientMetric::Label& label : metric.label) {
        text.append(text.empty() ? "" : ",").append(label.name).append("=\"");
        append_escaped(text, label.value, kSpecialInLabel);
        text += '"';
    }
    return text;
}

// One line up to its value.
void append_head(std::string& text, const std::string& name, std::string_view suffix, std::string_view labels)
{
    text.append(name).append(suffix);
    if (!labels.empty())
        text.append(1, '{').append(labels).append(1, '}');
    text += ' ';
}

template <typename Number>
void append_line(std::string& text, const std::string& name, std::string_view suffix, std::string_view labels,
                 Number number)
{
    append_head(text, name, suffix, labels);
    append(text, number);
    text += '\n';
}

void append_bucket(std::string& text, const std::string& name, std::string_view labels, double bound, uint64_t count)
{
    text.append(name).append("_bucket{").append(labels).append(labels.empty() ? "le=\"" : ",le=\"");
    append(text, bound);
    text += "\"} ";
    append(text, count);
    text += '\n';
}

void append_histogram(std::string& text, const std::string& name, std::string_view labels,
                      const ClientMetric::Histogram& histogram)
{
    append_line(text, name, "_count", labels, uint64_t{histogram.sample_count});
    append_line(text, name, "_sum", labels, histogram.sample_sum);
    double last = -std::numeric_limits<double>::infinity();
    for (const ClientMetric::Bucket& bucket : histogram.bucket) {
        last = bucket.upper_bound;
        append_bucket(text, name, labels, last, bucket.cumulative_count);
    }
    if (last < std::numeric_limits<double>::infinity())
        append_bucket(text, name, labels, std::numeric_limits<double>::infinity(), histogram.sample_count);
}

void append_metric(std::string& text, const MetricFamily& family, const ClientMetric& metric)
{
    const std::string labels = labels_of(metric);
    if (family.type == MetricType::Histogram)
        append_histogram(text, family.name, labels, metric.histogram);
    else
        append_line(text, family.name, "", labels,
                    family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value);
}

const char* name_of(MetricType type)
{
    return type == MetricType::Counter ? "counter" : type == MetricType::Gauge ? "gauge" : "histogram";
}

} // namespace

std::string exposition(const std::vector<MetricFamily>& families)
{
    std::string text;
    for (const MetricFamily& family : families) {
        if (!family.help.empty()) {
            text.append("# HELP ").append(family.name).append(1, ' ');
            append_escaped(text, family.help, kSpecialInHelp);
            text += '\n';
        }
        text.append("# TYPE ").append(family.name).append(1, ' ').append(name_of(family.type)).append(1, '\n');
        for (const ClientMetric& metric : family.metric)
            append_metric(text, family, metric);
    }
    return text;
}

} // namespace limpet
