// SPDX-License-Identifier: Apache-2.0
//
// limits.kernel_cpu without a kernel: the control law beside a host that is not as it believes.
#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

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
    for (const double floor : {0.2, 0.27, 0.36, 0.42})
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

TEST_CASE("where details are much of the cost they are tried alone, though a load that comes is dear at first")
{
    SimulatedHost host(0.07, true, 0.59, 0.36);
    host.have_resting(0.41);
    host.run(0.01, 10);
    host.run_steps(0.2, 1);
    CHECK(host.level() == level::kNoDurations);
    host.run(0.1, 60);
    CHECK(host.level() == level::kNoDurations);
    CHECK(host.take_changes() == 1);
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
