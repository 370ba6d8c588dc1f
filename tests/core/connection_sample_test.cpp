// SPDX-License-Identifier: Apache-2.0
//
// Samples of connections, and the error that is said of them.
#include <cmath>
#include <random>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "connection_sample.hpp"
#include "governor.hpp"

using namespace limpet;
using namespace std::chrono_literals;

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

TEST_CASE("who leaves the sample with another level begins anew, though it was followed a moment before")
{
    std::vector<limpet_connection> connections(2);
    for (auto& connection : connections) {
        connection.head.cookie = 7;
        connection.head.verdict = 1;
    }
    ConnectionSample sample;
    const ConnectionSample::Clock::time_point now{};
    sample.set_level(level::kSampled, connections, 2, now);
    sample.set_level(level::kSampled + 1, connections, 2, now + 1s);
    connections[0].head.tries = static_cast<uint8_t>(sample.control() >> 16); // the other one passes unseen
    sample.set_level(level::kAll, connections, 2, now + 2s);
    CHECK(connections[0].head.cookie == 7);
    CHECK(connections[1].head.cookie == 0);
}

TEST_CASE("a new epoch forgets whom the last one has not followed")
{
    std::vector<limpet_connection> connections(2);
    for (auto& connection : connections) {
        connection.head.cookie = 7;
        connection.head.verdict = 1;
        connection.begun = 1; // else it would be under way for as long as nobody needs the slot
    }
    ConnectionSample sample;
    const ConnectionSample::Clock::time_point now{};
    sample.set_level(level::kSampled, connections, 2, now);
    connections[0].head.tries = static_cast<uint8_t>(sample.control() >> 16);
    CHECK(sample.step(connections, now + 10s));
    CHECK(connections[0].head.cookie == 7);
    CHECK(connections[1].head.cookie == 0);
}
