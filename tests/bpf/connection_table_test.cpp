// SPDX-License-Identifier: Apache-2.0
//
// The connection table's own source: whom a connection displaces, while another CPU uses the same set.
#include <algorithm>
#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "connection_hash.h"
#include "connection_table.h"

namespace {

// Cookies of one set, any number of them.
class OneSet {
public:
    OneSet() { clear_table(); }

    uint64_t cookie()
    {
        while (connection_set(++last_) != kSet) {}
        return last_;
    }

private:
    static constexpr uint32_t kSet = 77;
    uint64_t last_ = 0;
};

} // namespace

TEST_CASE("A connection takes the first of free ways, where its segments look first, though they did so in vain")
{
    OneSet set;
    let_a_second_pass();
    for (uint32_t way = 0; way < CONNECTION_WAYS; ++way) {
        const uint64_t cookie = set.cookie();
        CHECK(!find_connection(cookie));
        const limpet_connection* opened = open_connection(cookie, 0);
        REQUIRE(opened);
        CHECK(number_of(opened) / CONNECTION_SETS == way);
        CHECK(find_connection(cookie) == opened);
        let_a_second_pass();
    }
}

TEST_CASE("A set holds as many connections as it has ways, and the oldest one is opened anew when it comes again")
{
    OneSet set;
    std::array<uint64_t, CONNECTION_WAYS> cookies{};
    for (uint64_t& cookie : cookies) {
        cookie = set.cookie();
        REQUIRE(open_connection(cookie, 0));
        let_a_second_pass();
    }
    limpet_connection* oldest = open_connection(cookies[0], 0);
    REQUIRE(oldest);
    CHECK(oldest->head.generation == 1); // it is the same slot still: the notice was withdrawn
    for (const uint64_t cookie : cookies)
        CHECK(open_connection(cookie, 0)->head.generation == 1);
}

TEST_CASE(
    "A connection that another CPU has found, and where it then begins a request, is not displaced by the next ones")
{
    OneSet set;
    const uint64_t cookie = set.cookie();
    REQUIRE(open_connection(cookie, 0));
    for (int i = 1; i < CONNECTION_WAYS; ++i) {
        let_a_second_pass();
        REQUIRE(open_connection(set.cookie(), 0));
    }
    limpet_connection* found = open_connection(cookie, 0); // by a segment, which is parsed from here on …
    REQUIRE(found);
    let_a_second_pass();
    REQUIRE(open_connection(set.cookie(), 0)); // … while others come
    found->begun++;
    for (int i = 0; i < 10; ++i)
        REQUIRE(open_connection(set.cookie(), 0));
    CHECK(open_connection(cookie, 0) == found);
    CHECK(found->begun == 1);
    CHECK(displaced_at_work() == 0);
}

TEST_CASE("A slot is free or on notice when a connection comes, so that nobody's is taken while it may be in use")
{
    OneSet set;
    std::vector<uint64_t> cookies;
    for (int i = 0; i < 100; ++i) {
        cookies.push_back(set.cookie());
        REQUIRE(open_connection(cookies.back(), 0));
        let_a_second_pass();
        int found = 0;
        for (const uint64_t cookie : cookies)
            found += find_connection(cookie) != nullptr;
        CHECK(found == std::min<int>(i + 1, CONNECTION_WAYS - 1));
    }
}

TEST_CASE("Requests under way are displaced last, and counted")
{
    OneSet set;
    std::vector<limpet_connection*> busy;
    for (int i = 0; i < CONNECTION_WAYS; ++i) {
        busy.push_back(open_connection(set.cookie(), 0));
        REQUIRE(busy.back());
        busy.back()->begun++;
    }
    REQUIRE(open_connection(set.cookie(), 0));
    CHECK(displaced_at_work() == 1);
}

TEST_CASE("An accepted socket's slot does not displace the early slot that it stands for")
{
    OneSet set;
    const limpet_connection* early = open_connection(set.cookie(), 0);
    REQUIRE(early);
    const uint64_t identity = early->head.cookie;
    for (int i = 1; i < CONNECTION_WAYS; ++i) {
        let_a_second_pass();
        limpet_connection* busy = open_connection(set.cookie(), 0);
        REQUIRE(busy);
        busy->begun++;
    }
    const limpet_connection* alias = open_connection(set.cookie(), number_of(early) + 1);
    REQUIRE(alias);
    CHECK(alias != early);
    CHECK((early->head.cookie & ~COOKIE_ON_NOTICE) == identity);
    CHECK(alias->head.alias == number_of(early) + 1);
}

TEST_CASE("Two CPUs that open a connection at once get the same slot, while others come and go in its set")
{
    constexpr size_t kRounds = 20'000;
    OneSet set;
    std::array<uint64_t, kRounds> cookies{};
    std::array<std::array<const limpet_connection*, kRounds>, 2> slots{};
    std::array<uint64_t, 8> neighbours{};
    std::ranges::generate(cookies, [&] { return set.cookie(); });
    std::ranges::generate(neighbours, [&] { return set.cookie(); });
    std::atomic<size_t> arrived = 0;
    std::atomic<bool> is_over = false;
    int twice = 0;

    const auto meet = [&](size_t times) {
        for (++arrived; arrived < 2 * times;) {}
    };
    const auto open_all = [&](size_t cpu) {
        for (size_t round = 0; round < kRounds; ++round) {
            meet(2 * round + 1);
            slots[cpu][round] = open_connection(cookies[round], 0);
            meet(2 * round + 2);
            if (cpu == 0) {
                twice += ways_of(cookies[round]) > 1;
                close_connection(cookies[round]);
            }
        }
    };
    std::thread others([&] {
        for (size_t i = 0; !is_over; i = (i + 1) % neighbours.size()) {
            if (open_connection(neighbours[i], 0) != nullptr)
                close_connection(neighbours[i]);
        }
    });
    std::thread second([&] { open_all(1); });
    open_all(0);
    second.join();
    is_over = true;
    others.join();
    CHECK(twice == 0);
    CHECK((slots[0] == slots[1])); // in brackets: not printed
}

TEST_CASE("A slot whose alias is gone stands for itself when it is opened again")
{
    OneSet set;
    const uint64_t cookie = set.cookie();
    REQUIRE(open_connection(cookie, 4000));
    const limpet_connection* again = open_connection(cookie, 0);
    REQUIRE(again);
    CHECK(again->head.alias == 0);
}
