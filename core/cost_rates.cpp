// SPDX-License-Identifier: Apache-2.0
#include "cost_rates.hpp"

namespace limpet {
namespace {

constexpr size_t kNotes = 11;

double rise(double from, double to)
{
    return to > from ? to - from : 0; // a probe that began anew counts from zero
}

} // namespace

void CostRates::note(Clock::time_point now, std::map<std::string, CostSoFar> costs)
{
    notes_.push_back({now, std::move(costs)});
    if (notes_.size() > kNotes)
        notes_.pop_front();
}

CostRate CostRates::of(const std::string& plugin) const
{
    if (notes_.size() < 2)
        return {};
    const auto first = notes_.front().costs.find(plugin);
    const auto last = notes_.back().costs.find(plugin);
    if (first == notes_.front().costs.end() || last == notes_.back().costs.end())
        return {};
    const double seconds = std::chrono::duration<double>(notes_.back().at - notes_.front().at).count();
    const double kernel = rise(first->second.kernel_seconds, last->second.kernel_seconds);
    const double runs = rise(static_cast<double>(first->second.runs), static_cast<double>(last->second.runs));
    return {kernel / seconds, rise(first->second.user_seconds, last->second.user_seconds) / seconds,
            runs > 0 ? kernel * 1e9 / runs : 0, last->second.is_measured,
            rise(first->second.hook_seconds, last->second.hook_seconds) / seconds};
}

} // namespace limpet
