// SPDX-License-Identifier: Apache-2.0
//
// Bad links: messages of every kind of body, one by one and pipelined, cut at random places; segments are lost and sent again,
// overtaken, and come twice. Every request counts once, with its status.
#include <cstdlib>
#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "bad_link.hpp"
#include "http_probe.hpp"

namespace limpet::test {

namespace {

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
    return text + "0\r\n" + (random() % 4 == 0 ? "Trailer: x\r\n\r\n" : "\r\n");
}

// Requests and answers of one connection, and what is to be counted of them.
class Dialogue {
public:
    explicit Dialogue(std::mt19937& random) : random_(random) {}

    [[nodiscard]] static std::string request()
    {
        return "POST /path HTTP/1.1\r\nHost: a\r\nContent-Length: 90\r\n\r\n" + std::string(90, 'r');
    }

    [[nodiscard]] std::string answer()
    {
        const auto kind = random_() % 3;
        const std::string head = "HTTP/1.1 20" + std::to_string(kind) + " X\r\nServer: test\r\n";

        ++answers_[kind];
        if (kind == 0)
            return head + "Content-Length: 200\r\n\r\n" + std::string(200, 'b');
        if (kind == 1)
            return head + "Transfer-Encoding: chunked\r\n\r\n" + chunks_of_random_size(random_);
        return head + "Content-Length: 0\r\n\r\n";
    }

    [[nodiscard]] std::string expected() const
    {
        std::string text;

        for (int kind = 0; kind < 3; ++kind)
            if (answers_[kind] > 0)
                text += (text.empty() ? "" : ", ") +
                        ("POST 20" + std::to_string(kind) + "=" + std::to_string(answers_[kind]));
        return text;
    }

private:
    std::mt19937& random_;
    int answers_[3] = {0, 0, 0};
};

} // namespace

TEST_CASE("Loss, duplication and reordering change no count")
{
    const struct {
        const char* description;
        Troubles troubles;
        unsigned pipelined; // requests at most that are sent at once
    } cases[] = {
        {"loss", {.loss = 4}, 1},
        {"duplication", {.duplication = 3}, 3},
        {"reordering of neighbours and others", {.reordering = 4}, 1},
        {"any order", {.reordering = 1}, 1},
        {"pipelined, reordered", {.reordering = 3, .longest_segment = 250}, 3},
        {"all of it", {.loss = 6, .duplication = 6, .reordering = 4}, 1},
        {"all of it, pipelined", {.loss = 6, .duplication = 6, .reordering = 4, .longest_segment = 250}, 3},
        {"single bytes to segments of a message's size", {.loss = 8, .reordering = 4, .longest_segment = 400}, 2},
    };
    const char* const wanted_seed = std::getenv("LIMPET_TEST_SEED");
    const auto seed = static_cast<uint32_t>(wanted_seed ? std::stoul(wanted_seed) : 20261124);

    CAPTURE(seed);
    for (const auto& one : cases) {
        std::mt19937 random(seed);
        for (int round = 0; round < 40; ++round) {
            const bool is_server = round % 2 == 0;
            CAPTURE(one.description, round, is_server);
            Connection connection(probe(), is_server);
            BadLink client(connection, kC, one.troubles, random), server(connection, kS, one.troubles, random);
            Dialogue dialogue(random);
            for (int exchange = 0; exchange < 4; ++exchange) {
                std::string requests, answers;
                for (auto count = 1 + random() % one.pipelined; count > 0; --count)
                    requests += Dialogue::request(), answers += dialogue.answer();
                client.send(requests);
                server.send(answers);
            }
            client.end();
            server.end();
            CHECK(connection.counted() == dialogue.expected());
        }
    }
}

} // namespace limpet::test
