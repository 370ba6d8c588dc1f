// SPDX-License-Identifier: Apache-2.0
//
// What limpet costs now: rates over the last seconds, from totals that are noted once a second.
//
// Owner: AgentState; a value, guarded by its mutex. The arithmetic only.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace limpet {

// Of one plugin, since the start.
struct CostSoFar {
    double kernel_seconds = 0;
    double user_seconds = 0;
    uint64_t runs = 0;        // of its programs
    bool is_measured = false; // one of its programs has a price
    double hook_seconds = 0;  // CostMeter::hook_seconds of its programs
};

struct CostRate {
    double kernel_share = 0; // of one core
    double user_share = 0;
    double kernel_ns_per_run = 0;
    bool is_measured = false; // false: what it costs in the kernel is not known, and 0 here
    double hook_share = 0;    // of one core, beside kernel_share
};

class CostRates {
public:
    using Clock = std::chrono::steady_clock;

    void note(Clock::time_point now, std::map<std::string, CostSoFar> costs);
    // Over the seconds that are remembered, ten at most; zeros before there are two notes of the plugin.
    [[nodiscard]] CostRate of(const std::string& plugin) const;

private:
    struct Note {
        Clock::time_point at;
        std::map<std::string, CostSoFar> costs;
    };
    std::deque<Note> notes_;
};

} // namespace limpet
