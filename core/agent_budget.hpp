// SPDX-License-Identifier: Apache-2.0
//
// The control law of limits.agent_cpu: how much of its own time the agent may spend on events.
//
// Owner: AgentState; a value, guarded by its mutex. Pure: CPU times and counts in, an allowance out. What the agent does at each
// scrape and once a second is not limited; events are, and get what that leaves. An allowance that is used up ends a drain: what is
// not read stays in the ring, and what then finds no room there is counted as dropped by the kernel side.
//
// Sampled events go first, since who sends them counts on that: when an allowance has not sufficed, programs are told to send
// none. They come back when what they would cost, by their number and what an event has cost, has fitted for a while; the while
// doubles each time that it was too early.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace limpet {

// Since the agent began.
struct EventWork {
    double process_seconds = 0; // CPU time of the agent
    double event_seconds = 0;   // of which on events
    uint64_t sent = 0;          // events that found room in a ring
    uint64_t left_out = 0;      // sampled events that were not sent
};

class AgentBudget {
public:
    using Clock = std::chrono::steady_clock;
    enum class Shed { kNothing, kSampledEvents, kEvents };

    // Share of one core; 0: none.
    explicit AgentBudget(double limit) : limit_(limit) {}
    void set_limit(double limit) { limit_ = limit; }

    // CPU seconds that the next drain may take, and what it took.
    [[nodiscard]] double allowance(Clock::time_point now);
    void spend(double seconds, bool has_ended_early);

    // Once a second. True when more or less is shed from now on.
    bool step(Clock::time_point now, const EventWork& work);

    [[nodiscard]] Shed shed() const { return shed_; }
    [[nodiscard]] double limit() const { return limit_; }
    [[nodiscard]] double used() const { return used_; }
    // For people.
    [[nodiscard]] std::string description() const;

private:
    [[nodiscard]] double share_for_events() const;
    [[nodiscard]] Shed wanted(Clock::time_point now);
    void note(double seconds, const EventWork& work);

    double limit_;
    Shed shed_ = Shed::kNothing;
    double used_ = 0;
    double other_ = 0;  // share of what is not events, over some seconds
    double bucket_ = 0; // CPU seconds
    double seconds_per_event_ = 0;
    double sampled_share_ = 0; // what sampled events that were left out would have taken
    bool was_short_ = false;
    bool is_mixed_ = false;     // the level has changed in the second before
    bool was_restored_ = false; // the last change went down
    std::optional<EventWork> before_;
    Clock::time_point filled_at_{};
    Clock::time_point stepped_at_{};
    Clock::time_point changed_at_{};
    std::optional<Clock::time_point> fits_since_;
    std::chrono::seconds patience_{5};
};

} // namespace limpet
