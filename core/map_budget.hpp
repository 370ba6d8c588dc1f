// SPDX-License-Identifier: Apache-2.0
//
// How much kernel memory a probe's maps take, and whether its manifest allows it (limits.map_bytes).
//
// Functions without state. Counted before anything is loaded, for the shards (8) and rows that the manifest or the tables
// declare: the answer is the same on every host, and an operator's `series` does not break a promise of the author's.
#pragma once

#include <cstdint>

#include "bpf_metrics.hpp"
#include "bpf_object.hpp"
#include "manifest.hpp"
#include "result.hpp"

namespace limpet {

// What the kernel charges for it when it is made (the *_map_mem_usage functions of kernel/bpf, Linux 6.4), to within a few
// per cent. Storage of sockets, tasks and cgroups is 0: it comes with them.
[[nodiscard]] uint64_t bytes_of_map(const MapShape& shape, uint32_t cpus);

// Of an object that is opened and not changed yet: the maps that it does not share with the agent.
Done check_map_budget(const BpfObject& object, const BpfMetrics& declared, const Manifest& manifest);

} // namespace limpet
