// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <catch2/catch.hpp>

#include "bpf_metrics.hpp"
#include "metric_declarations.hpp"
#include "metric_names.hpp"
#include "object_file.hpp"

using namespace limpet;

namespace {

BpfMetrics declared()
{
    const Result<BpfMetrics> metrics = read_bpf_metrics(contents_of(LIMPET_DECLARED_OBJECT));
    if (!metrics)
        FAIL(metrics.error().text);
    return *metrics;
}

const RowMetric& metric_named(const SeriesLayout& layout, const std::string& name)
{
    const auto found = std::find_if(layout.metrics.begin(), layout.metrics.end(),
                                    [&](const RowMetric& metric) { return metric.name == name; });
    REQUIRE(found != layout.metrics.end());
    return *found;
}

} // namespace

TEST_CASE("a table is read with its labels, where they lie and how they are decoded")
{
    const BpfMetrics metrics = declared();
    REQUIRE(metrics.tables.size() == 1);
    const SeriesLayout& table = metrics.tables[0];
    CHECK(table.table == "every");
    CHECK(table.key_size_bytes == 28);
    CHECK(table.slot_size_bytes == 40);
    CHECK(table.used_offset_bytes == 28);
    CHECK(table.row_size_bytes == 440);

    REQUIRE(table.labels.size() == 6);
    CHECK(table.labels[0].decoder == LabelDecoder::kWorkload);
    CHECK(table.labels[1].name == "status_code");
    CHECK(table.labels[1].offset_bytes == 4);
    CHECK(table.labels[1].size_bytes == 2);
    CHECK(table.labels[2].items == std::vector<std::string>{"_OTHER", "GET", "HEAD"});
    CHECK(table.labels[3].items == std::vector<std::string>{"", "reset"});
    CHECK(table.labels[4].decoder == LabelDecoder::kIp);
    CHECK(table.labels[5].decoder == LabelDecoder::kTextOf);
    CHECK(table.labels[5].items == std::vector<std::string>{"every_texts"});
    CHECK(table.labels[5].offset_bytes == 24);
    CHECK(table.labels[5].size_bytes == 4);
}

TEST_CASE("a row's metrics are read with unit, place, options and bounds; untagged members are none")
{
    const SeriesLayout table = declared().tables[0];
    REQUIRE(table.metrics.size() == 7);

    const RowMetric& delay = metric_named(table, "every_delay_seconds");
    CHECK(delay.kind == MetricKind::kHistogram);
    CHECK(delay.divisor == 1e9);
    CHECK(delay.offset_bytes == 0);
    CHECK(delay.bounds_variable == "delay_bounds");
    CHECK(delay.source == "struct every_row.delay");
    CHECK(delay.plus_offset_bytes == 248);

    const RowMetric& sent = metric_named(table, "every_sent_bytes_total");
    CHECK(sent.kind == MetricKind::kCounter);
    CHECK(sent.offset_bytes == 192);
    CHECK(sent.labels == std::vector<uint32_t>{0, 1, 2, 4, 5});
    REQUIRE(sent.constants.size() == 1);
    CHECK(sent.constants[0].name == "role");
    CHECK(sent.constants[0].value == "client");

    CHECK(metric_named(table, "every_open").labels == std::vector<uint32_t>{0, 4});
    CHECK_FALSE(metric_named(table, "every_open").per_offset_bytes);
    CHECK(metric_named(table, "every_mean_seconds").per_offset_bytes == 216);
    CHECK(table.metrics[6].name == "every_sent_bytes_total");
    CHECK(table.metrics[6].while_offset_bytes == table.metrics[6].offset_bytes);
    CHECK(delay.switch_variable == "delays_are_on");
    CHECK(sent.switch_variable.empty());
}

TEST_CASE("variables that the config fills are read")
{
    const BpfMetrics metrics = declared();
    REQUIRE(metrics.bounds.size() == 1);
    CHECK(metrics.bounds[0].variable == "delay_bounds");
    CHECK(metrics.bounds[0].config_key == "delay_buckets");
    REQUIRE(metrics.config.size() == 2);
    CHECK(metrics.config[0].variable == "slow_ns");
    CHECK(metrics.config[0].config_key == "slow");
    REQUIRE(metrics.switched_maps.size() == 1);
    CHECK(metrics.switched_maps[0].map == "every_texts");
    CHECK(metrics.switched_maps[0].variable == "delays_are_on");
    REQUIRE(metrics.ports.size() == 1);
    CHECK(metrics.ports[0].variable == "served_ports");
    CHECK(metrics.ports[0].config_key == "ports");
}

TEST_CASE("the list for people has the exported labels and units, sorted by name, each metric once")
{
    const auto metrics = declared_metrics(contents_of(LIMPET_DECLARED_OBJECT));
    REQUIRE(metrics);
    REQUIRE(metrics->size() == 5);
    const MetricDeclaration& delay = metrics->front();
    CHECK(delay.name == "every_delay_seconds");
    CHECK(delay.unit == "seconds");
    CHECK(delay.bounds_config_key == "delay_buckets");
    CHECK(delay.labels == std::vector<std::string>{"container_id", "service_name", "status_code", "method",
                                                   "error_type", "peer_address", "reason"});
    CHECK(metrics->back().name == "every_sent_bytes_total"); // two members, one metric: the labels of both
    CHECK(metrics->back().labels == std::vector<std::string>{"container_id", "service_name", "status_code", "method",
                                                             "peer_address", "reason", "role", "resent"});
}

TEST_CASE("every mistake is reported at once, with struct and member")
{
    const Result<BpfMetrics> metrics = read_bpf_metrics(contents_of(LIMPET_MISDECLARED_OBJECT));
    REQUIRE_FALSE(metrics);
    const std::string text = metrics.error().text;
    for (const char* expected :
         {"struct wrong_key.number: \"le\" is not a label name",
          "struct wrong_key.word: decoder \"roman\" is unknown",
          "struct wrong_key.address: decoder \"ip\" is unknown or does not fit a member of 4 bytes",
          "struct wrong_key.text: decoder \"text_of:texts\" is unknown or does not fit a member of 12 bytes",
          "struct wrong_key.second: label \"twice\" is declared twice",
          "struct wrong_key: has padding",
          "struct wrong_row.count: \"wrong_things\" is a counter and must end in \"_total\"",
          "struct wrong_row.gauge: \"wrong_gauge_total\" ends in \"_total\"",
          "struct wrong_row.seconds: \"wrong_time_total\" is exported in seconds and must end in \"_seconds_total\"",
          "struct wrong_row.unit: unknown unit \"miles\"",
          "struct wrong_row.silent: has no help text",
          "struct wrong_row.name: \"wrong-name_total\" is not a metric name",
          "struct wrong_row.option: option \"sideways=yes\"",
          "struct wrong_row.option: without=nothing: the key has no such label",
          "struct wrong_row.sometimes: option \"if=nobody\" is none of",
          "struct wrong_row.mean: option \"per=count\" is none of",
          "struct wrong_row.lonely: option \"per=nobody\" names no number of 8 bytes",
          "struct wrong_row.narrowed: option \"while=narrow\" names no number of 8 bytes",
          "struct wrong_row.boundless: its bounds \"no_bounds\" are not declared",
          "struct wrong_row.boundless: option \"plus=count\" names no struct limpet_histogram",
          "struct wrong_row.reserved: \"limpet_wrong_total\" begins with \"limpet_\"",
          "struct wrong_row.lines: its help text must be one line",
          "struct wrong_row.double_label: has two labels \"twice\"",
          "struct wrong_row.second_twin: is the metric \"wrong_twin_total\" with the same labels as struct "
          "wrong_row.first_twin",
          "struct wrong_row.liar: is the metric \"wrong_twin_total\" as struct wrong_row.first_twin is, but of another "
          "kind",
          "struct wrong_row.narrow: is not of the type",
          "struct wrong_row.short_tag: its tag is not"})
        CHECK_THAT(text, Catch::Contains(expected));
}

TEST_CASE("tables that no program can fill are refused")
{
    const Result<BpfMetrics> metrics = read_bpf_metrics(contents_of(LIMPET_PROGRAMLESS_OBJECT));
    REQUIRE_FALSE(metrics);
    CHECK_THAT(metrics.error().text, Catch::Contains("no program: a function is one by the SEC("));
}

TEST_CASE("no object declares nothing, and what is no object is an error")
{
    CHECK(declared_metrics({})->empty());
    const std::string text = "this is text, not an ELF file, and long enough to hold a header of sixty-four bytes.";
    const Result<BpfMetrics> metrics = read_bpf_metrics(std::as_bytes(std::span(text)));
    REQUIRE_FALSE(metrics);
    CHECK_THAT(metrics.error().text, Catch::StartsWith("cannot read the BPF object"));
}

TEST_CASE("metric names follow their kind and unit")
{
    struct Row {
        const char* description;
        const char* name;
        const char* kind;
        const char* unit;
        bool is_right;
    };
    for (const Row& row :
         {Row{"counter of things", "tcp_connects_total", "counter", "1", true},
          Row{"counter of seconds", "cpu_seconds_total", "counter", "seconds", true},
          Row{"counter whose unit is not in front of _total", "cpu_total_seconds", "counter", "seconds", false},
          Row{"gauge of seconds", "tcp_rtt_seconds", "gauge", "seconds", true},
          Row{"gauge of bytes without its unit", "queue_size", "gauge", "bytes", false},
          Row{"ends like a part of a histogram", "requests_count", "gauge", "1", false},
          Row{"colons are allowed", "a:b_total", "counter", "1", true},
          Row{"begins with a digit", "5xx_total", "counter", "1", false}, Row{"nothing", "", "gauge", "1", false}}) {
        INFO(row.description);
        CHECK(metric_name_mistake(row.name, row.kind, row.unit).empty() == row.is_right);
    }
    CHECK_FALSE(is_label_name("__name__"));
    CHECK_FALSE(is_label_name("quantile"));
    CHECK_FALSE(is_label_name("a:b"));
    CHECK(is_label_name("_a9"));
}
