// SPDX-License-Identifier: Apache-2.0
//
// Plain segments (http_plain.bpf.h): they are dealt with without the program for any segment, and to the same end.
#include <string>
#include <utility>
#include <vector>

#include <bpf/bpf.h>
#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr int kRoundsBefore = 3; // until the heads of both directions are known, and the row
constexpr int kRoundsBehind = 5;

struct Dialogue {
    const char* description;
    std::vector<Step> steps; // 10 ms apart
    std::string counted;     // of one
    uint64_t request_bytes, response_bytes;
};

const std::string kPost = "POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
const std::string kHeadOfFour = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";
const std::string kLarge = "GET / HTTP/1.1\r\nCookie: " + std::string(200, 'c') + "\r\n\r\n";

const std::vector<Dialogue> kPlain = {
    {"an answer in one segment", {{kC, kGet}, {kS, kOk}}, "GET 200", 0, 2},
    {"heads of more than half a window",
     {{kC, kLarge}, {kS, "HTTP/1.1 200 OK\r\nX: " + std::string(150, 'x') + "\r\n" + kOk.substr(17)}},
     "GET 200",
     0,
     2},
    {"no body", {{kC, kGet}, {kS, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"}}, "GET 404", 0, 0},
    {"head and body apart", {{kC, kGet}, {kS, kHeadOfFour}, {kS, "ab"}, {kS, "cd"}}, "GET 200", 0, 4},
    {"a body that begins with the head", {{kC, kGet}, {kS, kHeadOfFour + "ab"}, {kS, "cd"}}, "GET 200", 0, 4},
    {"a request's body apart", {{kC, kPost}, {kC, "ab"}, {kC, "cd"}, {kS, kOk}}, "POST 200", 4, 2},
    {"a request's body behind its head", {{kC, kPost + "abcd"}, {kS, kOk}}, "POST 200", 4, 2},
    {"204", {{kC, "DELETE /x HTTP/1.1\r\n\r\n"}, {kS, "HTTP/1.1 204 No Content\r\n\r\n"}}, "DELETE 204", 0, 0},
    {"304 with the length of what it does not send",
     {{kC, kGet}, {kS, "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n"}},
     "GET 304",
     0,
     0},
    {"an early answer", {{kC, kPost}, {kS, kOk}, {kC, "abcd"}}, "POST 200", 0, 2},
};

// An object of its own: others fill the tables of sizes.
const HttpProbe& plain_probe()
{
    static const HttpProbe kProbe;
    return kProbe;
}

// What one round adds to the sums of duration and time to first byte.
std::pair<uint64_t, uint64_t> times_of(const Dialogue& dialogue)
{
    uint64_t first = 0, last = 0;
    for (size_t i = 0; i < dialogue.steps.size(); ++i) {
        if (dialogue.steps[i].side == kC)
            continue;
        last = i * 10 * kMs;
        first = first == 0 ? last : first;
    }
    return {last, first};
}

void play(Connection& connection, const Dialogue& dialogue, int rounds)
{
    static uint64_t now_ns = 1000 * kMs;

    for (int round = 0; round < rounds; ++round)
        for (const Step& step : dialogue.steps) {
            connection.send(step.side, step.payload, step.flags, now_ns);
            now_ns += 10 * kMs;
        }
}

// The program that takes what is not plain: while this lives there is none.
class NoOtherProgram {
public:
    explicit NoOtherProgram(const HttpProbe& probe) : probe_(probe)
    {
        if (bpf_map_delete_elem(probe_.map_fd("http_programs"), &kFirst))
            throw failure("take the program out");
    }
    ~NoOtherProgram()
    {
        const int program = probe_.program_fd("on_any_segment");
        (void)bpf_map_update_elem(probe_.map_fd("http_programs"), &kFirst, &program, BPF_ANY);
    }
    NoOtherProgram(const NoOtherProgram&) = delete;
    NoOtherProgram& operator=(const NoOtherProgram&) = delete;

private:
    static constexpr uint32_t kFirst = 0;
    const HttpProbe& probe_;
};

} // namespace

TEST_CASE("Plain segments need no other program, and count as any segment does")
{
    for (const Dialogue& dialogue : kPlain)
        for (const bool is_server : {true, false}) {
            INFO(dialogue.description << (is_server ? ", at the server" : ", at the client"));
            Connection connection(plain_probe(), is_server);
            const auto [duration_ns, first_byte_ns] = times_of(dialogue);
            play(connection, dialogue, kRoundsBefore);
            {
                const NoOtherProgram none(plain_probe());
                play(connection, dialogue, kRoundsBehind);
            }
            CHECK(connection.counted() == dialogue.counted + "=8");
            CHECK(connection.sums_ns(dialogue.counted) == std::pair{8 * duration_ns, 8 * first_byte_ns});
            CHECK(connection.counted_sizes() == dialogue.counted + ": 8 of " +
                                                    std::to_string(8 * dialogue.request_bytes) + ", 8 of " +
                                                    std::to_string(8 * dialogue.response_bytes));
            play(connection, {"", {{kC, kGet + kGet}, {kS, kOk + kOk}}, "", 0, 0}, 1);
            CHECK(connection.requests().at("GET 200").count == (dialogue.counted == "GET 200" ? 10 : 2));
        }
}

TEST_CASE("A segment that is not plain waits for the program that can read it")
{
    const NoOtherProgram none(plain_probe());
    Connection connection(plain_probe(), true);
    connection.send(kC, kGet);
    connection.send(kS, kOk);
    CHECK(connection.counted() == "");
    CHECK(connection.verdict() == 0);
}

TEST_CASE("Between plain segments anything may come")
{
    const std::string chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
    const std::string interim = "HTTP/1.1 103 Early Hints\r\n\r\n";
    for (const bool is_server : {true, false}) {
        CAPTURE(is_server);
        Connection connection(plain_probe(), is_server);
        for (int round = 0; round < 4; ++round) {
            for (const std::string& answer : {kOk, kOk, chunked, chunked, interim + kOk, interim + kOk, kOk}) {
                connection.send(kC, kGet);
                connection.send(kS, answer);
            }
            connection.send(kC, kGet);
            connection.send(kC, kGet); // before the answer to the first one
            connection.send(kS, kOk);
            connection.send(kS, kOk);
            for (int i = 0; i < 3; ++i) {
                connection.send(kC, "HEAD / HTTP/1.1\r\n\r\n");
                connection.send(kS, kHeadOfFour);
            }
        }
        CHECK(connection.counted() == "GET 200=36, HEAD 200=12");
        CHECK(connection.counted_sizes() == "GET 200: 36 of 0, 36 of 72; HEAD 200: 12 of 0, 12 of 0");
    }
}

} // namespace limpet::test
