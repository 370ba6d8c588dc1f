// SPDX-License-Identifier: Apache-2.0
#include "map_budget.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <string_view>

#include <linux/bpf.h>

#include "size.hpp"
#include "tap.hpp"

namespace limpet {
namespace {

constexpr uint32_t kCgroupStorage = 32; // BPF_MAP_TYPE_CGRP_STORAGE, Linux 6.2
constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kMapBytes = 512;        // struct bpf_array, bpf_htab and their like
constexpr uint64_t kHashElementBytes = 48; // struct htab_elem, without key and value
constexpr uint64_t kHashBucketBytes = 16;  // struct bucket
constexpr uint64_t kRingPagesOfItsOwn = 3; // struct bpf_ringbuf, consumer and producer positions
constexpr uint32_t kBudgetCpus = 8;

uint64_t rounded_up(uint64_t number, uint64_t unit)
{
    return (number + unit - 1) / unit * unit;
}

uint64_t bytes_of_array(const MapShape& shape, uint64_t element_bytes)
{
    const uint64_t elements = element_bytes * shape.entries;
    return (shape.flags & BPF_F_MMAPABLE) ? rounded_up(elements, kPageBytes) + kPageBytes : elements + kMapBytes;
}

uint64_t bytes_of_hash(const MapShape& shape, uint64_t value_bytes)
{
    const uint64_t buckets = std::bit_ceil(uint64_t{std::max(shape.entries, 1U)});
    const uint64_t element = kHashElementBytes + rounded_up(shape.key_size_bytes, 8) + value_bytes;
    return kMapBytes + buckets * kHashBucketBytes + shape.entries * element;
}

// limpet_add_probe's tables: as many rows and shards as the manifest says.
uint32_t budgeted_entries(const BpfObject& object, const std::string& map, const BpfMetrics& declared,
                          const Manifest& manifest)
{
    const uint32_t entries = object.map_entries(map);
    for (const SeriesLayout& layout : declared.tables) {
        const uint32_t rows = manifest.series ? manifest.series : object.map_entries(layout.table + "_index");
        if (map == layout.table + "_rows")
            return rows * manifest.shards;
        if (map == layout.table + "_index" || map == layout.table + "_keys" || map == layout.table + "_free")
            return rows;
    }
    return map == "limpet_stats" ? kBudgetCpus : entries;
}

} // namespace

uint64_t bytes_of_maps(const BpfObject& object, uint32_t cpus)
{
    uint64_t total = 0;
    for (const std::string& map : object.map_names())
        if (!object.is_shared(map))
            total += bytes_of_map(object.map_shape(map), cpus);
    return total;
}

uint64_t bytes_of_map(const MapShape& shape, uint32_t cpus)
{
    const uint64_t value_bytes = rounded_up(shape.value_size_bytes, 8);
    switch (shape.type) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
        return bytes_of_hash(shape, value_bytes);
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
        return bytes_of_hash(shape, 8 + value_bytes * cpus);
    case BPF_MAP_TYPE_PERCPU_ARRAY:
        return bytes_of_array(shape, 8 + value_bytes * cpus);
    case BPF_MAP_TYPE_RINGBUF:
    case BPF_MAP_TYPE_USER_RINGBUF:
        return shape.entries + kRingPagesOfItsOwn * kPageBytes;
    case BPF_MAP_TYPE_SK_STORAGE:
    case BPF_MAP_TYPE_TASK_STORAGE:
    case BPF_MAP_TYPE_INODE_STORAGE:
    case kCgroupStorage:
        return 0;
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK:
    case BPF_MAP_TYPE_BLOOM_FILTER:
        return kMapBytes + uint64_t{shape.value_size_bytes} * (uint64_t{shape.entries} + 1);
    case BPF_MAP_TYPE_LPM_TRIE:
        return kMapBytes + shape.entries * rounded_up(40ULL + shape.key_size_bytes + shape.value_size_bytes, 8);
    default: // arrays, of values or of pointers to programs and maps
        return bytes_of_array(shape, value_bytes);
    }
}

Done check_map_budget(const BpfObject& object, const BpfMetrics& declared, const Manifest& manifest)
{
    if (manifest.map_bytes == 0)
        return done();
    uint64_t total = 0;
    std::pair<uint64_t, std::string> largest;
    for (const std::string& map : object.map_names()) {
        if (std::find(kSharedMaps.begin(), kSharedMaps.end(), std::string_view(map)) != kSharedMaps.end())
            continue;
        MapShape shape = object.map_shape(map);
        shape.entries = budgeted_entries(object, map, declared, manifest);
        const uint64_t bytes = bytes_of_map(shape, kBudgetCpus);
        total += bytes;
        largest = std::max(largest, {bytes, map});
    }
    if (total <= manifest.map_bytes)
        return done();
    return Error{0, "its BPF maps take " + std::to_string(total) + " bytes on " + std::to_string(manifest.shards) +
                        " shards, and its manifest allows " + std::to_string(manifest.map_bytes) +
                        " (limits.map_bytes); the largest is " + largest.second + " with " +
                        std::to_string(largest.first) +
                        ". Build the probe with smaller maps, fewer limits.series, or a limits.map_bytes of " +
                        std::to_string(total)};
}

std::vector<ConfigProblem> check_core_fits(const LimitsConfig& limits)
{
    const uint64_t limit = limits.kernel_memory.value;
    if (limit == 0)
        return {};
    const Result<uint64_t> core = Tap::bytes_of_its_maps();
    if (!core || *core <= limit)
        return {};
    return {{limits.kernel_memory.position, "limits.kernel_memory",
             size_text(limit) + " is less than the " + size_text(*core) +
                 " that limpet takes on this host without any probe; use more"}};
}

Done check_kernel_memory(uint64_t bytes, const KernelMemoryRoom& room, const ProbeConfig& probe)
{
    const std::string own_key = "plugins." + probe.name + ".limits.kernel_memory";
    const std::string takes = "takes " + std::to_string(bytes) + " bytes of kernel memory (" + size_text(bytes) + "); ";
    const std::string smaller = ", or make its tables smaller with plugins." + probe.name + ".limits.series";
    if (const uint64_t own = probe.limits.kernel_memory.value; own != 0 && bytes > own)
        return Error{0, takes + own_key + " allows " + size_text(own) + ". Set it to " + size_text(bytes) + " or more" +
                            smaller};
    if (room.limit_bytes == 0 || room.used_bytes + bytes <= room.limit_bytes)
        return done();
    const uint64_t left = room.limit_bytes - std::min(room.limit_bytes, room.used_bytes);
    return Error{0, takes + "limits.kernel_memory is " + size_text(room.limit_bytes) +
                        ", of which the core and other " + "probes leave " + std::to_string(left) + ". Set it to " +
                        size_text(room.used_bytes + bytes) + " or more" + smaller};
}

} // namespace limpet
