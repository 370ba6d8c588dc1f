// SPDX-License-Identifier: Apache-2.0
#include "agent_loop.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "log.hpp"
#include "reload.hpp"

namespace limpet {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

constexpr auto kAdoptAgainAfter = 1s; // sockets accepted while the hooks were being attached
constexpr auto kTickEvery = 1s;
constexpr auto kGovernEvery = 500ms;    // where there is a limit
constexpr auto kForgetAtMostEvery = 1s; // rows and numbers of ended workloads are looked for four times in forget_after
constexpr auto kForgetAtLeastEvery = 30s;
constexpr auto kFirstCostWindow = 1s;
constexpr auto kCostWindowLength = 25ms;   // run-time statistics slow every BPF program of the host: keep it short
constexpr auto kLongestCostWindow = 250ms; // on a quiet host, until anything has run
constexpr auto kCostWindowEvery = 30s;
constexpr auto kCostWindowRetry = 3s; // while a program has run that no window has seen

// When each thing is due next.
class Schedule {
public:
    Schedule(AgentState& state, const Config& config)
        : state_(state), drain_every_(config.agent.drain_interval), drain_at_(steady_clock::now() + drain_every_),
          forget_after_(config.agent.forget_after), forget_at_(next_forget(steady_clock::now())),
          adopt_at_(steady_clock::now() + kAdoptAgainAfter), cost_at_(steady_clock::now() + kFirstCostWindow)
    {
    }

    [[nodiscard]] steady_clock::time_point next() const
    {
        const auto govern_at = is_limited() ? govern_at_ : steady_clock::time_point::max();
        return std::min({drain_at_, tick_at_, govern_at, adopt_at_, cost_at_});
    }

    void run_due()
    {
        const auto now = steady_clock::now();
        const std::lock_guard lock(state_.mutex);
        const bool is_tick = now >= tick_at_;
        if (now >= drain_at_ || is_tick) {
            if (is_tick)
                state_.renew_lease();
            state_.drain();
            drain_at_ = now + drain_every_;
            if (is_tick) {
                state_.tick();
                tick_at_ = now + kTickEvery;
            }
            if (now >= forget_at_) {
                state_.forget(forget_after_);
                forget_at_ = next_forget(now);
            }
        }
        if (is_tick || (is_limited() && now >= govern_at_))
            govern(now, is_tick);
        if (now >= adopt_at_) {
            state_.tap.adopt_again();
            for (const auto& probe : state_.probes)
                probe->run_iterators();
            adopt_at_ = steady_clock::time_point::max();
        }
        if (now >= cost_at_)
            measure_cost(now);
    }

private:
    [[nodiscard]] steady_clock::time_point next_forget(steady_clock::time_point now) const
    {
        if (forget_after_ == 0s)
            return steady_clock::time_point::max();
        return now + std::clamp<steady_clock::duration>(forget_after_ / 4, kForgetAtMostEvery, kForgetAtLeastEvery);
    }

    [[nodiscard]] bool is_limited() const { return state_.governor.limit() > 0; }

    // Near a limit not without new prices: once the window is closed. A tick takes a step with it that is due soon, so that they wake
    // up together.
    void govern(steady_clock::time_point now, bool is_tick)
    {
        if (is_limited() && is_tick && now + kGovernEvery / 2 < govern_at_)
            return;
        govern_at_ = now + kGovernEvery;
        is_governing_ = is_limited() && state_.is_near_limit();
        if (!is_governing_)
            state_.govern();
        else if (!is_window_open_)
            cost_at_ = now;
    }

    void measure_cost(steady_clock::time_point now)
    {
        const std::vector<MeteredProgram> programs = state_.metered_programs();
        if (is_window_open_)
            cost_at_ = now + close_window(programs, now);
        else if (is_governing_ || state_.cost.has_news(programs))
            cost_at_ = now + open_window(programs, now);
        else
            cost_at_ = now + kCostWindowRetry;
    }

    // Both return how long to wait before the next look.
    steady_clock::duration open_window(const std::vector<MeteredProgram>& programs, steady_clock::time_point now)
    {
        const Done begun = state_.cost.begin_window(programs, state_.tap.empty_program());
        is_window_open_ = begun.has_value();
        window_since_ = now;
        if (begun)
            return kCostWindowLength;
        if (!std::exchange(has_complained_, true))
            log(LogLevel::kWarn, "agent", begun.error().text + "; limpet_kernel_seconds_total is missing");
        return kCostWindowEvery;
    }

    steady_clock::duration close_window(const std::vector<MeteredProgram>& programs, steady_clock::time_point now)
    {
        if (!is_governing_ && !state_.cost.has_news(programs) && now - window_since_ < kLongestCostWindow)
            return kCostWindowLength;
        state_.end_cost_window();
        is_window_open_ = false;
        if (std::exchange(is_governing_, false))
            state_.govern();
        return state_.cost.lacks_price(programs) ? kCostWindowRetry : kCostWindowEvery;
    }

    AgentState& state_;
    const steady_clock::duration drain_every_;
    steady_clock::time_point drain_at_;
    steady_clock::time_point tick_at_;
    steady_clock::time_point govern_at_;
    const std::chrono::milliseconds forget_after_;
    steady_clock::time_point forget_at_; // with a drain: no wake-up of its own
    steady_clock::time_point adopt_at_;
    steady_clock::time_point cost_at_;
    steady_clock::time_point window_since_;
    bool is_window_open_ = false;
    bool is_governing_ = false; // as soon as prices are new
    bool has_complained_ = false;
};

} // namespace

int run_loop(AgentState& state, Config& config, const std::filesystem::path& config_file, const StopSignals& signals)
{
    Schedule schedule(state, config);
    for (;;) {
        const int signal = signals.wait_until(schedule.next());
        if (signal == SIGTERM || signal == SIGINT)
            return signal;
        if (signal == SIGHUP)
            reload(state, config, config_file);
        schedule.run_due();
    }
}

} // namespace limpet
