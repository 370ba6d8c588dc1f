// SPDX-License-Identifier: Apache-2.0
//
// Resets: which of them end a request, and what may still come behind one.
#include <string>

#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {

TEST_CASE("The rest of an answer that its client has given up is no message, and nothing is lost with it")
{
    for (const bool is_server : {true, false}) {
        INFO(is_server);
        const uint64_t told = probe().stat(kUnseenDesync);
        Connection connection(probe(), is_server);
        connection.send(kC, kGet);
        connection.send(kS, kOk);
        connection.send(kC, kGet);
        connection.send(kS, "HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\nabc");
        connection.send(kC, "", kRst);
        connection.send(kS, "defghi");
        CHECK(connection.counted() == "GET 200=1, GET 200 reset=1");
        CHECK(probe().stat(kUnseenDesync) == told);
        connection.send(kC, kGet + kGet); // nobody does this behind a reset; if, what is lost is told
        connection.send(kS, kOk);
        CHECK(connection.counted() == "GET 200=2, GET 200 reset=1");
        CHECK(probe().stat(kUnseenDesync) == told + 1);
    }
}

TEST_CASE("A received reset that TCP does not take ends nothing")
{
    for (const bool is_server : {true, false})
        for (const uint32_t beyond : {0U, 2U, 1000U}) {
            INFO(is_server << " " << beyond);
            const From far = is_server ? kC : kS;
            const std::string first = is_server ? kGet : kOk;
            Connection connection(probe(), is_server);
            connection.send(kC, kGet);
            if (!is_server)
                connection.send(kS, kOk);
            if (!is_server)
                connection.send(kC, kGet);
            connection.send_at(far, static_cast<uint32_t>(first.size()) + beyond, "", kRst);
            CHECK(connection.counted() ==
                  (is_server ? (beyond ? "" : "GET 0 reset=1") : (beyond ? "GET 200=1" : "GET 0 reset=1, GET 200=1")));
            connection.send(kS, kOk);
            if (beyond)
                CHECK(connection.counted() == (is_server ? "GET 200=1" : "GET 200=2"));
        }
}

} // namespace limpet::test
