// SPDX-License-Identifier: Apache-2.0
//
// What keeps limpet within its limits: the arithmetic, without a kernel.
#include <catch2/catch.hpp>

#include "cost_meter.hpp"
#include "cost_rates.hpp"
#include "lease.hpp"
#include "map_budget.hpp"
#include "series_shares.hpp"

using namespace limpet;
using namespace std::chrono_literals;

TEST_CASE("a lease holds until its length has gone by, and for ever before the first renewal")
{
    Lease lease(10s, 250);
    CHECK(lease.until_jiffies() == 0);
    CHECK(lease.holds(4'294'900'000));
    lease.renew(1000);
    CHECK(lease.until_jiffies() == 3500);
    CHECK(lease.holds(3499));
    CHECK_FALSE(lease.holds(3500));
    lease.renew(3600);
    CHECK(lease.holds(6000));
}

TEST_CASE("this kernel's ticks are one of the frequencies that kernels are built with")
{
    CHECK((jiffies_per_second() == 100 || jiffies_per_second() == 250 || jiffies_per_second() == 300 ||
           jiffies_per_second() == 1000));
}

TEST_CASE("the tap's time is divided between it and the parsers that it calls, and nothing is lost")
{
    const TapShare share{100, {{"http", "on_segment", 0.5}, {"core", "tap_open", 0.25}}};
    CostMeter meter;
    meter.charge({{"core", "tap", -1, 1000, false}});
    meter.attribute(share); // no price yet
    CHECK(meter.total_seconds("http") == 0);
    meter.observe("core", "tap", 10, 4000);
    meter.charge({{"core", "tap", -1, 1000, false}});
    meter.attribute(share);
    CHECK(*meter.seconds("core", "tap") == Approx(1000 * 100e-9));
    CHECK(*meter.seconds("http", "on_segment") == Approx(1000 * 200e-9));
    CHECK(*meter.seconds("core", "tap_open") == Approx(1000 * 100e-9));
    CHECK(meter.total_seconds("core") + meter.total_seconds("http") == Approx(1000 * 400e-9));
    CHECK(meter.ns_per_run("http", "on_segment") == Approx(400));
    meter.attribute(share); // nothing has come since
    CHECK(*meter.seconds("http", "on_segment") == Approx(1000 * 200e-9));
}

TEST_CASE("rates are over the seconds that are remembered, and a probe that began anew counts from zero")
{
    CostRates rates;
    const CostRates::Clock::time_point begin{};
    CHECK(rates.of("http").kernel_share == 0);
    for (int second = 0; second <= 20; ++second)
        rates.note(begin + std::chrono::seconds(second),
                   {{"http", {0.01 * second, 0.001 * second, static_cast<uint64_t>(second) * 50'000, second >= 15}}});
    CHECK(rates.of("http").kernel_share == Approx(0.01));
    CHECK(rates.of("http").user_share == Approx(0.001));
    CHECK(rates.of("http").kernel_ns_per_run == Approx(200));
    CHECK(rates.of("http").is_measured);
    rates.note(begin + std::chrono::seconds(21), {{"http", {0, 0, 0, false}}});
    CHECK(rates.of("http").kernel_share == 0);
    CHECK_FALSE(rates.of("http").is_measured);
    CHECK(rates.of("dns").kernel_share == 0);
}

TEST_CASE("a limit is shared in proportion, each has one row, and the sum is never above it")
{
    CHECK(shares_of(100, {10, 20}) == std::vector<uint32_t>{10, 20});
    CHECK(shares_of(100, {}).empty());
    CHECK(shares_of(3, {1000, 1, 5}) == std::vector<uint32_t>{1, 1, 1});
    CHECK(shares_of(102, {1001, 101}) == std::vector<uint32_t>{91, 10});
    for (uint64_t limit = 5; limit < 300; ++limit) {
        const std::vector<uint32_t> shares = shares_of(limit, {99'999, 7, 1, 255, 1023});
        uint64_t total = 0;
        for (const uint32_t rows : shares) {
            CHECK(rows >= 1);
            total += rows;
        }
        CHECK(total <= limit);
    }
}

TEST_CASE("a probe that does not fit into kernel memory is told how many bytes, which limit, and what to write")
{
    ProbeConfig http;
    http.name = "http";
    CHECK(check_kernel_memory(1 << 30, {}, http));
    CHECK(check_kernel_memory(2 << 20, {8 << 20, 6 << 20}, http));
    const Done over = check_kernel_memory((2 << 20) + 1, {8 << 20, 6 << 20}, http);
    REQUIRE_FALSE(over);
    CHECK(over.error().text ==
          "takes 2097153 bytes of kernel memory (2.1MiB); limits.kernel_memory is 8MiB, of which the core and other "
          "probes "
          "leave 2097152. Set it to 8.1MiB or more, or make its tables smaller with plugins.http.limits.series");
    http.limits.kernel_memory.value = 1 << 20;
    const Done own = check_kernel_memory(2 << 20, {8 << 20, 0}, http);
    REQUIRE_FALSE(own);
    CHECK(own.error().text ==
          "takes 2097152 bytes of kernel memory (2MiB); plugins.http.limits.kernel_memory allows 1MiB. "
          "Set it to 2MiB or more, or make its tables smaller with plugins.http.limits.series");
}
