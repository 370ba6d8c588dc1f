// SPDX-License-Identifier: Apache-2.0
//
// limits.agent_cpu without a kernel: the control law beside an agent that is sent more events than it may read.
#include <algorithm>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "agent_budget.hpp"

using namespace limpet;
using namespace std::chrono_literals;

namespace {

// An agent whose probes are sent so many events a second, of 2 µs each, and that drains ten times a second.
class SimulatedAgent {
public:
    explicit SimulatedAgent(double limit) : budget_(limit) {}

    // What each second cost.
    std::vector<double> run(double sampled, double others, double rest, int seconds)
    {
        std::vector<double> costs;
        for (int second = 0; second < seconds; ++second) {
            const double before = work_.process_seconds;
            const bool sends_sampled = budget_.shed() == AgentBudget::Shed::kNothing;
            for (int drain = 0; drain < 10; ++drain)
                read((sends_sampled ? sampled + others : others) / 10);
            work_.left_out += sends_sampled ? 0 : static_cast<uint64_t>(sampled);
            work_.process_seconds += rest;
            changes_ += budget_.step(now_, work_);
            costs.push_back(work_.process_seconds - before);
        }
        return costs;
    }

    [[nodiscard]] AgentBudget::Shed shed() const { return budget_.shed(); }
    int take_changes() { return std::exchange(changes_, 0); }

private:
    void read(double events)
    {
        constexpr double kEach = 2e-6;
        now_ += 100ms;
        const double allowed = budget_.allowance(now_);
        waiting_ = std::min(waiting_ + events, 4000.0); // as many as the ring has room for
        const double taken = std::min(waiting_, allowed / kEach);
        waiting_ -= taken;
        work_.sent += static_cast<uint64_t>(taken);
        work_.event_seconds += taken * kEach;
        work_.process_seconds += taken * kEach;
        budget_.spend(taken * kEach, waiting_ > 0);
    }

    AgentBudget budget_;
    EventWork work_;
    AgentBudget::Clock::time_point now_{};
    double waiting_ = 0;
    int changes_ = 0;
};

} // namespace

TEST_CASE("a flood of events costs no more than limits.agent_cpu from its second second on, and sampled ones go first")
{
    SimulatedAgent agent(0.01);
    agent.run(1000, 0, 0.001, 10);
    CHECK(agent.shed() == AgentBudget::Shed::kNothing);
    std::vector<double> costs = agent.run(1e6, 500, 0.001, 20);
    for (size_t second = 1; second < costs.size(); ++second)
        CHECK(costs[second] < 0.0101);
    CHECK(agent.shed() == AgentBudget::Shed::kSampledEvents);
    agent.run(1000, 500, 0.001, 8);
    CHECK(agent.shed() == AgentBudget::Shed::kNothing);
    costs = agent.run(0, 1e6, 0.001, 20);
    for (size_t second = 1; second < costs.size(); ++second)
        CHECK(costs[second] < 0.0101);
    CHECK(agent.shed() == AgentBudget::Shed::kEvents);
    agent.run(0, 500, 0.001, 30); // the flood had come back soon: it waits for longer
    CHECK(agent.shed() == AgentBudget::Shed::kNothing);
}

TEST_CASE("under a constant flood the agent does not swing, and events are read however dear the rest is")
{
    SimulatedAgent agent(0.01);
    agent.run(1e6, 500, 0.001, 20);
    CHECK(agent.take_changes() <= 2);
    agent.run(1e6, 500, 0.001, 100);
    CHECK(agent.take_changes() == 0);
    SimulatedAgent busy(0.01);
    busy.run(0, 1e6, 0.05, 20);
    const std::vector<double> costs = busy.run(0, 1e6, 0.05, 10);
    CHECK(costs.back() == Approx(0.051).epsilon(0.01));
}
