// SPDX-License-Identifier: Apache-2.0
//
// What a connection remembers: the methods of pipelined requests, and nothing of the one that had its slot before.
#include <string>

#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {

TEST_CASE("Pipelined requests keep their methods, 64 deep; a deeper mix is told")
{
    const std::string requests[] = {kGet, "HEAD / HTTP/1.1\r\n\r\n", "PUT / HTTP/1.1\r\n\r\n"};
    const std::string answers[] = {kOk, kOk.substr(0, kOk.size() - 2), kOk};
    for (const bool is_server : {true, false})
        for (const int depth : {3, 9, 30, 63}) {
            CAPTURE(depth, is_server);
            Connection connection(probe(), is_server);
            const uint64_t told = probe().stat(kUnseenLimit);
            for (int round = 0; round < 3; ++round) {
                std::string asked, answered;
                for (int i = 0; i < depth; ++i)
                    asked += requests[i % 3], answered += answers[i % 3];
                connection.send(kC, asked);
                connection.send(kS, answered);
            }
            const std::string each = std::to_string(depth);
            CHECK(connection.counted() == "GET 200=" + each + ", HEAD 200=" + each + ", PUT 200=" + each);
            CHECK(probe().stat(kUnseenLimit) == told);
        }

    Connection connection(probe(), true);
    const uint64_t told = probe().stat(kUnseenLimit);
    for (int i = 0; i < 70; ++i)
        connection.send(kC, i == 69 ? requests[1] : kGet);
    CHECK(probe().stat(kUnseenLimit) == told);
    connection.send(kC, kGet);
    CHECK(probe().stat(kUnseenLimit) == told + 1);
}

TEST_CASE("A slot that goes to another connection knows nothing of the one before")
{
    Connection connection(probe(), true);
    connection.send(kC, kGet + kGet);
    connection.send(kS, kOk);
    connection.take_slot_anew();
    connection.send(kC, kGet);
    connection.send(kS, kOk);
    CHECK(connection.counted() == "GET 200=2");
}

} // namespace limpet::test
