// SPDX-License-Identifier: Apache-2.0
//
// Segments that come twice, late or not in order: every request still counts once.
#include <string>

#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {

TEST_CASE("Retransmitted, missing and reordered segments change no count")
{
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
    const auto head_size = static_cast<uint32_t>(head.size());
    const auto get_size = static_cast<uint32_t>(kGet.size());
    const auto ok_size = static_cast<uint32_t>(kOk.size());

    for (const bool is_server : {true, false}) {
        CAPTURE(is_server);
        SECTION("every segment twice" + std::to_string(is_server)) {
            Connection connection(probe(), is_server);
            for (uint32_t i = 0; i < 3; ++i)
                for (int copy = 0; copy < 2; ++copy)
                    connection.send_at(kC, i * get_size, kGet), connection.send_at(kS, i * ok_size, kOk);
            CHECK(connection.counted() == "GET 200=3");
        }
        SECTION("a retransmission that brings more than before" + std::to_string(is_server)) {
            Connection connection(probe(), is_server);
            connection.send_at(kC, 0, kGet.substr(0, 9));
            connection.send_at(kC, 0, kGet);
            connection.send_at(kS, 0, kOk.substr(0, 20));
            connection.send_at(kS, 10, kOk.substr(10));
            CHECK(connection.counted() == "GET 200=1");
        }
        SECTION("the answer's head is lost and comes after its body" + std::to_string(is_server)) {
            Connection connection(probe(), is_server);
            connection.send(kC, kGet);
            connection.send(kS, kOk);
            connection.send(kC, kGet);
            connection.send_at(kS, ok_size + head_size, "0123456789");
            CHECK(connection.counted() == "GET 200=1");
            connection.send_at(kS, ok_size, head);
            CHECK(connection.counted() == "GET 200=2");
            connection.send(kC, kGet);
            connection.send_at(kS, ok_size + head_size + 10, kOk);
            CHECK(connection.counted() == "GET 200=3");
        }
        SECTION("a segment of chunks is lost and comes late" + std::to_string(is_server)) {
            const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            const std::string first = "4\r\nWiki\r\n", second = "5\r\npedia\r\n", last = "0\r\n\r\n";
            const auto chunked_size = static_cast<uint32_t>(chunked.size());
            Connection connection(probe(), is_server);
            connection.send(kC, kGet);
            connection.send_at(kS, 0, chunked);
            connection.send_at(kS, chunked_size + 9, second);
            connection.send_at(kS, chunked_size + 19, last);
            CHECK(connection.counted() == "");
            connection.send_at(kS, chunked_size, first);
            CHECK(connection.counted() == "GET 200=1");
            connection.send(kC, kGet);
            connection.send_at(kS, chunked_size + 24, kOk);
            CHECK(connection.counted() == "GET 200=2");
        }
        SECTION("the end of the chunks comes after the gap was closed" + std::to_string(is_server)) {
            const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            const auto chunked_size = static_cast<uint32_t>(chunked.size());
            Connection connection(probe(), is_server);
            connection.send(kC, kGet);
            connection.send_at(kS, 0, chunked);
            connection.send_at(kS, chunked_size + 9, "5\r\npedia\r\n");
            connection.send_at(kS, chunked_size, "4\r\nWiki\r\n");
            CHECK(connection.counted() == "");
            connection.send_at(kS, chunked_size + 19, "1\r\nx\r\n0\r\n\r\n");
            CHECK(connection.counted() == "GET 200=1");
        }
        SECTION("two gaps in one body" + std::to_string(is_server)) {
            Connection connection(probe(), is_server);
            connection.send(kC, kGet);
            connection.send_at(kS, 0, head);
            connection.send_at(kS, head_size + 2, "23");
            connection.send_at(kS, head_size + 6, "6789");
            CHECK(connection.counted() == "");
            connection.send_at(kS, head_size, "01");
            connection.send_at(kS, head_size + 4, "45");
            CHECK(connection.counted() == "GET 200=1");
            connection.send(kC, kGet);
            connection.send_at(kS, head_size + 10, kOk);
            CHECK(connection.counted() == "GET 200=2");
        }
        SECTION("a request's head comes behind much of its body" + std::to_string(is_server)) {
            const std::string post = "POST / HTTP/1.1\r\nContent-Length: 200\r\n\r\n";
            const auto post_size = static_cast<uint32_t>(post.size());
            Connection connection(probe(), is_server);
            connection.send_at(kC, 0, ""); // in place of the kernel, which would tell where the first byte belongs
            for (uint32_t i = 0; i < 20; ++i)
                connection.send_at(kC, post_size + i * 10, "0123456789");
            connection.send_at(kC, 0, post);
            connection.send_at(kC, post_size + 200, kGet);
            connection.send(kS, kOk);
            connection.send(kS, kOk);
            CHECK(connection.counted() == "GET 200=1, POST 200=1");
        }
        SECTION("the FIN overtakes the end of the body" + std::to_string(is_server)) {
            Connection connection(probe(), is_server);
            connection.send(kC, kGet);
            connection.send_at(kS, 0, "HTTP/1.1 200 OK\r\n\r\n");
            connection.send_at(kS, 19 + 4, "", kFin);
            CHECK(connection.counted() == "");
            connection.send_at(kS, 19, "body");
            CHECK(connection.counted() == "GET 200=1");
        }
    }
}

} // namespace limpet::test
