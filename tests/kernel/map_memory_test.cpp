// SPDX-License-Identifier: Apache-2.0
//
// What limpet expects a map to take, against what this kernel says that it takes.
#include <cstdio>
#include <fstream>
#include <sys/utsname.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <catch2/catch.hpp>

#include "map_budget.hpp"
#include "owned_fd.hpp"

using namespace limpet;

namespace {

struct Case {
    const char* description;
    MapShape shape;
};

// Earlier ones answer with entries times sizes.
bool kernel_tells_real_bytes()
{
    utsname name{};
    int major = 0;
    int minor = 0;
    return ::uname(&name) == 0 && std::sscanf(name.release, "%d.%d", &major, &minor) == 2 &&
           (major > 6 || (major == 6 && minor >= 4));
}

uint64_t charged_bytes(int fd)
{
    std::ifstream info("/proc/self/fdinfo/" + std::to_string(fd));
    uint64_t bytes = 0;
    for (std::string key; info >> key;)
        if (key == "memlock:")
            info >> bytes;
    return bytes;
}

uint64_t charged_bytes(const MapShape& shape)
{
    bpf_map_create_opts options{};
    options.sz = sizeof(options);
    options.map_flags = shape.flags;
    const OwnedFd map(bpf_map_create(static_cast<bpf_map_type>(shape.type), "limpet_test", shape.key_size_bytes,
                                     shape.value_size_bytes, shape.entries, &options));
    REQUIRE(map.is_open());
    return charged_bytes(map.get());
}

} // namespace

TEST_CASE("maps take what the budget counts for them")
{
    if (!kernel_tells_real_bytes()) {
        WARN("this kernel does not tell what a map takes (before Linux 6.4)");
        return;
    }
    const auto row = GENERATE(values<Case>({
        {"a table's rows", {BPF_MAP_TYPE_ARRAY, 4, 384, 8192, BPF_F_MMAPABLE}},
        {"a table's keys", {BPF_MAP_TYPE_ARRAY, 4, 36, 1024, BPF_F_MMAPABLE}},
        {"an array of one", {BPF_MAP_TYPE_ARRAY, 4, 100, 1, BPF_F_MMAPABLE}},
        {"a plain array", {BPF_MAP_TYPE_ARRAY, 4, 12, 4000, 0}},
        {"one value per CPU", {BPF_MAP_TYPE_PERCPU_ARRAY, 4, 400, 300, 0}},
        {"a table's index", {BPF_MAP_TYPE_HASH, 28, 4, 1024, 0}},
        {"a hash of no power of two", {BPF_MAP_TYPE_HASH, 8, 200, 5000, 0}},
        {"a hash that forgets", {BPF_MAP_TYPE_LRU_HASH, 16, 64, 4096, 0}},
        {"a hash of values per CPU", {BPF_MAP_TYPE_PERCPU_HASH, 16, 64, 1000, 0}},
        {"a ring", {BPF_MAP_TYPE_RINGBUF, 0, 0, 1 << 18, 0}},
        {"a queue", {BPF_MAP_TYPE_QUEUE, 0, 4, 2000, 0}},
        {"programs", {BPF_MAP_TYPE_PROG_ARRAY, 4, 4, 500, 0}},
    }));
    INFO(row.description);
    const auto charged = static_cast<double>(charged_bytes(row.shape));
    const auto expected = bytes_of_map(row.shape, static_cast<uint32_t>(libbpf_num_possible_cpus()));
    CHECK(static_cast<double>(expected) == Approx(charged).epsilon(0.05).margin(4096));
}
