// SPDX-License-Identifier: Apache-2.0
//
// How long requests take by the times of their segments, and what is left of that at each level.
#include <string>
#include <utility>

#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {

TEST_CASE("Durations run from the request's first byte to the first and the last byte of the response")
{
    for (const bool is_server : {true, false}) {
        CAPTURE(is_server);
        Connection connection(probe(), is_server);
        connection.send(kC, kGet, 0, 5'000'000'000);
        connection.send(kS, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", 0, 5'050'000'000);
        connection.send(kS, "cd", 0, 5'090'000'000);
        CHECK(connection.sums_ns("GET 200") == std::pair<uint64_t, uint64_t>{90'000'000, 50'000'000});
    }
}

TEST_CASE("What a level leaves out is not counted, and what is counted of a sample weighs as much as it stands for")
{
    const auto at = [](int level) { return static_cast<uint8_t>(level << 4); };
    const auto each = [&](int level) {
        Connection connection(probe(), true);
        connection.send(kC, kGet, at(level), 5'000'000'000);
        connection.send(kS, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", at(level), 5'050'000'000);
        connection.send(kS, "cd", at(level), 5'090'000'000);
        return std::pair(connection.counted(), connection.sums_ns("GET 200"));
    };
    const std::pair<uint64_t, uint64_t> both{90'000'000, 50'000'000};
    const std::pair<uint64_t, uint64_t> duration_alone{90'000'000, 0};
    CHECK(each(2) == std::pair(std::string("GET 200=1"), both));
    CHECK(each(3) == std::pair(std::string("GET 200=1"), duration_alone));
    CHECK(each(6) == std::pair(std::string("GET 200=2"), std::pair<uint64_t, uint64_t>{180'000'000, 0}));
    CHECK(each(9).first == "GET 200=16");
}

} // namespace limpet::test
