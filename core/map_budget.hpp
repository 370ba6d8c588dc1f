// SPDX-License-Identifier: Apache-2.0
//
// How much kernel memory a probe's maps take, and whether its manifest (limits.map_bytes) and the operator
// (limits.kernel_memory) allow it.
//
// Functions without state. The manifest's: counted before anything is loaded, for the shards (8) and rows that the manifest or the tables
// declare: the answer is the same on every host, and an operator's `series` does not break a promise of the author's.
#pragma once

#include <cstdint>
#include <vector>

#include "bpf_metrics.hpp"
#include "bpf_object.hpp"
#include "config.hpp"
#include "manifest.hpp"
#include "result.hpp"

namespace limpet {

// What the kernel charges for it when it is made (the *_map_mem_usage functions of kernel/bpf, Linux 6.4), to within a few
// per cent. Storage of sockets, tasks and cgroups is 0: it comes with them.
[[nodiscard]] uint64_t bytes_of_map(const MapShape& shape, uint32_t cpus);

// Of all maps of an object that is sized and not loaded, without those that it shares with the agent.
[[nodiscard]] uint64_t bytes_of_maps(const BpfObject& object, uint32_t cpus);

// Of an object that is opened and not changed yet: the maps that it does not share with the agent.
Done check_map_budget(const BpfObject& object, const BpfMetrics& declared, const Manifest& manifest);

// What the operator allows a probe that is about to start.
struct KernelMemoryRoom {
    uint64_t limit_bytes = 0; // limits.kernel_memory; 0: no limit
    uint64_t used_bytes = 0;  // by the core and the probes that run
};

// `bytes`: what the probe takes.
[[nodiscard]] Done check_kernel_memory(uint64_t bytes, const KernelMemoryRoom& room, const ProbeConfig& probe);

// Whether limits.kernel_memory has room for the core at least.
[[nodiscard]] std::vector<ConfigProblem> check_core_fits(const LimitsConfig& limits);

} // namespace limpet
