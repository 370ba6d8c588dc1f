// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <stdexcept>
#include <unistd.h>

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

std::string reply_to(const ListenAddress& address, const std::string& request)
{
    const OwnedFd socket(::socket(address.address.ss_family, SOCK_STREAM, 0));
    REQUIRE(::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.address), address.address_length) == 0);
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
    const std::string whole = reply_to(address, "GET /metrics?a=b HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK_THAT(whole, Catch::StartsWith("HTTP/1.1 200 OK\r\n") && Catch::Contains("Content-Length: 300003\r\n") &&
                          Catch::EndsWith("xend"));
    CHECK_THAT(reply_to(address, "HEAD /metrics HTTP/1.0\r\n\r\n"),
               Catch::Contains("Content-Length: 300003\r\n") && Catch::EndsWith("\r\n\r\n"));
    CHECK_THAT(reply_to(address, "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), Catch::Contains("Allow: GET, HEAD"));
    CHECK_THAT(reply_to(address, "GET /../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n"), !Catch::Contains("root:"));

    auto second = HttpServer::start(address, pages());
    REQUIRE_FALSE(second);
    CHECK_THAT(second.error().text, Catch::Contains("Address already in use"));

    const auto begin = std::chrono::steady_clock::now();
    (*server).reset();
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::seconds(1));
}
