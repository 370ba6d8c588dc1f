// SPDX-License-Identifier: Apache-2.0
//
// The counters that every BPF object of limpet keeps (stats.bpf.h): losses, events, and runs of its programs; and the words
// in the same rows by which the agent tells these programs to do less.
//
// Owner: Tap or Probe; guarded by the agent's mutex. Reading is a sum over CPUs in shared memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bpf_object.hpp"

namespace limpet {

// Indices of enum limpet_stat; append only.
enum class KernelStat : uint32_t {
    kEmitted = 0,
    kDropped = 1,
    kSampledOut = 2,
    kSeriesOverflow = 3,
    kEvicted = 4,
    kUnseenEncrypted = 5,
    kUnseenDesynchronised = 6,
    kUnseenLimit = 7,
    kUnseenHandedOff = 8,
    kUnseenMemory = 9,
    kLease = 10,
    kControl = 11,
    kRuns0 = 12,
    kUnseenPaused = 16, // this and what follows: 0 in objects that were built before there was one
    kRuns4 = 20,
};

// A program that counts its own runs (LIMPET_PROGRAM).
struct CountedProgram {
    std::string name;
    uint32_t number = 0; // of its RUNS counter
    int fd = -1;
    bool is_tail_called = false; // its time is charged to its caller
};

class KernelStats {
public:
    KernelStats() = default;

    // Of a loaded object. One without limpet_stats has zeros everywhere.
    static Result<KernelStats> open(BpfObject& object);

    [[nodiscard]] uint64_t total(KernelStat stat) const { return total(static_cast<uint32_t>(stat)); }
    [[nodiscard]] const std::vector<CountedProgram>& programs() const { return programs_; }
    [[nodiscard]] uint64_t runs(const CountedProgram& program) const
    {
        const uint32_t first = static_cast<uint32_t>(program.number < 4 ? KernelStat::kRuns0 : KernelStat::kRuns4);
        return total(first + (program.number < 4 ? program.number : program.number - 4));
    }

    // Programs run until bpf_jiffies64() has come to this; 0: for ever.
    void set_lease(uint64_t until_jiffies) { set(KernelStat::kLease, until_jiffies); }
    void set_control(uint64_t word) { set(KernelStat::kControl, word); }

private:
    [[nodiscard]] uint64_t total(uint32_t index) const;
    void set(KernelStat word, uint64_t value);

    MappedMap rows_;
    uint32_t cpus_ = 0;
    uint32_t words_per_row_ = 0;
    std::vector<CountedProgram> programs_;
};

} // namespace limpet
