// SPDX-License-Identifier: Apache-2.0
#include "agent_budget.hpp"

#include <algorithm>
#include <utility>

namespace limpet {
namespace {

using std::chrono::seconds;

constexpr double kUnlimited = 0.5; // of a core, for events: scrapes and the lease get their turn
constexpr double kAimedAt = 0.9;   // of the limit: what is not events wavers
constexpr double kAtLeast = 0.1;   // of the limit, whatever the rest takes
constexpr double kMemory = 0.8;    // of the share of what is not events
constexpr double kBurst = 1;       // seconds' worth that can be saved up
constexpr double kRestoredAt = 0.85;
constexpr seconds kPatience{5};
constexpr seconds kMostPatience{160};
constexpr seconds kRegret{30};

} // namespace

double AgentBudget::share_for_events() const
{
    return limit_ > 0 ? std::max(kAimedAt * limit_ - other_, kAtLeast * limit_) : kUnlimited;
}

double AgentBudget::allowance(Clock::time_point now)
{
    const double elapsed = std::chrono::duration<double>(now - std::exchange(filled_at_, now)).count();
    const double share = share_for_events();
    bucket_ = std::min(bucket_ + share * elapsed, share * kBurst);
    return std::max(bucket_, 0.0);
}

void AgentBudget::spend(double seconds, bool has_ended_early)
{
    bucket_ -= seconds;
    was_short_ = was_short_ || has_ended_early;
}

void AgentBudget::note(double seconds, const EventWork& work)
{
    const EventWork before = std::exchange(before_, work).value_or(work);
    const double on_events = work.event_seconds - before.event_seconds;
    used_ = (work.process_seconds - before.process_seconds) / seconds;
    other_ = kMemory * other_ + (1 - kMemory) * std::max(0.0, used_ - on_events / seconds);
    if (work.sent > before.sent && on_events > 0)
        seconds_per_event_ = on_events / static_cast<double>(work.sent - before.sent);
    sampled_share_ = static_cast<double>(work.left_out - before.left_out) * seconds_per_event_ / seconds;
}

AgentBudget::Shed AgentBudget::wanted(Clock::time_point now)
{
    if (limit_ <= 0)
        return Shed::kNothing;
    const bool is_mixed = std::exchange(is_mixed_, false);
    if (std::exchange(was_short_, false)) {
        fits_since_.reset();
        if (is_mixed)
            return shed_; // a second that began with what had come before
        return shed_ == Shed::kNothing ? Shed::kSampledEvents : Shed::kEvents;
    }
    if (shed_ == Shed::kNothing)
        return shed_;
    if (shed_ == Shed::kSampledEvents && sampled_share_ > kRestoredAt * share_for_events()) {
        fits_since_.reset();
        return shed_;
    }
    if (!fits_since_)
        fits_since_ = now;
    if (now - *fits_since_ < patience_)
        return shed_;
    return shed_ == Shed::kEvents ? Shed::kSampledEvents : Shed::kNothing;
}

bool AgentBudget::step(Clock::time_point now, const EventWork& work)
{
    const double elapsed = std::chrono::duration<double>(now - std::exchange(stepped_at_, now)).count();
    if (elapsed <= 0)
        return false;
    note(elapsed, work);
    const Shed next = wanted(now);
    if (next == shed_)
        return false;
    if (shed_ == Shed::kNothing)
        patience_ = was_restored_ && now - changed_at_ < kRegret ? std::min(2 * patience_, kMostPatience) : kPatience;
    was_restored_ = next < shed_;
    is_mixed_ = true;
    shed_ = next;
    changed_at_ = now;
    fits_since_.reset();
    return true;
}

std::string AgentBudget::description() const
{
    switch (shed_) {
    case Shed::kNothing:
        return "all events are read";
    case Shed::kSampledEvents:
        return "without sampled events";
    default:
        return "without sampled events, and others are read as far as the limit allows; the rest is dropped, see "
               "limpet_events_total";
    }
}

} // namespace limpet
