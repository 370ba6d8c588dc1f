// SPDX-License-Identifier: Apache-2.0
//
// Which rows of a series table are to be taken back: those of ended workloads that nothing has been counted in for a while.
//
// Owner: SeriesTable. Remembers, of each row whose workload has ended, what it held and since when. Values; no threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <unordered_map>
#include <vector>

namespace limpet {

using SteadyTime = std::chrono::steady_clock::time_point;

class EndedRows {
public:
    // The row's workload has ended and the row holds `content` (a hash). True when that is so for `after` by now.
    bool is_settled(uint32_t row, uint64_t content, SteadyTime now, std::chrono::milliseconds after)
    {
        const auto [known, is_new] = rows_.try_emplace(row, Seen{content, now});
        if (is_new || known->second.content != content) {
            known->second = {content, now};
            return after == std::chrono::milliseconds(0);
        }
        return now - known->second.since >= after;
    }

    // Its workload runs, or the row is somebody else's now.
    void drop(uint32_t row) { rows_.erase(row); }

private:
    struct Seen {
        uint64_t content;
        SteadyTime since;
    };
    std::unordered_map<uint32_t, Seen> rows_;
};

} // namespace limpet
