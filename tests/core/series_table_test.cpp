// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <sys/mman.h>

#include <catch2/catch.hpp>

#include "label_decoder.hpp"
#include "owned_fd.hpp"
#include "probe_object.hpp"
#include "series_table.hpp"

using namespace limpet;

namespace {

template <typename T>
T taken(Result<T> result)
{
    return std::move(*result);
}

struct Key {
    uint32_t workload;
    uint16_t status;
    uint8_t method;
    uint8_t error;
};
struct Slot {
    Key key;
    uint32_t used;
    uint32_t padding;
};
struct Row {
    uint64_t delay_sum_ns;
    uint64_t delay_buckets[23];
    uint64_t count;
    int64_t open;
    uint64_t more_sum_ns;
    uint64_t more_buckets[23];
};
constexpr uint32_t kRows = 200;
constexpr uint32_t kShards = 2;

// Shared memory in place of BPF maps: the table maps both alike.
template <typename T>
class Shared {
public:
    explicit Shared(size_t count) : fd_(::memfd_create("limpet-test", MFD_CLOEXEC))
    {
        REQUIRE(::ftruncate(fd_.get(), static_cast<off_t>(count * sizeof(T))) == 0);
        void* data = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED, fd_.get(), 0);
        REQUIRE(data != MAP_FAILED);
        elements_ = static_cast<T*>(data);
    }
    T& operator[](size_t i) { return elements_[i]; }
    [[nodiscard]] int fd() const { return fd_.get(); }

private:
    OwnedFd fd_;
    T* elements_ = nullptr;
};

SeriesLayout layout()
{
    SeriesLayout layout;
    layout.table = "test";
    layout.key_size_bytes = sizeof(Key);
    layout.slot_size_bytes = sizeof(Slot);
    layout.used_offset_bytes = offsetof(Slot, used);
    layout.row_size_bytes = sizeof(Row);
    layout.labels = {{"workload", LabelDecoder::kWorkload, {}, 0, 4},
                     {"status", LabelDecoder::kNonzero, {}, 4, 2},
                     {"method", LabelDecoder::kEnum, {"_OTHER", "GET", "HEAD"}, 6, 1},
                     {"error_type", LabelDecoder::kEnum, {"", "reset"}, 7, 1}};
    layout.metrics = {{"delay_seconds",
                       MetricKind::kHistogram,
                       "ns",
                       1e9,
                       "Delay.",
                       0,
                       {0, 1, 2, 3},
                       {},
                       "bounds",
                       "struct row.delay"},
                      {"things_total",
                       MetricKind::kCounter,
                       "1",
                       1,
                       "Things.",
                       offsetof(Row, count),
                       {0, 1, 2},
                       {{"role", "client"}},
                       "",
                       ""},
                      {"open", MetricKind::kGauge, "1", 1, "Open.", offsetof(Row, open), {0}, {}, "", ""}};
    return layout;
}

struct Table {
    Shared<Slot> slots{kRows};
    Shared<Row> rows{kRows * kShards};
    uint32_t used = 1;
    Shared<WorkloadRecord> records{1024};
    Workloads workloads;
    SeriesTable table;

    explicit Table(SeriesLayout its_layout = layout())
        : workloads(taken(CgroupPaths::open("/")),
                    taken(MappedMap::map(records.fd(), 1024 * sizeof(WorkloadRecord), "workloads"))),
          table(taken(SeriesTable::open(std::move(its_layout),
                                        {slots.fd(), rows.fd(), kRows, kShards, std::as_bytes(std::span(&used, 1))},
                                        {{"bounds", {0.001, 0.01, 0.1}}})))
    {
    }

    uint32_t add_row(const Key& key)
    {
        const uint32_t number = used++;
        slots[number] = {key, 1, 0};
        return number;
    }
    Row& shard(uint32_t row, uint32_t number) { return rows[row * kShards + number]; }

    std::vector<prometheus::MetricFamily> collect()
    {
        Families families;
        REQUIRE(table.collect(workloads, families));
        return families.take();
    }
};

std::string text_of(const Labels& labels)
{
    std::string text;
    for (const auto& label : labels)
        text += (text.empty() ? "" : ",") + label.name + "=" + label.value;
    return text;
}

} // namespace

TEST_CASE("a histogram is the sum of its shards, cumulative, with the configured bounds")
{
    Table test;
    const uint32_t row = test.add_row({0, 200, 1, 0});
    test.shard(row, 0).delay_buckets[0] = 3;
    test.shard(row, 1).delay_buckets[0] = 4;
    test.shard(row, 1).delay_buckets[1] = 2;
    test.shard(row, 0).delay_buckets[3] = 1; // above the last bound
    test.shard(row, 0).delay_sum_ns = 1'500'000'000;
    test.shard(row, 1).delay_sum_ns = 500'000'000;

    const auto families = test.collect();
    REQUIRE(families[0].name == "delay_seconds");
    REQUIRE(families[0].metric.size() == 1);
    const auto& sample = families[0].metric[0];
    CHECK(text_of(sample.label) == "container_id=/,service_name=unknown,status=200,method=GET");
    CHECK(sample.histogram.sample_count == 10);
    CHECK(sample.histogram.sample_sum == 2.0);
    REQUIRE(sample.histogram.bucket.size() == 4);
    CHECK(sample.histogram.bucket[0].upper_bound == 0.001);
    CHECK(sample.histogram.bucket[0].cumulative_count == 7);
    CHECK(sample.histogram.bucket[1].cumulative_count == 9);
    CHECK(sample.histogram.bucket[2].cumulative_count == 9);
    CHECK(sample.histogram.bucket[3].cumulative_count == 10);
}

TEST_CASE("what two histograms have in common is part of both")
{
    SeriesLayout both = layout();
    both.metrics[0].plus_offset_bytes = offsetof(Row, more_sum_ns);
    Table test(both);
    const uint32_t row = test.add_row({0, 200, 1, 0});
    test.shard(row, 0).delay_buckets[1] = 3;
    test.shard(row, 0).delay_sum_ns = 1'500'000'000;
    test.shard(row, 1).more_buckets[0] = 4;
    test.shard(row, 1).more_sum_ns = 500'000'000;

    const auto sample = test.collect()[0].metric[0];
    CHECK(sample.histogram.sample_count == 7);
    CHECK(sample.histogram.sample_sum == 2.0);
    CHECK(sample.histogram.bucket[0].cumulative_count == 4);
    CHECK(sample.histogram.bucket[1].cumulative_count == 7);
}

TEST_CASE("rows that differ only in a label that a metric leaves out are added up")
{
    Table test;
    const uint32_t whole = test.add_row({0, 200, 1, 0});
    const uint32_t reset = test.add_row({0, 200, 1, 1});
    test.shard(whole, 0).count = 5;
    test.shard(reset, 1).count = 2;
    test.shard(whole, 0).delay_buckets[0] = 5;
    test.shard(reset, 0).delay_buckets[0] = 2;

    const auto families = test.collect();
    CHECK(families[0].metric.size() == 2);
    CHECK(text_of(families[0].metric[1].label) ==
          "container_id=/,service_name=unknown,status=200,method=GET,error_type=reset");
    REQUIRE(families[1].metric.size() == 1);
    CHECK(families[1].metric[0].counter.value == 7);
    CHECK(text_of(families[1].metric[0].label) ==
          "container_id=/,service_name=unknown,status=200,method=GET,role=client");
}

TEST_CASE("a gauge may be below zero in one shard and right in the sum")
{
    Table test;
    const uint32_t row = test.add_row({0, 0, 0, 0});
    test.shard(row, 0).open = -4;
    test.shard(row, 1).open = 6;
    CHECK(test.collect()[2].metric[0].gauge.value == 2);
}

TEST_CASE("a mean is there where there is something to divide by, and a sample while its condition is not 0")
{
    SeriesLayout with_options = layout();
    RowMetric& mean = with_options.metrics[2];
    mean.per_offset_bytes = offsetof(Row, count);
    with_options.metrics[1].while_offset_bytes = offsetof(Row, count);
    Table test(with_options);
    const uint32_t row = test.add_row({0, 0, 0, 0});
    test.shard(row, 0).open = 7;
    test.shard(row, 1).open = 2;
    for (const auto& family : test.collect())
        CHECK(family.metric.empty());
    test.shard(row, 1).count = 6;
    const auto families = test.collect();
    CHECK(families[1].metric.at(0).counter.value == 6);
    CHECK(families[2].metric.at(0).gauge.value == 1.5);
    test.shard(row, 0).count = ~uint64_t{5}; // -6, as a gauge that another CPU is about to raise: their sum is 0
    CHECK(test.collect()[2].metric.empty());
}

TEST_CASE("rows appear when their key is whole, and tables grow under way")
{
    Table test;
    CHECK(test.collect().empty());
    const uint32_t row = test.add_row({0, 200, 1, 0});
    test.slots[row].used = 0; // the kernel is still writing
    CHECK(test.collect().empty());
    test.slots[row].used = 1;
    CHECK(test.collect()[1].metric.size() == 1);
    for (uint16_t status = 300; status < 450; ++status)
        test.shard(test.add_row({0, status, 1, 0}), 0).count = status;
    const auto families = test.collect();
    REQUIRE(families[1].metric.size() == 151);
    CHECK(families[1].metric[150].counter.value == 449);
    CHECK(test.table.rows_in_use() == 151);
    CHECK(test.table.limit() == kRows - 1);
}

TEST_CASE("the overflow row shows once it has counts, under other")
{
    Table test;
    test.add_row({0, 200, 1, 0});
    CHECK(test.collect()[1].metric.size() == 1);
    test.shard(0, 1).count = 9;
    const auto families = test.collect();
    REQUIRE(families[1].metric.size() == 2);
    CHECK(text_of(families[1].metric[1].label) ==
          "container_id=other,service_name=other,status=other,method=other,role=client");
    CHECK(families[1].metric[1].counter.value == 9);
}

TEST_CASE("a counter of rows that ran past the table's end is no index")
{
    Table test;
    test.used = kRows + 7;
    CHECK(test.table.rows_in_use() == 0); // none has a key
    CHECK(test.collect().empty());
}

TEST_CASE("labels change with the workload's name")
{
    Table test;
    test.shard(test.add_row({1, 200, 1, 0}), 0).count = 1;
    CHECK_THAT(text_of(test.collect()[1].metric[0].label), Catch::Contains("service_name=unknown"));
    WorkloadRecord record{};
    record.cgroup_id = ~0ULL;
    record.tgid = ~0U;
    record.used = 1;
    std::strcpy(record.executable, "nginx");
    test.records[1] = record;
    test.records[0].used = 1; // the highest number in use
    test.workloads.refresh();
    CHECK_THAT(text_of(test.collect()[1].metric[0].label), Catch::Contains("service_name=nginx"));
}

TEST_CASE("label decoders")
{
    const auto decoded = [](LabelDecoder decoder, std::vector<std::string> items, const std::string& bytes) {
        const KeyLabel label{"x", decoder, std::move(items), 0, static_cast<uint32_t>(bytes.size())};
        return decode_label(label, std::as_bytes(std::span(bytes))).value_or("(none)");
    };
    using namespace std::string_literals;
    const std::string ipv4 = "\0\0\0\0\0\0\0\0\0\0\xff\xff\x7f\0\0\x01"s;
    const std::string ipv6 = "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"s;
    CHECK(decoded(LabelDecoder::kUint, {}, "\xff\xff"s) == "65535");
    CHECK(decoded(LabelDecoder::kUint, {}, "\0\0\0\0\1\0\0\0"s) == "4294967296");
    CHECK(decoded(LabelDecoder::kNonzero, {}, "\0\0"s) == "(none)");
    CHECK(decoded(LabelDecoder::kNonzero, {}, "\x94\x01"s) == "404");
    CHECK(decoded(LabelDecoder::kIp, {}, ipv4) == "127.0.0.1");
    CHECK(decoded(LabelDecoder::kIp, {}, ipv6) == "2001:db8::1");
    CHECK(decoded(LabelDecoder::kIp, {}, std::string(16, '\0')) == "(none)");
    CHECK(decoded(LabelDecoder::kAddress, {}, ipv4 + "\x50\x00"s) == "127.0.0.1:80");
    CHECK(decoded(LabelDecoder::kAddress, {}, ipv6 + "\x50\x00"s) == "[2001:db8::1]:80");
    CHECK(decoded(LabelDecoder::kText, {}, "curl\0garbage"s) == "curl");
    CHECK(decoded(LabelDecoder::kText, {}, "full"s) == "full");
    CHECK(decoded(LabelDecoder::kEnum, {"", "reset"}, "\0"s) == "(none)");
    CHECK(decoded(LabelDecoder::kEnum, {"", "reset"}, "\1"s) == "reset");
    CHECK(decoded(LabelDecoder::kEnum, {"", "reset"}, "\2"s) == "2");
}

TEST_CASE("text that is not UTF-8 is mended byte by byte")
{
    CHECK(valid_utf8("plain äöü €") == "plain äöü €");
    CHECK(valid_utf8("a\xff\x62") == "a\xef\xbf\xbd\x62");
    CHECK(valid_utf8("cut \xe2\x82") == "cut \xef\xbf\xbd\xef\xbf\xbd");
    CHECK(valid_utf8("\xc0\xaf") == "\xef\xbf\xbd\xef\xbf\xbd");                 // overlong
    CHECK(valid_utf8("\xed\xa0\x80") == "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"); // a surrogate
    CHECK(valid_utf8("\xf0\x9f\x90\x9a") == "\xf0\x9f\x90\x9a");
}

TEST_CASE("bounds from the config: checked, and in the kernel side's unit")
{
    BpfMetrics declared;
    declared.bounds = {{"bounds", "buckets", "ns", 1e9}};
    const auto text_for = [&](const ConfigValue& value) {
        const Result<BoundsByVariable> bounds = read_bounds(declared, {{"buckets", value}});
        return bounds ? "" : bounds.error().text;
    };
    CHECK(text_for(std::vector<double>{0.1, 1}) == "");
    CHECK_THAT(text_for(std::vector<double>{}), Catch::Contains("1 to 22 bounds"));
    CHECK_THAT(text_for(std::vector<double>(23, 1.0)), Catch::Contains("1 to 22 bounds"));
    CHECK_THAT(text_for(std::vector<double>{1, 1}), Catch::Contains("ascend"));
    CHECK_THAT(text_for(std::vector<double>{0, 1}), Catch::Contains("above 0"));
    CHECK_THAT(text_for(int64_t{3}), Catch::Contains("not declared as a list of number"));

    const auto counted = counted_bounds({0.0001, 2.5}, 1e9);
    CHECK(counted[0] == 100'000);
    CHECK(counted[1] == 2'500'000'000);
    CHECK(counted[2] == ~0ULL >> 1);
    CHECK(counted[31] == ~0ULL >> 1);
}

TEST_CASE("shards are a power of two, at most eight")
{
    CHECK(shards_for(1) == 1);
    CHECK(shards_for(2) == 2);
    CHECK(shards_for(3) == 4);
    CHECK(shards_for(8) == 8);
    CHECK(shards_for(256) == 8);
}

TEST_CASE("the ports of LIMPET_PORTS come from a list of number")
{
    const auto read = [](const ConfigValue& value) {
        const Result<std::vector<uint16_t>> ports = read_ports({"dns_ports", "ports"}, {{"ports", value}});
        if (!ports)
            return ports.error().text;
        std::string text;
        for (const uint16_t port : *ports)
            text += (text.empty() ? "" : " ") + std::to_string(port);
        return text;
    };
    const std::string no_ports = "config key \"ports\": ports are whole numbers from 1 to 65535";
    CHECK(read(std::vector<double>{53}) == "53");
    CHECK(read(std::vector<double>{65535, 1, 5353}) == "65535 1 5353");
    CHECK(read(std::vector<double>{53, 5353, 53}) == "53 5353"); // each once
    CHECK(read(std::vector<double>(16, 53)) == "53");
    CHECK(read(std::vector<double>{0}) == no_ports);
    CHECK(read(std::vector<double>{-1}) == no_ports);
    CHECK(read(std::vector<double>{65536}) == no_ports);
    CHECK(read(std::vector<double>{53.5}) == no_ports);
    CHECK(read(std::vector<double>{}) == "config key \"ports\": needs 1 to 16 ports and has 0");
    CHECK(read(std::vector<double>(17, 53)) == "config key \"ports\": needs 1 to 16 ports and has 17");
    CHECK(read(int64_t{53}) == "config key \"ports\": is not declared as a list of number in the manifest");
    CHECK_FALSE(read_ports({"dns_ports", "other"}, {{"ports", std::vector<double>{53}}}));
}
