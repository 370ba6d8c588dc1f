// SPDX-License-Identifier: Apache-2.0
#include "governor.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace limpet {
namespace {

using std::chrono::seconds;

constexpr double kAimedAt = 0.93;        // of the limit, when shedding
constexpr double kRestoredAt = 0.85;     // of the limit: predicted cost at which work comes back
constexpr double kFallenTo = 0.5;        // … and without delay: the load has fallen
constexpr double kAtOnce = 1.05;         // of the limit, above which two steps are enough to shed
constexpr double kJump = 1.25;           // … at any time, and one where the load has surged
constexpr double kSurge = 1.5;           // times the runs of one of the last two steps
constexpr double kFarAbove = 1.25;       // of the limit: expected without details, above which they are not tried alone
constexpr double kFarAboveAtFirst = 2.5; // … where the load has surged: what it costs at first is more than it will
constexpr double kMemory = 0.8;          // of sums, in a second
constexpr double kSecondsToJudge = 2;    // before what a level costs on average counts
constexpr double kLongestStep = 1;       // in seconds, that weighs
constexpr double kLeastPart = 0.1;       // that a level is believed to leave
constexpr double kMuch = 0.8;            // details are worth a try by themselves where they leave less
constexpr uint32_t kMostAtOnce = 2;      // levels of samples
constexpr double kPlausible = 1.6;       // times what was expected
constexpr seconds kPatience{10};         // a level below has fitted for so long
constexpr seconds kPatienceOfFall{3};    // … where the load has fallen
constexpr seconds kMostPatience{160};
constexpr seconds kRegret{30};    // a level that is given up again within this time was restored too early
constexpr seconds kRest{10};      // between changes that a small excess asks for
constexpr seconds kCorrection{6}; // after the first of several in a row

} // namespace

uint32_t weight_of(uint32_t level)
{
    return level < level::kSampled || level > level::kLastSampled ? 1 : 1U << (level - level::kSampled + 1);
}

std::string description_of(uint32_t level)
{
    switch (level) {
    case level::kAll:
        return "everything is counted";
    case level::kNoEvents:
        return "without sampled events";
    case level::kNoSizes:
        return "without sampled events and sizes";
    case level::kNoFirstByte:
        return "without sampled events, sizes and times to first byte";
    case level::kNoRoutes:
        return "new routes count as other; without sampled events, sizes and times to first byte";
    case level::kNoDurations:
        return "without waits and run-queue delays of threads, new routes, sizes and times to first byte";
    case level::kPaused:
        return "paused: nothing is counted";
    default:
        return "one connection in " + std::to_string(weight_of(level)) + " is followed and stands for the others";
    }
}

void Governor::set_limit(double limit, bool may_pause)
{
    limit_ = limit;
    may_pause_ = may_pause;
}

double Governor::part(uint32_t level) const
{
    if (level < level::kSampled)
        return parts_[level];
    return parts_[level::kNoDurations] * (floor_ + (1 - floor_) / weight_of(level));
}

uint32_t Governor::last_sample() const
{
    uint32_t last = level::kNoDurations;
    // what is sampled already is given up at half of that: the number is an estimate
    while (last < level::kLastSampled && connections_ >= kFewestDrawn * weight_of(last + 1) *
                                                             (last + 1 <= level_ && level_ != level::kPaused ? 0.5 : 1))
        ++last;
    return last;
}

uint32_t Governor::first_that_fits(double used, double allowed) const
{
    const double everything = used / part(level_);
    const uint32_t last = last_sample();
    for (uint32_t level = level::kAll; level < last; ++level)
        if (everything * part(level) <= allowed)
            return level;
    return last;
}

double Governor::average() const
{
    return weight_ > 0 ? sum_.share / weight_ : 0;
}

bool Governor::is_exhausted() const
{
    return limit_ > 0 && level_ != level::kPaused && level_ >= last_sample() && judged_ >= kSecondsToJudge &&
           average() > limit_;
}

void Governor::note(KernelLoad load, double seconds)
{
    has_surged_ = load.runs_per_second > kSurge * std::min(runs_before_[0], runs_before_[1]);
    runs_before_ = {runs_before_[1], load.runs_per_second};
    const double kept = std::pow(kMemory, seconds);
    weight_ = weight_ * kept + seconds;
    sum_.share = sum_.share * kept + load.share * seconds;
    sum_.runs_per_second = sum_.runs_per_second * kept + load.runs_per_second * seconds;
    if (level_ < level::kNoDurations && load.share > 0 && load.rests > 0) // known without being tried
        parts_[level::kNoDurations] = std::clamp(parts_[level::kNoRoutes] - load.rests / load.share * part(level_),
                                                 kLeastPart, parts_[level::kNoRoutes]);
    const bool was_judged = judged_ >= kSecondsToJudge;
    judged_ += seconds;
    if (!was_judged && judged_ >= kSecondsToJudge)
        learn();
}

// What the last change has brought.
void Governor::learn()
{
    if (price_before_ <= 0 || sum_.runs_per_second <= 0 || level_ == level::kPaused || level_before_ == level::kPaused)
        return;
    const double ratio = sum_.share / sum_.runs_per_second / price_before_;
    const double surprise = ratio * part(level_before_) / part(level_);
    if (surprise > kPlausible || surprise < 1 / kPlausible)
        return;                   // one of both was measured wrong
    if (level_ < level_before_) { // restored: what was left out until now is a part of this
        if (level_before_ < level::kSampled)
            parts_[level_before_] = (parts_[level_before_] + std::clamp(part(level_) / ratio, kLeastPart, 1.0)) / 2;
    } else if (level_ < level::kSampled) {
        parts_[level_] = (parts_[level_] + std::clamp(part(level_before_) * ratio, kLeastPart, 1.0)) / 2;
        knows_details_ = knows_details_ || level_ == level::kNoDurations;
    } else {
        const double weight = weight_of(level_);
        const double measured = part(level_before_) * ratio / parts_[level::kNoDurations];
        floor_ = (floor_ + std::clamp((measured - 1 / weight) / (1 - 1 / weight), 0.1, 0.9)) / 2;
    }
    for (uint32_t above = 1; above < parts_.size(); ++above) // never dearer than the one before
        parts_[above] = std::min(parts_[above], parts_[above - 1]);
}

void Governor::change_to(uint32_t level, Clock::time_point now)
{
    if (judged_ > 0 && judged_ < kSecondsToJudge)
        learn();
    price_before_ = sum_.runs_per_second > 0 ? sum_.share / sum_.runs_per_second : 0;
    level_before_ = level_;
    was_restored_ = level < level_;
    if (now >= correct_until_)
        correct_until_ = now + kCorrection;
    level_ = level;
    changed_at_ = now;
    runs_before_[0] = runs_before_[1]; // what came before is answered
    judged_ = weight_ = 0;
    sum_ = {};
    fits_since_.reset();
}

bool Governor::has_rested(Clock::time_point now) const
{
    return level_ == level::kAll || now - changed_at_ >= kRest;
}

// One step alone is not enough: a price may be measured wrong, and load that comes within a step is in it with a part only.
// But how often the tap runs is counted.
bool Governor::is_too_much(Clock::time_point now) const
{
    const auto are_above = [&](double part) { return used_ > part * limit_ && used_before_ > part * limit_; };
    if (are_above(kJump) || (has_surged_ && used_ > kJump * limit_))
        return true;
    if (now < correct_until_)
        return are_above(1);
    if (!has_rested(now))
        return false;
    return are_above(kAtOnce) || (judged_ >= kSecondsToJudge && average() > limit_ && used_ > kAimedAt * limit_);
}

// Of the limit: the cost that is expected without details, below which they are left out alone.
double Governor::details_tried_below() const
{
    if (has_surged_ && part(level::kNoDurations) < kMuch * part(level_))
        return kFarAboveAtFirst;
    return knows_details_ ? 0 : kFarAbove;
}

// Where there is any.
std::optional<uint32_t> Governor::higher_level() const
{
    const uint32_t last = last_sample();
    if (level_ >= last)
        return may_pause_ ? std::optional(level::kPaused) : std::nullopt;
    const double used = used_ > kAtOnce * limit_ ? used_ : average();
    uint32_t wanted = first_that_fits(used, kAimedAt * limit_);
    if (level_ < level::kNoDurations &&
        used / part(level_) * part(level::kNoDurations) < details_tried_below() * limit_)
        wanted = std::min(wanted, level::kNoDurations); // counts stay exact where that may do
    wanted = std::min(wanted, std::max(level_, level::kNoDurations) + kMostAtOnce);
    return wanted > level_ ? std::optional(wanted) : std::nullopt;
}

void Governor::shed(Clock::time_point now)
{
    const std::optional<uint32_t> higher = higher_level();
    if (!higher)
        return;
    if (was_restored_ && now - changed_at_ < kRegret)
        patience_ = std::min(2 * patience_, kMostPatience);
    else if (now - changed_at_ > 2 * kMostPatience)
        patience_ = kPatience;
    change_to(*higher, now);
}

std::optional<uint32_t> Governor::lower_level(Clock::time_point now)
{
    const double used = std::min(used_, average()); // one step above is not a reason to wait anew
    const uint32_t lower = first_that_fits(used, kRestoredAt * limit_);
    if (lower >= level_) {
        fits_since_.reset();
        return std::nullopt;
    }
    if (!fits_since_)
        fits_since_ = now;
    seconds needed = patience_;
    if (first_that_fits(used, kFallenTo * limit_) == level::kAll)
        needed = kPatienceOfFall;
    return now - *fits_since_ < needed ? std::nullopt : std::optional(lower);
}

// Nothing can be measured then: it is tried again.
uint32_t Governor::step_paused(Clock::time_point now)
{
    if (limit_ <= 0)
        change_to(level::kAll, now);
    else if (!may_pause_ || now - changed_at_ >= std::max(2 * kPatience, patience_))
        change_to(last_sample(), now);
    return level_;
}

uint32_t Governor::step(Clock::time_point now, KernelLoad load)
{
    if (level_ == level::kPaused)
        return step_paused(now);
    const double seconds = std::chrono::duration<double>(now - std::exchange(stepped_at_, now)).count();
    used_before_ = judged_ > 0 ? used_ : 0; // at this level
    used_ = load.share;
    connections_ = load.connections;
    if (limit_ <= 0) {
        if (level_ != level::kAll)
            change_to(level::kAll, now);
        return level_;
    }
    note(load, std::min(seconds, kLongestStep));
    if (level_ > last_sample() && has_rested(now)) // fewer connections than there were
        change_to(last_sample(), now);
    else if (is_too_much(now))
        shed(now);
    else if (const std::optional<uint32_t> lower = lower_level(now))
        change_to(*lower, now);
    return level_;
}

} // namespace limpet
