// SPDX-License-Identifier: Apache-2.0
#include "kernel_stats.hpp"

#include <cstring>

namespace limpet {
namespace {

constexpr const char* kMap = "limpet_stats";
constexpr uint32_t kStatsPerRow = 16; // LIMPET_STAT_COUNT
constexpr uint32_t kCountedPrograms = 4;

} // namespace

Result<KernelStats> KernelStats::open(BpfObject& object)
{
    KernelStats stats;
    if (!object.has_map(kMap))
        return stats;
    Result<MappedMap> rows = object.view(kMap);
    if (!rows)
        return rows.error();
    stats.rows_ = std::move(*rows);
    stats.cpus_ = object.map_entries(kMap);
    for (uint32_t number = 0; number < kCountedPrograms; ++number) {
        const std::span<const std::byte> text = object.variable("limpet_program_" + std::to_string(number));
        const auto* name = reinterpret_cast<const char*>(text.data());
        if (text.empty())
            continue;
        CountedProgram program{std::string(name, strnlen(name, text.size())), number, -1, false};
        program.fd = object.program_fd(program.name);
        program.is_tail_called = object.is_tail_called(program.name);
        if (program.fd >= 0)
            stats.programs_.push_back(std::move(program));
    }
    return stats;
}

uint64_t KernelStats::total(uint32_t index) const
{
    uint64_t total = 0;
    for (uint32_t cpu = 0; cpu < cpus_; ++cpu)
        total += read_once<uint64_t>(rows_.data() + (cpu * kStatsPerRow + index) * sizeof(uint64_t));
    return total;
}

} // namespace limpet
