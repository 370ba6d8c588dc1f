// SPDX-License-Identifier: Apache-2.0
//
// The dead man's switch: BPF programs run while the agent renews its lease on them (limits.lease).
//
// Owner: AgentState; a value, guarded by its mutex. Time is the kernel's jiffies, which cost a program nothing to read.
// The arithmetic only: Tap reads jiffies, KernelStats hands the lease to programs.
#pragma once

#include <chrono>
#include <cstdint>

namespace limpet {

// Jiffies in a second (CONFIG_HZ): the resolution of the coarse clocks is one of them.
[[nodiscard]] uint64_t jiffies_per_second();

class Lease {
public:
    Lease(std::chrono::milliseconds length, uint64_t jiffies_a_second)
        : length_jiffies_(static_cast<uint64_t>(length.count()) * jiffies_a_second / 1000)
    {
    }

    // False from the moment on that programs rest, until it is renewed.
    [[nodiscard]] bool holds(uint64_t now_jiffies) const { return until_jiffies_ == 0 || now_jiffies < until_jiffies_; }
    // What programs compare with; 0 before the first renewal: they run.
    [[nodiscard]] uint64_t until_jiffies() const { return until_jiffies_; }
    void renew(uint64_t now_jiffies) { until_jiffies_ = now_jiffies + length_jiffies_; }

private:
    uint64_t length_jiffies_;
    uint64_t until_jiffies_ = 0;
};

} // namespace limpet
