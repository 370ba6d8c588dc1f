// SPDX-License-Identifier: Apache-2.0
//
// The control law of limits.kernel_cpu: which level of work keeps the cost below the limit.
//
// Owner: AgentState; a value, guarded by its mutex. Pure: costs and times in, a level out; who tells the BPF programs is
// AgentState. Levels are those of enum limpet_level (stats.bpf.h): each leaves out more, counts are exact below kSampled.
//
// Steps are half a second apart and begin where the level changes, so none holds a part of two. It sheds when two steps are above the
// limit, or one where the load has surged, to the first level that is expected to fit, among samples by two levels at most: one wrong measurement
// is not to cost all. What has just been shed may be corrected, after that it rests for ten seconds unless the load jumps. It restores when
// the cost of a lower level, predicted from what is measured now, has fitted for a while; the while doubles each time that a
// restored level had to be given up again. What a level saves is learned from each change: by the price of one run of the tap
// before and after, so that a load that changes meanwhile does not mislead. What programs cost that rest without details is known before.
//
// A sample of a few connections says nothing, so it never goes to one in which fewer than kFewestDrawn are expected. Where that
// is not enough the limit is not kept, unless it may pause.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace limpet {

namespace level {
inline constexpr uint32_t kAll = 0;
inline constexpr uint32_t kNoEvents = 1;
inline constexpr uint32_t kNoSizes = 2;
inline constexpr uint32_t kNoFirstByte = 3;
inline constexpr uint32_t kNoRoutes = 4;
inline constexpr uint32_t kNoDurations = 5;
inline constexpr uint32_t kSampled = 6; // one connection in two; up to kLastSampled the half of it each
inline constexpr uint32_t kLastSampled = 12;
inline constexpr uint32_t kPaused = 15;
} // namespace level

// What is counted at this level stands for so many.
[[nodiscard]] uint32_t weight_of(uint32_t level);
// "everything is counted", "without sizes", …: for people.
[[nodiscard]] std::string description_of(uint32_t level);

// What the programs have cost since the last step.
struct KernelLoad {
    double share = 0;           // of one core
    double runs_per_second = 0; // of the tap
    double connections = 0;     // that have had requests lately, of all, not of the sample alone
    double rests = 0;           // of `share`, what programs cost that do not run at kNoDurations
};

class Governor {
public:
    using Clock = std::chrono::steady_clock;
    // A connection within this host has two ends in the table, which are drawn together.
    static constexpr double kFewestDrawn = 2 * 20;

    // `limit`: share of one core; 0: none. `may_pause`: what to do when the last sample is still too dear.
    Governor(double limit, bool may_pause) : limit_(limit), may_pause_(may_pause) {}

    void set_limit(double limit, bool may_pause);
    // The level from now on.
    uint32_t step(Clock::time_point now, KernelLoad load);

    [[nodiscard]] uint32_t level() const { return level_; }
    [[nodiscard]] double limit() const { return limit_; }
    [[nodiscard]] double used() const { return used_; }
    [[nodiscard]] double connections() const { return connections_; }
    // Everything that may be left out is, and the limit is not kept all the same.
    [[nodiscard]] bool is_exhausted() const;
    // So near that prices have to be new: they change with the load and with what is counted. `share`: by old prices, which may be
    // half of those that a load has which begins.
    [[nodiscard]] bool is_near(double share) const
    {
        return limit_ > 0 && (level_ > level::kAll || share > limit_ / 4);
    }

private:
    // The lowest level whose cost, predicted from what `used` is at the level of now, is at most `allowed`; else last_sample().
    [[nodiscard]] uint32_t first_that_fits(double used, double allowed) const;
    [[nodiscard]] double part(uint32_t level) const;
    // The highest level at which the sample is large enough.
    [[nodiscard]] uint32_t last_sample() const;
    [[nodiscard]] bool is_too_much(Clock::time_point now) const;
    [[nodiscard]] bool has_rested(Clock::time_point now) const;
    [[nodiscard]] double average() const;
    [[nodiscard]] double details_tried_below() const;
    [[nodiscard]] std::optional<uint32_t> higher_level() const;
    [[nodiscard]] std::optional<uint32_t> lower_level(Clock::time_point now);
    uint32_t step_paused(Clock::time_point now);
    void shed(Clock::time_point now);
    void change_to(uint32_t level, Clock::time_point now);
    void note(KernelLoad load, double seconds);
    void learn();

    double limit_;
    bool may_pause_;
    uint32_t level_ = level::kAll;
    double used_ = 0;
    double used_before_ = 0;              // in the step before, at this level
    KernelLoad sum_;                      // times seconds, at this level; what is older weighs less
    double weight_ = 0;                   // of sum_, in seconds
    std::array<double, 2> runs_before_{}; // per second, in the last two steps
    bool has_surged_ = false;
    double judged_ = 0; // seconds at this level
    Clock::time_point stepped_at_{};
    double connections_ = 0;
    double price_before_ = 0; // a run's, at the level before this one
    uint32_t level_before_ = level::kAll;
    Clock::time_point changed_at_{};
    Clock::time_point correct_until_{};
    std::optional<Clock::time_point> fits_since_;
    bool was_restored_ = false; // the last change went down
    std::chrono::seconds patience_{10};
    // Costs as parts of that of level 0, at first of the http probe alone; of sampled levels what remains when nothing is drawn.
    std::array<double, level::kSampled> parts_{1, 1, 0.99, 0.98, 0.97, 0.97};
    bool knows_details_ = false; // parts_ was measured here
    double floor_ = 0.36;
};

} // namespace limpet
