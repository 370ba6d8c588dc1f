// SPDX-License-Identifier: Apache-2.0
//
// What limpet's BPF programs cost: their own run counters times nanoseconds per run.
//
// Owner: Agent; guarded by its mutex. The kernel's run-time statistics (BPF_ENABLE_STATS) slow every BPF program of the host
// while they are on, so they are on for a short window now and then, and only price the runs that the programs count
// themselves. The kernel charges a tail-called program to its caller: the tap's price includes the probes' parsers.
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

// The arithmetic, apart from the kernel: runs become seconds once a price per run is known.
class RunPrice {
public:
    // A window saw `runs` runs that took `total_ns`. Older windows weigh half as much each time.
    void observe(uint64_t runs, uint64_t total_ns);
    // Charges the runs since the last call. A count that has fallen began anew.
    void charge(uint64_t runs);

    // Nothing until the first window with runs.
    [[nodiscard]] std::optional<double> seconds() const;
    [[nodiscard]] double ns_per_run() const { return observed_runs_ > 0 ? observed_ns_ / observed_runs_ : 0; }

private:
    double observed_runs_ = 0;
    double observed_ns_ = 0;
    uint64_t last_runs_ = 0;
    double unpriced_runs_ = 0;
    double seconds_ = 0;
};

class CostMeter {
public:
    // Brings every program's seconds up to date.
    void charge(const std::vector<MeteredProgram>& programs);

    // A window: statistics on, and off again; the caller waits in between.
    Done begin_window(const std::vector<MeteredProgram>& programs);
    void end_window(const std::vector<MeteredProgram>& programs);

    // A program has run and no window has seen it yet.
    [[nodiscard]] bool lacks_price(const std::vector<MeteredProgram>& programs) const;
    // Anything has run since a window last began or ended.
    [[nodiscard]] bool has_news(const std::vector<MeteredProgram>& programs) const;

    [[nodiscard]] std::optional<double> seconds(const std::string& plugin, const std::string& program) const;
    [[nodiscard]] double ns_per_run(const std::string& plugin, const std::string& program) const;

private:
    struct KernelCount {
        uint64_t runs = 0;
        uint64_t total_ns = 0;
    };
    using Key = std::pair<std::string, std::string>;

    static KernelCount count_of(int program_fd);

    std::map<Key, RunPrice> prices_;
    std::map<Key, KernelCount> at_begin_;
    uint64_t runs_at_last_look_ = 0; // of all programs together
    OwnedFd statistics_;             // open: the kernel keeps run-time statistics
};

} // namespace limpet
