// SPDX-License-Identifier: Apache-2.0
//
// The connection table's placement, simulated: cookies as the kernel hands them out, batches of 4,096 per CPU.
#include <random>
#include <vector>

#include <catch2/catch.hpp>

#include "connection_hash.h"

namespace {

constexpr uint64_t kBatch = 4096;

struct Host {
    explicit Host(uint32_t cpus) : next(cpus), left(cpus) {}

    uint64_t new_cookie(uint32_t cpu)
    {
        if (left[cpu] == 0) {
            next[cpu] = 1 + batches++ * kBatch;
            left[cpu] = kBatch;
        }
        --left[cpu];
        return next[cpu]++;
    }

    std::vector<uint64_t> next, left;
    uint64_t batches = 0;
};

// Opens `live` connections at a time on random CPUs, `rounds` generations of them, all with work; counts displaced ones.
uint32_t displaced(uint32_t cpus, uint32_t live, uint32_t rounds)
{
    std::vector<connection_claim> table(CONNECTION_SETS * CONNECTION_WAYS, connection_claim{0, RANK_FREE, 0});
    std::mt19937 random(1);
    Host host(cpus);
    uint32_t lost = 0;

    for (uint32_t round = 0; round < rounds; ++round) {
        for (uint32_t i = 0; i < live; ++i) {
            const uint64_t cookie = host.new_cookie(static_cast<uint32_t>(random()) % cpus);
            uint32_t chosen = connection_set(cookie);
            for (uint32_t way = 1; way < CONNECTION_WAYS; ++way) {
                const uint32_t place = connection_set(cookie) + way * CONNECTION_SETS;
                if (connection_goes_first(table[place], table[chosen]))
                    chosen = place;
            }
            lost += table[chosen].rank != RANK_FREE;
            table[chosen] = {cookie, RANK_AT_WORK, static_cast<uint16_t>(round)};
        }
        for (connection_claim& claim : table)
            claim.rank = RANK_FREE;
    }
    return lost;
}

} // namespace

TEST_CASE("1,000 connections with requests under way find room on hosts of any size")
{
    for (const uint32_t cpus : {1U, 2U, 8U, 64U, 256U}) {
        CAPTURE(cpus);
        CHECK(displaced(cpus, 1000, 100) == 0);
    }
}

TEST_CASE("4,000 connections on 256 CPUs displace fewer than one in a thousand")
{
    CHECK(displaced(256, 4000, 50) < 4000 * 50 / 1000);
}

TEST_CASE("Early segments of one listener's clients find room as cookies do: 300 with requests under way displace none")
{
    std::mt19937 random(1);
    uint32_t lost = 0;

    for (uint32_t round = 0; round < 200; ++round) {
        std::vector<uint32_t> taken(CONNECTION_SETS, 0);
        for (uint32_t i = 0; i < 300; ++i) {
            const auto remote_port = static_cast<uint16_t>(32768 + random() % 28000);
            lost += ++taken[connection_set(early_identity(0x0100007f, remote_port, 8080,
                                                          static_cast<uint32_t>(random())))] > CONNECTION_WAYS;
        }
    }
    CHECK(lost == 0);
}

TEST_CASE("Connections of the same ports are told apart by the number that TCP draws for each")
{
    CHECK(early_identity(0x0100007f, 40000, 8080, 1) == early_identity(0x0100007f, 40000, 8080, 1));
    CHECK(early_identity(0x0100007f, 40000, 8080, 1) != early_identity(0x0100007f, 40000, 8080, 2));
    CHECK((early_identity(0x0100007f, 40000, 8080, 1) & COOKIE_EARLY) != 0);
}

TEST_CASE("A free slot goes first, then one on notice, an idle one, one at work; of equals the one used longest ago")
{
    const connection_claim free{0, RANK_FREE, 9}, on_notice{1, RANK_ON_NOTICE, 9}, idle{2, RANK_IDLE, 8};
    const connection_claim busy{3, RANK_AT_WORK, 1}, busy_later{4, RANK_AT_WORK, 2}, wrapped{5, RANK_AT_WORK, 0xfff0};

    CHECK(connection_goes_first(free, on_notice));
    CHECK(connection_goes_first(on_notice, idle));
    CHECK_FALSE(connection_goes_first(idle, on_notice));
    CHECK(connection_goes_first(idle, busy));
    CHECK_FALSE(connection_goes_first(busy, idle));
    CHECK(connection_goes_first(busy, busy_later));
    CHECK(connection_goes_first(wrapped, busy)); // the age counter wraps around
}
