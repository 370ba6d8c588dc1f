// SPDX-License-Identifier: Apache-2.0
//
// Labels of the decoder text_of: numbers in a key, texts in a BPF array of the probe.
#include <cstring>
#include <string>
#include <sys/mman.h>

#include <bpf/bpf.h>
#include <catch2/catch.hpp>

#include "owned_fd.hpp"
#include "series_table.hpp"

using namespace limpet;

namespace {

constexpr uint32_t kTextBytes = 12; // no multiple of 8: the kernel rounds up
constexpr uint32_t kTexts = 4;

struct Slot {
    uint32_t number;
    uint32_t used;
};

// Shared memory of a table without any map, one counter a row.
OwnedFd memory(const void* contents, size_t size_bytes)
{
    OwnedFd fd(::memfd_create("limpet-test", MFD_CLOEXEC));
    REQUIRE(::ftruncate(fd.get(), 4096) == 0);
    REQUIRE(::pwrite(fd.get(), contents, size_bytes, 0) == static_cast<ssize_t>(size_bytes));
    return fd;
}

// An array with these elements, as the probe's kernel side would have filled it.
OwnedFd texts_in_kernel(const std::vector<std::string>& texts)
{
    OwnedFd fd(bpf_map_create(BPF_MAP_TYPE_ARRAY, "test_texts", sizeof(uint32_t), kTextBytes, kTexts, nullptr));
    REQUIRE(fd.get() >= 0);
    for (uint32_t number = 0; number < texts.size(); ++number) {
        char element[kTextBytes] = {};
        std::memcpy(element, texts[number].data(), std::min<size_t>(texts[number].size(), kTextBytes));
        REQUIRE(bpf_map_update_elem(fd.get(), &number, element, BPF_ANY) == 0);
    }
    return fd;
}

// The label of a row with this number.
std::string label_of(uint32_t number, int texts_fd)
{
    SeriesLayout layout;
    layout.table = "test";
    layout.key_size_bytes = sizeof(uint32_t);
    layout.slot_size_bytes = sizeof(Slot);
    layout.used_offset_bytes = offsetof(Slot, used);
    layout.row_size_bytes = sizeof(uint64_t);
    layout.labels = {{"name", LabelDecoder::kTextOf, {"test_texts"}, 0, sizeof(uint32_t)}};
    layout.metrics = {{"things_total", MetricKind::kCounter, "1", 1, "Things.", 0, {0}, {}, "", ""}};
    const Slot slots[] = {{0, 0}, {number, 1}};
    const uint64_t rows[] = {0, 1};
    const uint32_t used = 2;
    const OwnedFd slots_fd = memory(slots, sizeof(slots));
    const OwnedFd rows_fd = memory(rows, sizeof(rows));
    const SeriesSource source{slots_fd.get(),
                              rows_fd.get(),
                              2,
                              1,
                              std::as_bytes(std::span(&used, 1)),
                              {{"test_texts", {texts_fd, kTextBytes}}}};
    Result<SeriesTable> table = SeriesTable::open(layout, source, {});
    REQUIRE(table);
    Result<CgroupPaths> paths = CgroupPaths::open("/");
    REQUIRE(paths);
    const Workloads workloads{std::move(*paths), MappedMap()};
    Families families;
    REQUIRE(table->collect(workloads, families));
    const auto taken = families.take();
    REQUIRE(taken.size() == 1);
    return taken[0].metric.at(0).label.at(0).value;
}

} // namespace

TEST_CASE("a label with the decoder text_of is the text in that element of the probe's array")
{
    const OwnedFd texts = texts_in_kernel({"never shown", "example.com", "b\xff", "as long as it may be"});
    CHECK(label_of(1, texts.get()) == "example.com");
    CHECK(label_of(2, texts.get()) == "b\xef\xbf\xbd"); // no UTF-8
    CHECK(label_of(3, texts.get()) == "as long as i");  // no 0 behind it
}

TEST_CASE("what has no element of its own is other")
{
    const OwnedFd texts = texts_in_kernel({"never shown", "example.com"});
    CHECK(label_of(0, texts.get()) == "other");
    CHECK(label_of(kTexts, texts.get()) == "other"); // behind the array's end
    CHECK(label_of(~0U, texts.get()) == "other");
    CHECK(label_of(1, -1) == "other"); // no such map
}
