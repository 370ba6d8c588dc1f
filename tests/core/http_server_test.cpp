// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <stdexcept>
#include <string>
#include <unistd.h>
#include <vector>

#include <catch2/catch.hpp>

#include "http_server.hpp"
#include "owned_fd.hpp"

using namespace limpet;

namespace {

// An address of the loopback whose port nobody has.
ListenAddress free_address(const std::string& host)
{
    ListenAddress address = *parse_listen_address(host + ":1");
    auto* const any = reinterpret_cast<sockaddr*>(&address.address);
    any->sa_data[0] = any->sa_data[1] = 0; // the port: the kernel chooses
    const OwnedFd socket(::socket(address.address.ss_family, SOCK_STREAM, 0));
    REQUIRE(::bind(socket.get(), any, address.address_length) == 0);
    socklen_t length = address.address_length;
    REQUIRE(::getsockname(socket.get(), any, &length) == 0);
    const auto high = static_cast<unsigned char>(any->sa_data[0]);
    const auto low = static_cast<unsigned char>(any->sa_data[1]);
    return *parse_listen_address(host + ":" + std::to_string(high * 256 + low));
}

OwnedFd connected_to(const ListenAddress& address)
{
    OwnedFd socket(::socket(address.address.ss_family, SOCK_STREAM, 0));
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.address), address.address_length) == 0);
    return socket;
}

std::string reply_at(const ListenAddress& address, const std::string& request)
{
    const OwnedFd socket = connected_to(address);
    REQUIRE(::write(socket.get(), request.data(), request.size()) == static_cast<ssize_t>(request.size()));
    std::string reply;
    std::array<char, 4096> buffer{};
    for (ssize_t length = 0; (length = ::read(socket.get(), buffer.data(), buffer.size())) > 0;)
        reply.append(buffer.data(), static_cast<size_t>(length));
    return reply;
}

HttpPages pages()
{
    return {{"/metrics", [] { return HttpPage{200, "text/plain", std::string(300'000, 'x') + "end"}; }},
            {"/broken", []() -> HttpPage { throw std::runtime_error("no memory"); }}};
}

} // namespace

TEST_CASE("GET and HEAD of the pages are answered and nothing else")
{
    CHECK(answer(pages(), "GET", "/metrics").status == 200);
    CHECK(answer(pages(), "HEAD", "/metrics").status == 200);
    CHECK(answer(pages(), "POST", "/metrics").status == 405);
    CHECK(answer(pages(), "GET", "/metrics/").status == 404);
    CHECK_THAT(answer(pages(), "GET", "/").body, Catch::Contains("/metrics"));
    CHECK(answer(pages(), "GET", "/broken").status == 500);
}

TEST_CASE("a real server on IPv4 and on IPv6 serves whole pages and stops at once")
{
    const std::string host = GENERATE("127.0.0.1", "[::1]");
    const ListenAddress address = free_address(host);
    INFO(address.text);
    auto server = HttpServer::start(address, pages());
    REQUIRE(server);
    const std::string whole = reply_at(address, "GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_THAT(whole, Catch::StartsWith("HTTP/1.1 200 OK\r\n") && Catch::Contains("Content-Length: 300003\r\n") &&
                          Catch::EndsWith("xend"));
    CHECK_THAT(reply_at(address, "HEAD /metrics HTTP/1.0\r\n\r\n"),
               Catch::Contains("Content-Length: 300003\r\n") && Catch::EndsWith("\r\n\r\n"));
    CHECK_THAT(reply_at(address, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), Catch::Contains("Allow: GET, HEAD"));
    CHECK_THAT(reply_at(address, "GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"), !Catch::Contains("root:"));

    auto second = HttpServer::start(address, pages());
    REQUIRE_FALSE(second);
    CHECK_THAT(second.error().text, Catch::Contains("Address already in use"));

    const auto begin = std::chrono::steady_clock::now();
    (*server).reset();
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
}

TEST_CASE("clients that say little or nothing, or fetch nothing, do not keep a scrape out")
{
    const ListenAddress address = free_address(GENERATE("127.0.0.1", "[::1]"));
    auto server = HttpServer::start(address, pages());
    REQUIRE(server);
    std::vector<OwnedFd> slow;
    const std::string half = "GET /metrics HTTP/1.1\r\nHo";
    const std::string whole = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    for (int i = 0; i < 150; ++i) {
        slow.push_back(connected_to(address));
        const std::string text = i % 3 == 0 ? "" : i % 3 == 1 ? half : whole;
        REQUIRE(::write(slow.back().get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THAT(reply_at(address, whole), Catch::EndsWith("xend"));
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(2));
}

TEST_CASE("a client that sends a large body has its answer all the same")
{
    const ListenAddress address = free_address("127.0.0.1");
    auto server = HttpServer::start(address, pages());
    REQUIRE(server);
    const std::string body(1 << 20, 'x');
    CHECK_THAT(reply_at(address, "POST /metrics HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n" + body),
               Catch::StartsWith("HTTP/1.1 405 "));
    CHECK_THAT(reply_at(address, "GET /" + body + " HTTP/1.1\r\n\r\n"), Catch::StartsWith("HTTP/1.1 431 "));
}

TEST_CASE("replies to heads of every kind")
{
    struct Row {
        const char* description;
        const char* head;
        const char* status;
    };
    for (const Row& row : {Row{"a query is passed over", "GET /metrics?name[]=x HTTP/1.1", "200"},
                           Row{"as to a proxy", "GET http://node:9465/metrics HTTP/1.1\r\nHost: node", "200"},
                           Row{"a host alone is /", "GET http://node HTTP/1.1", "404"},
                           Row{"HTTP/0.9", "GET /metrics", "400"}, Row{"HTTP/2", "PRI * HTTP/2.0", "400"},
                           Row{"no words", "", "400"}, Row{"TLS", "\x16\x03\x01", "400"},
                           Row{"one word", "GET", "400"}, Row{"another method", "PUT /metrics HTTP/1.1", "405"}}) {
        INFO(row.description);
        CHECK_THAT(reply_to(pages(), row.head), Catch::StartsWith(std::string("HTTP/1.1 ") + row.status));
    }
}
