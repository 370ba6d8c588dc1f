// SPDX-License-Identifier: Apache-2.0
//
// Random loss: messages of every kind of body, cut at random places, each segment lost now and then and sent again later,
// cut anew. Every request counts once, with its status.
#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {

namespace {

// One direction of a lossy link, as a sender with selective retransmission drives it.
class LossySender {
public:
    LossySender(Connection& connection, From side, std::mt19937& random)
        : connection_(connection), side_(side), random_(random)
    {
    }

    // Sends `text` until the other end has all of it. Its first `whole_bytes` stay in one segment.
    void send(const std::string& text, size_t whole_bytes)
    {
        std::vector<bool> has_arrived(text.size(), false);

        for (;;) {
            const auto missing = static_cast<size_t>(std::ranges::find(has_arrived, false) - has_arrived.begin());
            if (missing == text.size())
                break;
            for (size_t at = missing; at < text.size();) {
                const size_t size =
                    std::min(text.size() - at, at < whole_bytes ? whole_bytes - at + below(40) : 1 + below(60));
                if (!has_arrived[at] &&
                    (sent_ + at == 0 || below(4) != 0)) { // where a connection begins only its socket knows
                    connection_.send_at(side_, sent_ + static_cast<uint32_t>(at), text.substr(at, size));
                    std::fill_n(has_arrived.begin() + static_cast<long>(at), size, true);
                }
                at += size;
            }
        }
        sent_ += static_cast<uint32_t>(text.size());
    }

    void end() { connection_.send_at(side_, sent_, "", kFin); }

private:
    size_t below(size_t limit) { return random_() % limit; }

    Connection& connection_;
    From side_;
    std::mt19937& random_;
    uint32_t sent_ = 0;
};

std::string chunk(size_t size)
{
    const std::string digits = "0123456789abcdef";

    return std::string(1, digits[size / 16]) + digits[size % 16] + "\r\n" + std::string(size, 'x') + "\r\n";
}

std::string chunks_of_random_size(std::mt19937& random)
{
    std::string text;

    for (auto count = random() % 6; count > 0; --count)
        text += chunk(1 + random() % 120);
    return text + "0\r\n\r\n";
}

} // namespace

TEST_CASE("Random loss changes no count")
{
    const uint32_t seed = 20261124;
    std::mt19937 random(seed);

    for (int round = 0; round < 300; ++round) {
        const bool is_server = round % 2 == 0;
        CAPTURE(seed, round, is_server);
        Connection connection(probe(), is_server);
        LossySender client(connection, kC, random);
        LossySender server(connection, kS, random);
        int answers[3] = {0, 0, 0};
        for (int exchange = 0; exchange < 6; ++exchange) {
            const std::string request = "POST /path HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n";
            client.send(request + std::string(90, 'r'), request.size());
            const auto kind = random() % 3;
            const std::string first = "HTTP/1.1 20" + std::to_string(kind) + " X\r\n";
            std::string head = first + "Server: test\r\n", body;
            if (kind == 0) {
                head += "Content-Length: 200\r\n\r\n";
                body = std::string(200, 'b');
            } else if (kind == 1) {
                head += "Transfer-Encoding: chunked\r\n\r\n";
                body = chunks_of_random_size(random);
            } else {
                head += "Content-Length: 0\r\n\r\n";
            }
            server.send(head + body, random() % 4 == 0 ? first.size() : head.size());
            ++answers[kind];
        }
        client.end();
        server.end();
        std::string expected;
        for (int kind = 0; kind < 3; ++kind)
            if (answers[kind] > 0)
                expected += (expected.empty() ? "" : ", ") +
                            ("POST 20" + std::to_string(kind) + "=" + std::to_string(answers[kind]));
        CHECK(connection.counted() == expected);
    }
}

} // namespace limpet::test
