// SPDX-License-Identifier: Apache-2.0
//
// The part of a series table that one workload may take, on the running kernel. Needs root.
#include <cstring>

#include <catch2/catch.hpp>

#include "../core/object_file.hpp"
#include "bpf_metrics.hpp"
#include "bpf_object.hpp"
#include "taken.hpp"
#include "tap.hpp"

namespace limpet::test {
namespace {

constexpr uint32_t kRows = 16;
constexpr uint32_t kFlooding = 7, kQuiet = 8, kNext = kFlooding + 1024; // the same index, another generation

class Table {
public:
    Table(uint32_t share, uint32_t workload_bytes)
        : bytes_(contents_of(LIMPET_TEST_OBJECT)), object_(taken(BpfObject::open(bytes_, "shares")))
    {
        const auto declared = taken(read_bpf_metrics(bytes_));
        object_.set_number("shared_share", share);
        object_.set_number("shared_workload_offset", declared.tables.at(0).labels.at(1).offset_bytes);
        object_.set_number("shared_workload_bytes", workload_bytes);
        taken(object_.resize_map("limpet_stats", possible_cpus()));
        taken(object_.load());
    }

    void count(uint32_t workload, uint32_t kind)
    {
        set("workload", workload);
        set("kind", kind);
        taken(object_.run_once("on_event"));
    }
    uint64_t events_in(uint32_t row)
    {
        return read_once<uint64_t>(taken(object_.view("shared_rows")).data() + row * sizeof(uint64_t));
    }
    uint32_t rows_handed_out() { return static_cast<uint32_t>(get("shared_used")) - 1; }

private:
    void set(const char* variable, uint64_t value)
    {
        std::memcpy(object_.live_variable(variable).data(), &value, sizeof(value));
    }
    uint64_t get(const char* variable)
    {
        uint32_t value = 0;
        std::memcpy(&value, object_.live_variable(variable).data(), sizeof(value));
        return value;
    }

    std::vector<std::byte> bytes_;
    BpfObject object_;
};

} // namespace

TEST_CASE("a workload takes its share of a table's rows, counts in the overflow row beyond it, and others find rows")
{
    Table table(11, 2);
    for (uint32_t kind = 0; kind < 100; ++kind)
        table.count(kFlooding, kind);
    CHECK(table.rows_handed_out() == 11);
    CHECK(table.events_in(0) == 89);
    for (uint32_t kind = 0; kind < 4; ++kind)
        table.count(kQuiet, kind);
    CHECK(table.rows_handed_out() == 15);
    CHECK(table.events_in(0) == 89);
    table.count(kFlooding, 3); // what has a row keeps it
    CHECK(table.events_in(4) == 2);
    table.count(kNext, 3);
    CHECK(table.events_in(0) == 90);
}

TEST_CASE("where the key names no workload the table is anybody's")
{
    Table table(11, 0);
    for (uint32_t kind = 0; kind < 100; ++kind)
        table.count(kFlooding, kind);
    CHECK(table.rows_handed_out() == kRows - 1);
}

} // namespace limpet::test
