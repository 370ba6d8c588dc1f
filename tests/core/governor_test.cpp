// SPDX-License-Identifier: Apache-2.0
//
// limits.kernel_cpu and limits.agent_cpu without a kernel: the control laws beside a host that is not as they believe, and samples of connections.
#include <algorithm>
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "agent_budget.hpp"
#include "connection_sample.hpp"
#include "governor.hpp"

using namespace limpet;
using namespace std::chrono_literals;

namespace {

// A host whose programs cost so much of a core at level 0, and less at others, by its own parts: not those that the governor
// believes in at first.
class SimulatedHost {
public:
    SimulatedHost(double limit, bool may_pause, double details, double floor, double connections = 20'000)
        : governor_(limit, may_pause), details_(details), floor_(floor), connections_(connections)
    {
    }

    // Runs for so many steps of half a second under a load; what each cost. `error`: of what is measured, beside its wavering.
    std::vector<double> run_steps(double everything, int steps, double error = 1)
    {
        std::vector<double> costs;
        for (int step = 0; step < steps; ++step) {
            const double cost = everything * part(governor_.level());
            costs.push_back(cost);
            now_ += 500ms;
            const uint32_t before = governor_.level();
            const double measured = cost * error * wavering();
            const double rests = before < level::kNoDurations ? measured * rests_ / part(before) : 0;
            governor_.step(now_, {measured, everything * 1e6, connections_, rests});
            changes_ += governor_.level() != before;
        }
        return costs;
    }
    std::vector<double> run(double everything, int seconds, double error = 1)
    {
        return run_steps(everything, 2 * seconds, error);
    }

    // Programs that cost so much of all rest without details, as the governor is told.
    void have_resting(double part) { rests_ = part; }
    // Each step is measured wrong by so much on average, and one in fifty by three times that.
    void waver(double error) { noise_ = error; }
    [[nodiscard]] uint32_t level() const { return governor_.level(); }
    [[nodiscard]] bool is_exhausted() const { return governor_.is_exhausted(); }
    void set_limit(double limit) { governor_.set_limit(limit, false); }
    void have_connections(double connections) { connections_ = connections; }
    int take_changes() { return std::exchange(changes_, 0); }

private:
    [[nodiscard]] double part(uint32_t level) const
    {
        if (level == level::kPaused)
            return 0;
        if (level < level::kNoDurations)
            return 1;
        return details_ * (level == level::kNoDurations ? 1 : floor_ + (1 - floor_) / weight_of(level));
    }

    double wavering()
    {
        ++steps_;
        if (noise_ <= 0)
            return steps_ % 2 ? 1.03 : 0.97;
        return std::max(0.3, 1 + std::normal_distribution<>(0, steps_ % 50 ? noise_ : 3 * noise_)(random_));
    }

    Governor governor_;
    std::mt19937 random_{7};
    double noise_ = 0;
    double rests_ = 0;
    uint32_t steps_ = 0;
    double details_;
    double floor_;
    double connections_;
    Governor::Clock::time_point now_{};
    int changes_ = 0;
};

} // namespace

TEST_CASE("without a limit, or below it, everything is counted")
{
    SimulatedHost unlimited(0, true, 0.8, 0.36);
    unlimited.run(3.0, 30);
    CHECK(unlimited.level() == level::kAll);
    SimulatedHost roomy(0.5, true, 0.8, 0.36);
    roomy.run(0.45, 100);
    CHECK(roomy.take_changes() == 0);
}

TEST_CASE("a step of the load is below the limit within two seconds, whenever it comes, and stays within a tenth of it")
{
    for (const double floor : {0.3, 0.36, 0.5})
        for (const auto& [details, rests] : {std::pair{0.8, 0.17}, {0.65, 0.32}, {0.9, 0.0}, {0.97, 0.0}})
            for (const double share : {0.9, 0.7, 0.65})
                for (const double of_first_step : {0.01, 0.3, 0.6, 0.75, 0.9, 1.0}) {
                    CAPTURE(floor, details, rests, share, of_first_step);
                    SimulatedHost host(0.1 * share, true, details, floor);
                    host.have_resting(rests);
                    host.run(0.01, 20);
                    host.run_steps(0.1 * of_first_step, 1);
                    const std::vector<double> costs = host.run(0.1, 120);
                    for (size_t step = 3; step < costs.size(); ++step) // … and the part of the first one
                        CHECK(costs[step] < 0.1 * share * 1.1);
                    if (share <= 0.7) // what is a little above is looked at for longer
                        CHECK(*std::min_element(costs.begin(), costs.begin() + 4) <= 0.1 * share);
                }
}

TEST_CASE("what is left without programs that rest is known before: a limit that it keeps is met by one change, one "
          "that it does not by none to it")
{
    SimulatedHost enough(0.07, true, 0.65, 0.36);
    enough.have_resting(0.32);
    enough.run(0.01, 10);
    enough.run(0.1, 60);
    CHECK(enough.level() == level::kNoDurations);
    CHECK(enough.take_changes() == 1);
    SimulatedHost too_little(0.03, true, 0.8, 0.36); // even allowing for what is dearest at first
    too_little.have_resting(0.17);
    too_little.run(0.01, 10);
    too_little.run_steps(0.1, 2);
    CHECK(too_little.level() == level::kSampled + 1);
}

TEST_CASE("a load that was below another limit and has ended is not held against the new one")
{
    SimulatedHost host(0.2, true, 0.97, 0.36);
    host.run(0.1, 30);
    host.set_limit(0.03);
    host.run(0.001, 10);
    CHECK(host.take_changes() == 0);
}

TEST_CASE("measurements that waver do not make it change: once in ten seconds at most, however long")
{
    for (const double noise : {0.05, 0.1})
        for (const double share : {0.95, 0.9, 0.7, 0.5}) {
            CAPTURE(noise, share);
            SimulatedHost host(0.1 * share, true, 0.97, 0.4);
            host.waver(noise);
            host.run(0.1, 20);
            host.take_changes();
            host.run(0.1, 300);
            CHECK(host.take_changes() <= (noise < 0.1 ? 10 : 20));
        }
}

TEST_CASE("a limit that leaving out details keeps never samples")
{
    SimulatedHost host(0.09, true, 0.75, 0.36);
    host.run(0.1, 60);
    CHECK(host.level() == level::kNoDurations);
}

TEST_CASE("under a constant load it settles: at most one change in ten seconds, and fewer and fewer")
{
    for (const double share : {0.9, 0.7, 0.5, 0.4}) {
        CAPTURE(share);
        SimulatedHost host(0.1 * share, true, 0.97, 0.36);
        host.run(0.1, 10);
        host.take_changes();
        host.run(0.1, 120);
        CHECK(host.take_changes() <= 12);
        host.run(0.1, 240);
        CHECK(host.take_changes() <= 6);
    }
}

TEST_CASE("everything is counted again within ten seconds after the load has fallen")
{
    SimulatedHost host(0.05, true, 0.97, 0.36);
    host.run(0.1, 40);
    CHECK(host.level() >= level::kSampled);
    host.run(0.01, 10);
    CHECK(host.level() == level::kAll);
}

TEST_CASE("a limit below the floor pauses, or stays at the last sample where it must not pause, and says so")
{
    SimulatedHost pausing(0.001, true, 0.97, 0.36);
    pausing.run(0.1, 15);
    CHECK(pausing.level() == level::kPaused);
    SimulatedHost staying(0.001, false, 0.97, 0.36);
    staying.run(0.1, 30);
    CHECK(staying.level() == level::kLastSampled);
    CHECK(staying.is_exhausted());
}

TEST_CASE("one wrong measurement costs two levels at most, and they come back")
{
    SimulatedHost host(0.06, false, 0.97, 0.36);
    host.run(0.1, 60);
    const uint32_t level = host.level();
    CHECK(level >= level::kSampled);
    host.run_steps(0.1, 1, 10);
    CHECK(host.level() <= level + 2);
    host.run(0.1, 40);
    CHECK(host.level() == level);
}

TEST_CASE("no sample is smaller than forty ends of connections; the limit is not kept then")
{
    SimulatedHost few(0.03, false, 0.97, 0.36, 79);
    few.run(0.1, 30);
    CHECK(few.level() == level::kNoDurations);
    CHECK(few.is_exhausted());
    SimulatedHost some(0.03, false, 0.97, 0.36, 400);
    some.run(0.1, 30);
    CHECK(some.level() == 8);   // one in eight is 50, one in sixteen 25
    some.have_connections(300); // an estimate wavers
    some.run(0.1, 30);
    CHECK(some.level() == 8);
    some.have_connections(100);
    some.run(0.1, 30);
    CHECK(some.level() == 7);
}

namespace {

// Of many epochs, the part in which the estimate is farther off than three times the error that is said.
double part_beyond_three_errors(uint32_t connections, uint32_t weight, bool is_skewed)
{
    std::mt19937 random(connections * 31 + weight);
    int beyond = 0;
    constexpr int kTrials = 2000;
    for (int trial = 0; trial < kTrials; ++trial) {
        SampleSize drawn;
        double all = 0;
        for (uint32_t i = 0; i < connections; ++i) {
            const double requests = is_skewed ? std::exp(std::normal_distribution<>(3, 1)(random)) : 100;
            all += requests;
            if (random() % weight == 0)
                drawn.add(requests);
        }
        SamplingError error;
        error.end_epoch(SamplingError::Clock::time_point{}, drawn, weight);
        beyond +=
            std::abs(weight * drawn.requests - all) > 3 * error.relative(SamplingError::Clock::time_point{}) * all;
    }
    return static_cast<double>(beyond) / kTrials;
}

} // namespace

TEST_CASE("the error that is said holds for small samples, none drawn included, and for a few heavy connections")
{
    for (const bool is_skewed : {false, true})
        for (const auto& [connections, weight] :
             {std::pair{4U, 2U}, {20U, 8U}, {200U, 8U}, {200U, 64U}, {2000U, 64U}}) {
            CAPTURE(is_skewed, connections, weight);
            CHECK(part_beyond_three_errors(connections, weight, is_skewed) < 0.02);
        }
}

TEST_CASE("an epoch in which nothing was drawn is wrong by all that there was")
{
    SamplingError error;
    const SamplingError::Clock::time_point begin{};
    CHECK(error.relative(begin) == 0);
    error.end_epoch(begin, {}, 4);
    CHECK(error.relative(begin) == 1);
    SampleSize drawn;
    for (int i = 0; i < 1000; ++i)
        drawn.add(1);
    error.end_epoch(begin + 10s, drawn, 4);
    CHECK(error.relative(begin + 10s) > 0.5);
    CHECK(error.relative(begin + 65s) < 0.1);
    CHECK(error.relative(begin + 75s) == 0);
}

TEST_CASE("connections that have had requests lately are numbered, those that have ended included")
{
    std::vector<limpet_connection> connections(5);
    for (auto& connection : connections) {
        connection.head.cookie = 7;
        connection.head.verdict = 1;
        connection.done = 3;
        connection.last_used = 95;
    }
    connections[0].head.cookie = 0;
    connections[1].head.verdict = 255;
    connections[2].last_used = 80;
    connections[3].done = 0;
    ConnectionSample sample;
    CHECK(sample.number_of(connections, 100, 10) == 2);
    sample.set_level(level::kSampled, connections, 2, {});
    CHECK(sample.number_of(connections, 100, 10) == 2);
}

TEST_CASE("connections that were outside the sample begin anew, those inside go on")
{
    std::vector<limpet_connection> connections(3);
    for (auto& connection : connections) {
        connection.head.cookie = 7;
        connection.head.verdict = 1;
        connection.done = 65'000; // before it was sampled
    }
    ConnectionSample sample;
    const ConnectionSample::Clock::time_point now{};
    sample.set_level(level::kSampled, connections, 3, now);
    const auto epoch = static_cast<uint8_t>(sample.control() >> 16);
    CHECK((sample.control() & 15) == level::kSampled);
    CHECK((sample.control() >> 32 & 0xffff) != 0);
    CHECK((sample.control() >> 48) == (sample.control() >> 32 & 0xffff));
    connections[0].head.tries = epoch; // as the tap does with those that are drawn
    connections[0].done = static_cast<uint16_t>(65'500);
    CHECK_FALSE(sample.step(connections, now + 1s));
    CHECK(sample.relative_error(now + 2s) ==
          Approx(std::sqrt(2)));      // one that stands for two, and another that is not seen
    connections[0].head.generation++; // another one in its place
    connections[0].done = 500;
    CHECK(sample.step(connections, now + 10s));
    CHECK((sample.control() >> 48) != (sample.control() >> 32 & 0xffff));
    CHECK(sample.relative_error(now + 11s) == Approx(std::sqrt(12) / 4)); // two of 500 requests each, and another
    CHECK(sample.number_of(connections, 0, 10) == 4);
    connections[0].head.tries = static_cast<uint8_t>(epoch + 1);
    sample.set_level(level::kAll, connections, 4, now + 12s);
    CHECK(connections[0].head.cookie == 7);
    CHECK(connections[1].head.cookie == 0);
    CHECK(connections[2].head.cookie == 0);
    CHECK(sample.relative_error(now + 80s) == 0);
}

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
