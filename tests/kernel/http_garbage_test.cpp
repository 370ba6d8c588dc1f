// SPDX-License-Identifier: Apache-2.0
//
// Random traffic through the loaded programs: any piece of two streams, any number of times, in any order, with flags that make
// no sense. What is counted never exceeds what was sent. The same parser under libFuzzer: tests/fuzz.
#include <cstdlib>
#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "http_probe.hpp"
#include "words.h"

namespace limpet::test {

namespace {

uint64_t occurrences(const std::string& text, const std::string& word)
{
    uint64_t count = 0;

    for (size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1))
        ++count;
    return count;
}

std::string random_stream(const char* const* words, std::mt19937& random)
{
    std::string text;

    for (auto count = 1 + random() % 12; count > 0; --count) {
        if (random() % 8 == 0)
            for (auto bytes = 1 + random() % 300; bytes > 0; --bytes)
                text += static_cast<char>(random());
        else
            text += words[random() % WORDS_PER_SIDE];
    }
    return text;
}

// Sends nearly always what comes next. `sent`: how far the stream has been sent.
void send_a_piece(Connection& connection, From side, const std::string& stream, size_t& sent, uint64_t time_ns,
                  std::mt19937& random)
{
    const bool is_next = random() % 4 != 0 && sent < stream.size();
    const size_t from = is_next ? sent : random() % stream.size();
    const std::string piece = stream.substr(from, 1 + random() % (random() % 4 == 0 ? stream.size() : 60));
    const auto flags = static_cast<uint8_t>(random() % 32 == 0 ? random() % 4 : 0);

    connection.send_at(side, static_cast<uint32_t>(from), piece, flags, time_ns);
    if (is_next)
        sent += piece.size();
}

} // namespace

TEST_CASE("Random segments never count what was not sent")
{
    const char* const wanted_seed = std::getenv("LIMPET_TEST_SEED");
    const auto seed = static_cast<uint32_t>(wanted_seed ? std::stoul(wanted_seed) : 20261124);
    std::mt19937 random(seed);

    for (int round = 0; round < 120; ++round) {
        const bool is_server = round % 2 == 0;
        CAPTURE(seed, round, is_server);
        const std::string requests = random_stream(kRequestWords, random),
                          answers = random_stream(kAnswerWords, random);
        Connection connection(probe(), is_server);
        connection.send_at(kC, 0, "");
        connection.send_at(kS, 0, "");
        size_t requests_sent = 0, answers_sent = 0;
        const uint64_t end_ns = random() % 80;
        for (uint64_t now_ns = 0; now_ns < end_ns; ++now_ns) {
            if (random() % 2 == 0)
                send_a_piece(connection, kC, requests, requests_sent, now_ns, random);
            else
                send_a_piece(connection, kS, answers, answers_sent, now_ns, random);
        }
        uint64_t answered = 0, failed = 0;
        for (const auto& [name, counted] : connection.requests()) {
            CHECK(counted.count < 100);
            CHECK(counted.first_byte_ns <= counted.duration_ns);
            (name.find_last_of("0123456789") + 1 == name.size() ? answered : failed) += counted.count;
        }
        CAPTURE(connection.counted(), requests, answers);
        CHECK(answered + failed <= occurrences(requests, "HTTP/1."));
        CHECK(answered <= occurrences(answers, "HTTP/1."));
    }
}

} // namespace limpet::test
