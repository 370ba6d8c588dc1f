// SPDX-License-Identifier: Apache-2.0
//
// Prometheus' usual process_* metrics of this process, read from /proc/self when asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "families.hpp"

namespace limpet {

// Clock ticks after boot at which a process started: field 22 of /proc/<pid>/stat. The command's name, field 2, may hold
// blanks and brackets. Nothing when the text is not of that form.
[[nodiscard]] std::optional<uint64_t> start_ticks(std::string_view stat);

// Appends process_cpu_seconds_total, process_resident_memory_bytes, process_virtual_memory_bytes, process_open_fds,
// process_max_fds and process_start_time_seconds.
void add_process_metrics(Families& families);

} // namespace limpet
