// SPDX-License-Identifier: Apache-2.0
#include "config_limits.hpp"

#include <cmath>

namespace limpet {
namespace {

constexpr double kShortestLease = 2; // it is renewed once a second
constexpr double kLongestLease = 600;

} // namespace

void read_limits(TableReader& table, LimitsConfig& limits)
{
    if (const std::optional<double> seconds = table.duration_seconds("lease", kShortestLease, kLongestLease))
        limits.lease = std::chrono::milliseconds(std::lround(*seconds * 1000));
    table.report_unknown();
}

} // namespace limpet
