// SPDX-License-Identifier: Apache-2.0
//
// Which connections are followed where limits.kernel_cpu leaves no other choice: the words that the tap draws them by
// (bpf/tap_sample.bpf.h), and how far the counts may be off.
//
// Owner: AgentState; a value, guarded by its mutex. The connections are those of the tap's map, which programs go on changing.
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <vector>

#include <limpet/connection.h>

#include "sampling_error.hpp"

namespace limpet {

class ConnectionSample {
public:
    using Clock = std::chrono::steady_clock;
    using Connections = std::span<limpet_connection>;
    static constexpr std::chrono::seconds kEpoch{10}; // then another sample is drawn

    // Before the programs are told. `number`: number_of() until now.
    void set_level(uint32_t level, Connections connections, double number, Clock::time_point now);
    // Once a second: counts what is in the sample, and draws another one when it is time. True when it has.
    bool step(Connections connections, Clock::time_point now);
    // How many have had requests lately, of all: those that were used in the epoch before `age` (limpet_connection.last_used);
    // while they are sampled an estimate, by the last epoch.
    [[nodiscard]] double number_of(Connections connections, uint16_t age, uint16_t ages_of_epoch) const;

    // All but the era of the word that programs read.
    [[nodiscard]] uint64_t control() const;
    // Expected relative error of counts of requests over the last minute.
    [[nodiscard]] double relative_error(Clock::time_point now) const;

private:
    struct Counted {
        uint16_t generation = 0;
        uint16_t done = 0;
        uint32_t requests = 0; // in this epoch
    };

    void look_at(Connections connections);
    void count(Connections connections);
    [[nodiscard]] SampleSize size() const;
    void begin_epoch(Clock::time_point now);
    void end_epoch(Clock::time_point now);
    [[nodiscard]] uint16_t new_salt() const;

    uint32_t level_ = 0;
    uint8_t epoch_ = 0;
    uint16_t salt_ = 0;
    uint16_t salt_before_ = 0;
    Clock::time_point epoch_began_at_{};
    std::vector<Counted> counted_; // by slot
    SampleSize gone_;              // of this epoch, whose slots others have
    double connections_ = 0;       // that had requests in the last epoch that was long enough, of all
    SamplingError error_;
};

} // namespace limpet
