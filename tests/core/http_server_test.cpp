// SPDX-License-Identifier: Apache-2.0
#include <array>
#include <chrono>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/resource.h>
#include <thread>
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

std::string rest_of(const OwnedFd& socket)
{
    std::string reply;
    std::array<char, 4096> buffer{};
    for (ssize_t length = 0; (length = ::read(socket.get(), buffer.data(), buffer.size())) > 0;)
        reply.append(buffer.data(), static_cast<size_t>(length));
    return reply;
}

std::string reply_at(const ListenAddress& address, const std::string& request)
{
    const OwnedFd socket = connected_to(address);
    REQUIRE(::write(socket.get(), request.data(), request.size()) == static_cast<ssize_t>(request.size()));
    return rest_of(socket);
}

HttpPages pages()
{
    return {{"/metrics", [] { return HttpPage{200, "text/plain", std::string(300'000, 'x') + "end"}; }},
            {"/large", [] { return HttpPage{200, "text/plain", std::string(32 << 20, 'x')}; }},
            {"/unwell", [] { return HttpPage{503, "text/plain", "http waits\n"}; }},
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
    const std::string whole = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    const std::string half = whole.substr(0, whole.size() / 2);
    for (int i = 0; i < 150; ++i) {
        slow.push_back(connected_to(address));
        const std::string text = i % 3 == 0 ? "" : i % 3 == 1 ? half : whole;
        REQUIRE(::write(slow.back().get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    const auto begin = std::chrono::steady_clock::now();
    CHECK_THAT(reply_at(address, whole), Catch::EndsWith("xend"));
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(500));
}

TEST_CASE("of clients that do not fetch a large answer the newest 16 stay")
{
    const ListenAddress address = free_address("127.0.0.1");
    auto server = HttpServer::start(address, pages());
    REQUIRE(server);
    std::vector<OwnedFd> slow;
    const std::string whole = "GET /large HTTP/1.1\r\nHost: x\r\n\r\n";
    for (int i = 0; i < 18; ++i) {
        slow.push_back(connected_to(address));
        REQUIRE(::write(slow.back().get(), whole.data(), whole.size()) == static_cast<ssize_t>(whole.size()));
        std::array<char, 1> begin{}; // its answer is under way
        REQUIRE(::read(slow.back().get(), begin.data(), begin.size()) == 1);
    }
    CHECK(rest_of(slow[0]).size() < (32 << 20));
    CHECK(rest_of(slow[1]).size() < (32 << 20));
    CHECK(rest_of(slow[2]).size() > (32 << 20));
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
    const ListenAddress address = free_address("127.0.0.1");
    auto server = HttpServer::start(address, pages());
    REQUIRE(server);
    struct Row {
        const char* description;
        const char* head;
        const char* status;
    };
    for (const Row& row :
         {Row{"a query is passed over", "GET /metrics?name[]=x HTTP/1.1", "200 OK"},
          Row{"as to a proxy", "GET http://node:9465/metrics HTTP/1.1\r\nHost: node", "200 OK"},
          Row{"a host alone is /", "GET http://node HTTP/1.1", "404 Not Found"},
          Row{"a page that throws", "GET /broken HTTP/1.1", "500 Internal Server Error"},
          Row{"a page that says it is not well", "GET /unwell HTTP/1.1", "503 Service Unavailable"},
          Row{"another method", "PUT /metrics HTTP/1.1", "405 Method Not Allowed"},
          Row{"a method in small letters", "get /metrics HTTP/1.1", "405 Method Not Allowed"},
          Row{"a method of nobody's", "FETCH /metrics HTTP/1.1", "405 Method Not Allowed"},
          Row{"a body that never comes", "POST / HTTP/1.1\r\nContent-Length: 9", "405 Method Not Allowed"},
          Row{"a body without end", "POST / HTTP/1.1\r\nContent-Length: 99999999999", "405 Method"},
          Row{"HTTP/0.9", "GET /metrics", "400 Bad Request"}, Row{"HTTP/2", "PRI * HTTP/2.0", "400 Bad Request"},
          Row{"no words", "", "400 Bad Request"}, Row{"TLS", "\x16\x03\x01", "400 Bad Request"},
          Row{"one word", "GET", "400 Bad Request"},
          Row{"a field without a name", "GET / HTTP/1.1\r\n: x", "400 Bad Request"}}) {
        INFO(row.description);
        const std::string reply = reply_at(address, std::string(row.head) + "\r\n\r\n");
        CHECK_THAT(reply, Catch::StartsWith(std::string("HTTP/1.1 ") + row.status));
        CHECK_THAT(reply, Catch::Contains("\r\nConnection: close\r\n") &&
                              Catch::Contains("\r\nCache-Control: no-store\r\n") &&
                              Catch::Contains("\r\nX-Content-Type-Options: nosniff\r\n") &&
                              Catch::Contains("\r\nContent-Type: text/plain"));
    }
}

TEST_CASE("a request that comes byte by byte is answered, and one that ends early is not")
{
    const ListenAddress address = free_address("127.0.0.1");
    auto server = HttpServer::start(address, pages());
    REQUIRE(server);
    const OwnedFd socket = connected_to(address);
    for (const char byte : std::string("GET /unwell HTTP/1.1\r\nHost: x\r\n\r\n")) {
        REQUIRE(::write(socket.get(), &byte, 1) == 1);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    CHECK_THAT(rest_of(socket), Catch::StartsWith("HTTP/1.1 503 ") && Catch::EndsWith("\r\n\r\nhttp waits\n"));

    const OwnedFd early = connected_to(address);
    REQUIRE(::write(early.get(), "GET /", 5) == 5);
    REQUIRE(::shutdown(early.get(), SHUT_WR) == 0);
    CHECK(rest_of(early).empty());
}

TEST_CASE("a server with connections of every kind stops at once")
{
    const ListenAddress address = free_address("127.0.0.1");
    auto server = HttpServer::start(address, pages());
    REQUIRE(server);
    std::vector<OwnedFd> open;
    for (const std::string text : {"", "GET /metr", "GET /large HTTP/1.1\r\n\r\n", "GET /unwell HTTP/1.1\r\n\r\n"}) {
        open.push_back(connected_to(address));
        REQUIRE(::write(open.back().get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
    }
    CHECK_THAT(reply_at(address, "GET /metrics HTTP/1.1\r\n\r\n"), Catch::EndsWith("xend"));
    const auto begin = std::chrono::steady_clock::now();
    (*server).reset();
    CHECK(std::chrono::steady_clock::now() - begin < std::chrono::milliseconds(200));
    CHECK(HttpServer::start(address, pages()));
}

TEST_CASE("a server out of descriptors takes its connections when there are some again")
{
    const ListenAddress address = free_address("127.0.0.1");
    auto server = HttpServer::start(address, pages());
    REQUIRE(server);
    const OwnedFd socket(::socket(AF_INET, SOCK_STREAM, 0)); // has the first free number
    rlimit before{};
    REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
    const rlimit none{static_cast<rlim_t>(socket.get()) + 1, before.rlim_max};
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &none) == 0);
    const auto* any = reinterpret_cast<const sockaddr*>(&address.address);
    const bool is_connected = ::connect(socket.get(), any, address.address_length) == 0;
    const ssize_t written = ::write(socket.get(), "GET /unwell HTTP/1.1\r\n\r\n", 24);
    pollfd wait{socket.get(), POLLIN, 0};
    const int ready = ::poll(&wait, 1, 100);
    REQUIRE(::setrlimit(RLIMIT_NOFILE, &before) == 0);
    CHECK(is_connected);
    CHECK(written == 24);
    CHECK(ready == 0);
    CHECK_THAT(rest_of(socket), Catch::StartsWith("HTTP/1.1 503 "));
}
