// SPDX-License-Identifier: Apache-2.0
//
// Which CPU the agent runs on. Set before any thread starts, so that every thread inherits it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config.hpp"
#include "result.hpp"

namespace limpet {

// "0-3,8" (cpuset(7), list format) as numbers, ascending; parts that are no numbers are left out.
[[nodiscard]] std::vector<uint32_t> parse_cpu_list(std::string_view text);

// Share of time that each CPU has been busy since boot, 0…1, from the text of /proc/stat.
struct CpuLoad {
    uint32_t cpu = 0;
    double busy = 0;
};
[[nodiscard]] std::vector<CpuLoad> parse_cpu_loads(std::string_view proc_stat);

// One CPU of `allowed`: not an isolated one as long as another is left; the least busy, and of CPUs as good as equal (within
// 5 % of their time) the last, since interrupts and start-up work gather on the first. `allowed` must not be empty.
[[nodiscard]] uint32_t choose_cpu(const std::vector<uint32_t>& allowed, const std::vector<uint32_t>& isolated,
                                  const std::vector<CpuLoad>& loads);

// Pins the calling thread to agent.cpus and sets agent.nice. Returns a line for the log: which CPUs and why.
[[nodiscard]] Result<std::string> pin_agent(const AgentConfig& agent);

} // namespace limpet
