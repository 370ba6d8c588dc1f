// SPDX-License-Identifier: Apache-2.0
//
// How far counts of sampled connections may be off: the expected relative error over the last minute.
//
// Owner: ConnectionSample; a value. The arithmetic only. Connections are drawn, not requests: of n requests on one connection
// either all are counted or none. With weight w the variance of the estimate is w (w - 1) times the sum of n² of those drawn.
// That estimate is itself drawn, and of a few connections most often too small: what has not been drawn may be as heavy as the
// heaviest one seen. So one more of these is added to each epoch; an epoch in which nothing was drawn is wrong by all there was.
#pragma once

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <deque>
#include <vector>

namespace limpet {

struct SampleSize {
    double requests = 0;
    double squares = 0; // sum over connections of their requests, squared
    double heaviest = 0;
    double connections = 0; // with requests

    void add(double requests_of_one)
    {
        requests += requests_of_one;
        squares += requests_of_one * requests_of_one;
        heaviest = std::max(heaviest, requests_of_one);
        connections += requests_of_one > 0;
    }
};

class SamplingError {
public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds kRemembered{60};

    // An epoch has ended, in which each drawn connection stood for `weight`.
    void end_epoch(Clock::time_point now, SampleSize drawn, uint32_t weight)
    {
        epochs_.push_back({now, drawn, static_cast<double>(weight)});
        while (epochs_.front().ended + kRemembered < now)
            epochs_.pop_front();
    }

    // Standard deviation by estimate, 0 when nothing was sampled, 1 when none of it was drawn. `running`: the epoch of now,
    // nothing where none is sampled. Both ends of a connection are drawn together: where both are on this host, as the sums
    // have it, either side's counts are off by sqrt(2) more than the two together would be.
    [[nodiscard]] double relative(Clock::time_point now, SampleSize running = {}, uint32_t weight = 1) const
    {
        std::vector<Epoch> drawn; // with anything in it
        double empty = 0;
        for (const Epoch& epoch : epochs_)
            if (epoch.ended + kRemembered >= now && epoch.weight > 1) {
                if (epoch.drawn.connections > 0)
                    drawn.push_back(epoch);
                else
                    ++empty;
            }
        if (running.connections > 0)
            drawn.push_back({now, running, static_cast<double>(weight)});
        if (drawn.empty())
            return empty > 0 || weight > 1 ? 1 : 0;
        double requests = 0;
        double variance = 0;
        for (const Epoch& epoch : drawn) {
            requests += epoch.weight * epoch.drawn.requests;
            variance +=
                2 * epoch.weight * (epoch.weight - 1) * (epoch.drawn.squares + std::pow(epoch.drawn.heaviest, 2));
        }
        variance += empty * std::pow(requests / static_cast<double>(drawn.size()), 2);
        return std::sqrt(variance) / requests;
    }

private:
    struct Epoch {
        Clock::time_point ended;
        SampleSize drawn;
        double weight;
    };

    std::deque<Epoch> epochs_;
};

} // namespace limpet
