// SPDX-License-Identifier: Apache-2.0
//
// What limpet's BPF programs cost: their own run counters times nanoseconds per run.
//
// Owner: Agent; guarded by its mutex. The kernel's run-time statistics (BPF_ENABLE_STATS) slow every BPF program of the host
// while they are on, so they are on for a short window now and then, and only price the runs that the programs count
// themselves. An empty program that is run in the same window tells what of it is the statistics' own clock.
// The kernel charges a tail-called program to its caller, the tap; attribute() gives the parsers their part.
// The way into a hook and out of it is in no such statistic: hook_seconds() is an estimate of it, see kHookByClock.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

// A program and how often it has run, by its own count.
struct MeteredProgram {
    std::string plugin; // "core" for the tap
    std::string program;
    int fd = -1;
    uint64_t runs = 0;
    bool is_tail_called = false; // has no price of its own
};

// A parser, and how many of the tap's runs end in it.
struct TapCall {
    std::string plugin;
    std::string program;
    double per_run = 0;
};

// What a run of the tap costs before it calls a parser, and whom it calls.
struct TapShare {
    double own_ns_per_run = 0;
    std::vector<TapCall> calls;
};

// The arithmetic, apart from the kernel: runs become seconds once a price per run is known.
class RunPrice {
public:
    // A window saw `runs` runs that took `total_ns`. Older windows weigh half as much each time.
    void observe(uint64_t runs, uint64_t total_ns);
    // Charges the runs since the last call. A count that has fallen began anew. `hook_ns`: of the way into each run; 0: not
    // known yet.
    void charge(uint64_t runs, double hook_ns = 0);

    // Nothing until the first window with runs.
    [[nodiscard]] std::optional<double> seconds() const;
    // Nothing until hook_ns was known.
    [[nodiscard]] std::optional<double> hook_seconds() const;
    // What the runs since the last call of take_recent_seconds() cost at the price of now.
    [[nodiscard]] double recent_seconds() const { return recent_runs_ * ns_per_run() / 1e9; }
    double take_recent_seconds();
    // What a run costs is about to change: the next window is to weigh more than those before.
    void expect_change();
    [[nodiscard]] double ns_per_run() const { return observed_runs_ > 0 ? observed_ns_ / observed_runs_ : 0; }

private:
    double observed_runs_ = 0;
    double observed_ns_ = 0;
    uint64_t last_runs_ = 0;
    double unpriced_runs_ = 0;
    double recent_runs_ = 0;
    double seconds_ = 0;
    double unhooked_runs_ = 0;
    std::optional<double> hook_seconds_;
};

class CostMeter {
public:
    // What the way into a hook costs, in times of what the statistics' clock adds to a run. By bench/hook_cost: 0.6 to 1.1, on cgroup_skb
    // and tp_btf, for the first program on a hook and those behind it.
    static constexpr double kHookByClock = 0.8;

    // Brings every program's seconds up to date.
    void charge(const std::vector<MeteredProgram>& programs);

    // Divides what the tap has cost since the last call between it and the parsers. After charge().
    void attribute(const TapShare& share);

    // A window: statistics on, and off again. In between the caller waits, and then runs `empty_program` in some batches, each
    // followed by note_empty_runs().
    Done begin_window(const std::vector<MeteredProgram>& programs, int empty_program);
    void note_empty_runs();
    void end_window(const std::vector<MeteredProgram>& programs);

    // What a window has found of one program.
    void observe(const std::string& plugin, const std::string& program, uint64_t runs, uint64_t total_ns);

    // What all runs since the last call of take_recent_seconds() cost at the prices of now. After charge().
    [[nodiscard]] double recent_seconds() const;
    [[nodiscard]] double recent_seconds(const std::string& plugin, const std::string& program) const;
    double take_recent_seconds();
    // Prices are about to change.
    void expect_change();

    // A program has run and no window has seen it yet.
    [[nodiscard]] bool lacks_price(const std::vector<MeteredProgram>& programs) const;
    // Anything has run since a window last began or ended.
    [[nodiscard]] bool has_news(const std::vector<MeteredProgram>& programs) const;

    [[nodiscard]] std::optional<double> seconds(const std::string& plugin, const std::string& program) const;
    [[nodiscard]] double ns_per_run(const std::string& plugin, const std::string& program) const;
    // Of a program with a hook of its own: the way into it.
    [[nodiscard]] std::optional<double> hook_seconds(const std::string& plugin, const std::string& program) const;
    // Of all programs of a plugin.
    [[nodiscard]] double total_seconds(const std::string& plugin) const;
    [[nodiscard]] double total_hook_seconds(const std::string& plugin) const;
    // What the statistics' clock adds to a run: the least that a batch has shown, since interrupts only add. 0 before the first.
    [[nodiscard]] double clock_ns() const { return clock_ns_.value_or(0); }

private:
    struct KernelCount {
        uint64_t runs = 0;
        uint64_t total_ns = 0;
    };
    using Key = std::pair<std::string, std::string>;

    static KernelCount count_of(int program_fd);

    struct Part { // of the tap's time
        double seconds = 0;
        double ns_per_run = 0;
    };

    std::map<Key, RunPrice> prices_;
    std::map<Key, Part> parts_;  // the tap's own, and its parsers'
    double divided_seconds_ = 0; // of the tap, in parts_
    std::optional<double> clock_ns_;
    KernelCount empty_so_far_;
    int empty_program_ = -1;
    std::map<Key, KernelCount> at_begin_;
    uint64_t runs_at_last_look_ = 0; // of all programs together
    OwnedFd statistics_;             // open: the kernel keeps run-time statistics
};

} // namespace limpet
