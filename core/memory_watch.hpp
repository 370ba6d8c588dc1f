// SPDX-License-Identifier: Apache-2.0
//
// limits.memory: what the agent takes, and what is done above the limit.
//
// Owner: AgentState; guarded by its mutex. What grows with the load has bounds of its own (limits.series, 1,023 workloads), so
// that nothing that counts is dropped here: free pages of the heap are given back, and what stays above is told.
#pragma once

#include <chrono>
#include <cstdint>

namespace limpet {

// Resident pages of this process; 0 when /proc cannot be read.
[[nodiscard]] uint64_t resident_bytes();

class MemoryWatch {
public:
    using Clock = std::chrono::steady_clock;

    explicit MemoryWatch(uint64_t limit_bytes) : limit_bytes_(limit_bytes) {}

    // 0: no limit.
    void set_limit(uint64_t bytes) { limit_bytes_ = bytes; }
    // Looks every few seconds, however often it is called.
    void look(Clock::time_point now);
    // As of the last look.
    [[nodiscard]] uint64_t used_bytes() const { return used_bytes_; }

private:
    uint64_t limit_bytes_;
    uint64_t used_bytes_ = 0;
    Clock::time_point look_at_;
    bool is_above_ = false;
};

} // namespace limpet
