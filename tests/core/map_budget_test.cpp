// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include <catch2/catch.hpp>
#include <linux/bpf.h>

#include "map_budget.hpp"
#include "object_file.hpp"

using namespace limpet;

namespace {

// What the check says of the object with this manifest; "" when it fits.
std::string answer(uint64_t map_bytes, uint32_t series = 0)
{
    const std::vector<std::byte> bytes = contents_of(LIMPET_DECLARED_OBJECT);
    const Result<BpfMetrics> declared = read_bpf_metrics(bytes);
    const Result<BpfObject> object = BpfObject::open(bytes, "declared");
    REQUIRE(declared);
    REQUIRE(object);
    Manifest manifest;
    manifest.map_bytes = map_bytes;
    manifest.series = series;
    const Done fits = check_map_budget(*object, *declared, manifest);
    return fits ? "" : fits.error().text;
}

// The smallest budget that suffices, as the message says.
uint64_t needed(uint32_t series = 0)
{
    const std::string text = answer(1, series);
    return std::stoull(text.substr(text.rfind(' ') + 1));
}

} // namespace

TEST_CASE("a budget is kept to the byte, and the message says what would do")
{
    const uint64_t enough = needed();
    CHECK(answer(enough).empty());
    CHECK_THAT(answer(enough - 1), Catch::Contains("limits.map_bytes") && Catch::Contains(std::to_string(enough)) &&
                                       Catch::Contains(std::to_string(enough - 1)) && Catch::Contains("every_rows"));
}

TEST_CASE("a manifest without a budget sets none")
{
    CHECK(answer(0).empty());
}

TEST_CASE("the rows that the manifest gives the tables count, eight times each")
{
    const uint64_t few = needed(128);
    const uint64_t many = needed(1152);
    const uint64_t row_bytes = (many - few) / 1024;
    CHECK(row_bytes > 8 * sizeof(uint64_t));
    CHECK(needed(2176) - many == Approx(static_cast<double>(many - few)).epsilon(0.02));
}

TEST_CASE("storage that comes with sockets and tasks is no map's")
{
    CHECK(bytes_of_map({BPF_MAP_TYPE_SK_STORAGE, 4, 1 << 20, 0, BPF_F_NO_PREALLOC}, 8) == 0);
    CHECK(bytes_of_map({BPF_MAP_TYPE_TASK_STORAGE, 4, 1 << 20, 0, BPF_F_NO_PREALLOC}, 8) == 0);
}
