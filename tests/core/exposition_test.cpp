// SPDX-License-Identifier: Apache-2.0
#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include <catch2/catch.hpp>
#include <prometheus/text_serializer.h>

#include "exposition.hpp"

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

namespace {

std::string theirs(const std::vector<MetricFamily>& families)
{
    return prometheus::TextSerializer().Serialize(families);
}

std::mt19937_64& chance()
{
    static std::mt19937_64 generator(9465); // the same run every time
    return generator;
}

double any_double()
{
    switch (chance()() % 4) {
    case 0:
        return std::bit_cast<double>(chance()());
    case 1:
        return static_cast<double>(chance()() % 1'000'000'000);
    case 2:
        return static_cast<double>(chance()()) / 1e9;
    default:
        return static_cast<double>(chance()() >> chance()() % 64);
    }
}

std::string any_text()
{
    const std::string characters = "ab\\\"\n{},= \xc3\xa4";
    std::string text;
    for (uint64_t left = chance()() % 12; left > 0; --left)
        text += characters[chance()() % characters.size()];
    return text;
}

ClientMetric any_metric(MetricType type)
{
    ClientMetric metric;
    for (uint64_t left = chance()() % 4; left > 0; --left)
        metric.label.push_back({"label_" + std::to_string(left), any_text()});
    metric.counter.value = metric.gauge.value = any_double();
    if (type != MetricType::Histogram)
        return metric;
    metric.histogram.sample_count = chance()() >> chance()() % 64;
    metric.histogram.sample_sum = any_double();
    for (uint64_t i = 1; i < chance()() % 24; ++i)
        metric.histogram.bucket.push_back({chance()() >> chance()() % 64, std::ldexp(0.0001, static_cast<int>(i))});
    if (chance()() % 2)
        metric.histogram.bucket.push_back({metric.histogram.sample_count, std::numeric_limits<double>::infinity()});
    return metric;
}

} // namespace

TEST_CASE("families are written to the byte as prometheus-cpp writes them")
{
    for (int round = 0; round < 300; ++round) {
        std::vector<MetricFamily> families;
        for (uint64_t left = chance()() % 5; left > 0; --left) {
            const MetricType type = std::array{MetricType::Counter, MetricType::Gauge, MetricType::Histogram}[left % 3];
            MetricFamily family{"family_" + std::to_string(left), left % 2 ? "Help." : "", type, {}};
            for (uint64_t metrics = chance()() % 20; metrics > 0; --metrics)
                family.metric.push_back(any_metric(type));
            families.push_back(std::move(family));
        }
        REQUIRE(limpet::exposition(families) == theirs(families));
    }
}

TEST_CASE("numbers at the edges are written as prometheus-cpp writes them")
{
    const double number = GENERATE(0.0, -0.0, 1.0, -1.0, 0.1, 1e15, 1e16, 999999999999999.0, 1e15 + 0.5, 1e-5, 2.5e-320,
                                   1e300, std::numeric_limits<double>::infinity(),
                                   -std::numeric_limits<double>::infinity(), std::nan(""), 123456789.125);
    ClientMetric metric;
    metric.gauge.value = number;
    const std::vector<MetricFamily> families{{"edge", "An edge.", MetricType::Gauge, {metric}}};
    CHECK(limpet::exposition(families) == theirs(families));
}

TEST_CASE("a help text stays one line, whatever is in it")
{
    const MetricFamily family{"a_total", "Back\\slash \"and\"\nline.", MetricType::Counter, {}};
    CHECK(limpet::exposition({family}) == "# HELP a_total Back\\\\slash \"and\"\\nline.\n# TYPE a_total counter\n");
}
