// SPDX-License-Identifier: Apache-2.0
#include "cost_meter.hpp"

#include <algorithm>
#include <utility>

#include <bpf/bpf.h>

namespace limpet {
namespace {

const std::pair<std::string, std::string> kTap{"core", "tap"};

constexpr double kDistrust = 32; // of what old windows have seen

// A window of a few hundred runs is made dear by one interrupt, or by a hypervisor that takes the CPU away within a run.
constexpr double kMostRise = 1.3; // of the price in one window
constexpr double kComparable = 4; // times as many runs as those that the price is known from

uint64_t all_runs(const std::vector<MeteredProgram>& programs)
{
    uint64_t total = 0;
    for (const MeteredProgram& program : programs)
        total += program.runs;
    return total;
}

} // namespace

void RunPrice::observe(uint64_t runs, uint64_t total_ns)
{
    if (runs == 0)
        return;
    const auto count = static_cast<double>(runs);
    auto ns = static_cast<double>(total_ns);
    if (observed_runs_ > count / kComparable && observed_runs_ < count * kComparable)
        ns = std::min(ns, kMostRise * ns_per_run() * count);
    observed_runs_ = observed_runs_ / 2 + count;
    observed_ns_ = observed_ns_ / 2 + ns;
}

void RunPrice::charge(uint64_t runs, double hook_ns)
{
    const auto added = static_cast<double>(runs < last_runs_ ? runs : runs - last_runs_);
    unpriced_runs_ += added;
    recent_runs_ += added;
    unhooked_runs_ += added;
    last_runs_ = runs;
    if (hook_ns > 0)
        hook_seconds_ = hook_seconds_.value_or(0) + std::exchange(unhooked_runs_, 0) * hook_ns / 1e9;
    if (observed_runs_ <= 0)
        return;
    seconds_ += unpriced_runs_ * ns_per_run() / 1e9;
    unpriced_runs_ = 0;
}

double RunPrice::take_recent_seconds()
{
    const double seconds = recent_seconds();
    recent_runs_ = 0;
    return seconds;
}

void RunPrice::expect_change()
{
    observed_runs_ /= kDistrust;
    observed_ns_ /= kDistrust;
}

std::optional<double> RunPrice::seconds() const
{
    return observed_runs_ > 0 ? std::optional(seconds_) : std::nullopt;
}

std::optional<double> RunPrice::hook_seconds() const
{
    return hook_seconds_;
}

void CostMeter::charge(const std::vector<MeteredProgram>& programs)
{
    for (const MeteredProgram& program : programs)
        prices_[{program.plugin, program.program}].charge(program.runs,
                                                          program.is_tail_called ? 0 : kHookByClock * clock_ns());
}

CostMeter::KernelCount CostMeter::count_of(int program_fd)
{
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program_fd, &info, &size))
        return {};
    return {info.run_cnt, info.run_time_ns};
}

void CostMeter::attribute(const TapShare& share)
{
    const RunPrice& tap = prices_[kTap];
    const double price = tap.ns_per_run();
    double calls = 0;
    for (const TapCall& call : share.calls)
        calls += call.per_run;
    if (price <= 0)
        return;
    const double own_ns = calls > 0 ? std::clamp(share.own_ns_per_run, 0.0, price) : price;
    const double added = tap.seconds().value_or(0) - divided_seconds_;
    divided_seconds_ += added;
    Part& own = parts_[kTap];
    own.seconds += added * own_ns / price;
    own.ns_per_run = own_ns;
    for (const TapCall& call : share.calls) {
        Part& part = parts_[{call.plugin, call.program}];
        part.ns_per_run = (price - own_ns) / calls;
        part.seconds += added * part.ns_per_run * call.per_run / price;
    }
}

Done CostMeter::begin_window(const std::vector<MeteredProgram>& programs, int empty_program)
{
    empty_program_ = empty_program;
    empty_so_far_ = count_of(empty_program);
    at_begin_.clear();
    runs_at_last_look_ = all_runs(programs);
    for (const MeteredProgram& program : programs)
        at_begin_[{program.plugin, program.program}] = count_of(program.fd);
    statistics_ = OwnedFd(bpf_enable_stats(BPF_STATS_RUN_TIME));
    return statistics_.is_open() ? done() : Done(errno_error("cannot measure the cost of BPF programs"));
}

void CostMeter::note_empty_runs()
{
    const KernelCount now = count_of(empty_program_);
    const KernelCount before = std::exchange(empty_so_far_, now);
    if (now.runs <= before.runs)
        return;
    const double ns = static_cast<double>(now.total_ns - before.total_ns) / static_cast<double>(now.runs - before.runs);
    clock_ns_ = std::min(ns, clock_ns_.value_or(ns));
}

void CostMeter::end_window(const std::vector<MeteredProgram>& programs)
{
    if (!statistics_.is_open())
        return;
    statistics_.reset();
    runs_at_last_look_ = all_runs(programs);
    for (const MeteredProgram& program : programs) {
        const auto before = at_begin_.find({program.plugin, program.program});
        const KernelCount now = count_of(program.fd);
        if (before == at_begin_.end() || now.runs < before->second.runs || now.total_ns < before->second.total_ns)
            continue; // another program of that name
        observe(before->first.first, before->first.second, now.runs - before->second.runs,
                now.total_ns - before->second.total_ns);
    }
    charge(programs);
}

void CostMeter::observe(const std::string& plugin, const std::string& program, uint64_t runs, uint64_t total_ns)
{
    const auto of_clock_ns = static_cast<uint64_t>(static_cast<double>(runs) * clock_ns());
    prices_[{plugin, program}].observe(runs, total_ns - std::min(total_ns, of_clock_ns));
}

double CostMeter::recent_seconds() const
{
    double seconds = 0;
    for (const auto& [key, price] : prices_)
        seconds += price.recent_seconds();
    return seconds;
}

double CostMeter::recent_seconds(const std::string& plugin, const std::string& program) const
{
    const auto found = prices_.find({plugin, program});
    return found == prices_.end() ? 0 : found->second.recent_seconds();
}

double CostMeter::take_recent_seconds()
{
    double seconds = 0;
    for (auto& [key, price] : prices_)
        seconds += price.take_recent_seconds();
    return seconds;
}

void CostMeter::expect_change()
{
    for (auto& [key, price] : prices_)
        price.expect_change();
}

bool CostMeter::lacks_price(const std::vector<MeteredProgram>& programs) const
{
    return std::any_of(programs.begin(), programs.end(), [&](const MeteredProgram& program) {
        return program.runs > 0 && !program.is_tail_called && !seconds(program.plugin, program.program);
    });
}

bool CostMeter::has_news(const std::vector<MeteredProgram>& programs) const
{
    return all_runs(programs) != runs_at_last_look_;
}

std::optional<double> CostMeter::seconds(const std::string& plugin, const std::string& program) const
{
    if (const auto part = parts_.find({plugin, program}); part != parts_.end())
        return part->second.seconds;
    const auto found = prices_.find({plugin, program});
    return found == prices_.end() ? std::nullopt : found->second.seconds();
}

double CostMeter::total_seconds(const std::string& plugin) const
{
    double total = 0;
    for (const auto& [key, part] : parts_)
        total += key.first == plugin ? part.seconds : 0;
    for (const auto& [key, price] : prices_)
        total += key.first == plugin && !parts_.contains(key) ? price.seconds().value_or(0) : 0;
    return total;
}

std::optional<double> CostMeter::hook_seconds(const std::string& plugin, const std::string& program) const
{
    const auto found = prices_.find({plugin, program});
    return found == prices_.end() ? std::nullopt : found->second.hook_seconds();
}

double CostMeter::total_hook_seconds(const std::string& plugin) const
{
    double total = 0;
    for (const auto& [key, price] : prices_)
        total += key.first == plugin ? price.hook_seconds().value_or(0) : 0;
    return total;
}

double CostMeter::ns_per_run(const std::string& plugin, const std::string& program) const
{
    if (const auto part = parts_.find({plugin, program}); part != parts_.end())
        return part->second.ns_per_run;
    const auto found = prices_.find({plugin, program});
    return found == prices_.end() ? 0 : found->second.ns_per_run();
}

} // namespace limpet
