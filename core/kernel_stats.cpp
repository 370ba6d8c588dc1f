// SPDX-License-Identifier: Apache-2.0
#include "kernel_stats.hpp"

#include <cstring>

namespace limpet {
namespace {

constexpr const char* kMap = "limpet_stats";
constexpr uint32_t kCountedPrograms = 12;

} // namespace

Result<KernelStats> KernelStats::open(BpfObject& object)
{
    KernelStats stats;
    if (!object.has_map(kMap))
        return stats;
    stats.cpus_ = object.map_entries(kMap);
    stats.words_per_row_ = static_cast<uint32_t>(object.map_value_size_bytes(kMap) / sizeof(uint64_t));
    Result<MappedMap> rows = MappedMap::map_writable(
        object.map_fd(kMap), size_t{stats.cpus_} * stats.words_per_row_ * sizeof(uint64_t), kMap);
    if (!rows)
        return rows.error();
    stats.rows_ = std::move(*rows);
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
    for (uint32_t cpu = 0; cpu < cpus_ && index < words_per_row_; ++cpu)
        total += read_once<uint64_t>(rows_.data() + (size_t{cpu} * words_per_row_ + index) * sizeof(uint64_t));
    return total;
}

void KernelStats::set(KernelStat word, uint64_t value)
{
    auto* words = reinterpret_cast<uint64_t*>(rows_.writable_data());
    for (size_t cpu = 0; cpu < cpus_; ++cpu)
        __atomic_store_n(words + cpu * words_per_row_ + static_cast<uint32_t>(word), value, __ATOMIC_RELAXED);
}

} // namespace limpet
