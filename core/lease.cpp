// SPDX-License-Identifier: Apache-2.0
#include "lease.hpp"

#include <algorithm>
#include <ctime>

namespace limpet {

uint64_t jiffies_per_second()
{
    timespec resolution{};
    ::clock_getres(CLOCK_MONOTONIC_COARSE, &resolution);
    constexpr int64_t kSecond = 1'000'000'000;
    const int64_t tick_ns = std::max<int64_t>(1, resolution.tv_nsec);
    return static_cast<uint64_t>((kSecond + tick_ns / 2) / tick_ns);
}

} // namespace limpet
