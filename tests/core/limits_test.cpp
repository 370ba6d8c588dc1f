// SPDX-License-Identifier: Apache-2.0
//
// What keeps limpet within its limits: the arithmetic, without a kernel.
#include <catch2/catch.hpp>

#include "lease.hpp"

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
