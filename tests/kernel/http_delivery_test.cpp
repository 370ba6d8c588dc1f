// SPDX-License-Identifier: Apache-2.0
//
// Both ends of a connection are on this host: what is sent is dealt with for its receiver too (limpet/loopback.bpf.h), or is not and
// comes to it, and either way counts once at each end.
#include <functional>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <sched.h>

#include <bpf/bpf.h>
#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {
namespace {

constexpr uint64_t kMs = 1'000'000;
constexpr uint32_t kStatWords = 32;  // LIMPET_STAT_COUNT
constexpr uint32_t kSent = 13;       // LIMPET_STAT_SENT
constexpr int kRoundsUntilPlain = 3; // heads and rows are known then
constexpr uint64_t kOnNotice = 1ULL << 61;

// struct limpet_sent
struct Sent {
    uint64_t time_ns;
    uint64_t numbers;
    uint32_t slot;
    uint32_t receiver_plus_one;
};

// An object of its own: others fill the tables of sizes.
const HttpProbe& delivery_probe()
{
    static const HttpProbe kProbe;
    return kProbe;
}

// All runs are on one CPU while this lives.
class OnOneCpu {
public:
    OnOneCpu()
    {
        cpu_set_t one{};
        sched_getaffinity(0, sizeof before_, &before_);
        CPU_SET(sched_getcpu(), &one);
        REQUIRE(sched_setaffinity(0, sizeof one, &one) == 0);
    }
    ~OnOneCpu() { (void)sched_setaffinity(0, sizeof before_, &before_); }
    OnOneCpu(const OnOneCpu&) = delete;
    OnOneCpu& operator=(const OnOneCpu&) = delete;

private:
    cpu_set_t before_{};
};

// Both ends, and the tap between them.
class Pair {
public:
    Connection client{delivery_probe(), false}, server{delivery_probe(), true};

    // What the tap knows of the next segment: changed by tests.
    std::function<void(Sent&)> note = [](Sent&) {};
    bool comes_again = false;

    // Sends one segment. Returns whether the sender's program has dealt with it for the receiver, too.
    bool send_only(From side, const std::string& payload, uint8_t flags = 0)
    {
        Connection& sender = side == kC ? client : server;
        const uint64_t numbers = 0x1234'5678'0000'0000 | htonl(sender.next_sequence(side));
        Sent sent{now_ns_, numbers, sender.slot(), (side == kC ? server : client).slot() + 1};
        note(sent);
        set_sent(sent);
        sender.send(side, payload, flags, now_ns_);
        return sent_now().numbers == ~numbers;
    }

    // … which is then not handed over, or not for the first time.
    void receive(From side, const std::string& payload, uint8_t flags, bool is_taken)
    {
        Connection& receiver = side == kC ? server : client;
        if (is_taken && !comes_again)
            receiver.pass_over(side, payload.size());
        else
            receiver.send(side, payload, flags, now_ns_);
        now_ns_ += 10 * kMs;
    }

    bool send(From side, const std::string& payload, uint8_t flags = 0)
    {
        const bool is_taken = send_only(side, payload, flags);
        receive(side, payload, flags, is_taken);
        return is_taken;
    }

    void get(int times)
    {
        for (int i = 0; i < times; ++i) {
            send(kC, kGet);
            send(kS, kOk);
        }
    }

    [[nodiscard]] std::string counted() const { return client.counted() + " | " + server.counted(); }

private:
    static void set_sent(const Sent& sent)
    {
        uint64_t words[kStatWords] = {};
        const auto cpu = static_cast<uint32_t>(sched_getcpu());
        __builtin_memcpy(words + kSent, &sent, sizeof sent);
        if (bpf_map_update_elem(delivery_probe().map_fd("limpet_tap_stats"), &cpu, words, BPF_ANY))
            throw failure("write limpet_tap_stats");
    }

    static Sent sent_now()
    {
        uint64_t words[kStatWords] = {};
        const auto cpu = static_cast<uint32_t>(sched_getcpu());
        Sent sent{};
        if (bpf_map_lookup_elem(delivery_probe().map_fd("limpet_tap_stats"), &cpu, words))
            throw failure("read limpet_tap_stats");
        __builtin_memcpy(&sent, words + kSent, sizeof sent);
        return sent;
    }

    const OnOneCpu pinned_;
    uint64_t now_ns_ = 1000 * kMs;
};

const std::string kPost = "POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
const std::string kHeadOfFour = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n";

} // namespace

TEST_CASE("What is plain at both ends is dealt with for both when it is sent, bodies too")
{
    const std::vector<std::vector<Step>> dialogues = {
        {{kC, kGet}, {kS, kOk}},
        {{kC, kGet}, {kS, kHeadOfFour}, {kS, "ab"}, {kS, "cd"}},
        {{kC, kPost}, {kC, "ab"}, {kC, "cd"}, {kS, kOk}},
        {{kC, kPost + "abcd"}, {kS, kHeadOfFour + "ab"}, {kS, "cd"}},
    };
    for (const std::vector<Step>& steps : dialogues) {
        Pair pair;
        int taken = 0;
        for (int round = 0; round < kRoundsUntilPlain + 5; ++round)
            for (const Step& step : steps)
                taken += pair.send(step.side, step.payload) && round >= kRoundsUntilPlain;
        CHECK(taken == 5 * static_cast<int>(steps.size()));
        CHECK(pair.client.counted() == (steps[0].payload == kGet ? "GET 200=8" : "POST 200=8"));
        CHECK(pair.server.counted() == pair.client.counted());
        CHECK(pair.server.counted_sizes() == pair.client.counted_sizes());
        const std::string name = steps[0].payload == kGet ? "GET 200" : "POST 200";
        CHECK(pair.server.sums_ns(name) == pair.client.sums_ns(name));
        CHECK(pair.server.sums_ns(name).first == 8 * (steps.size() - 1) * 10 * kMs);
    }
}

TEST_CASE("A head that changes now and then, as one with a date does, is known again each time")
{
    Pair pair;
    int taken = 0;
    for (int second = 0; second < 8; ++second)
        for (int round = 0; round < 4; ++round) {
            pair.send(kC, kGet);
            taken +=
                pair.send(kS, "HTTP/1.1 200 OK\r\nAge: " + std::to_string(second) + "\r\nContent-Length: 0\r\n\r\n");
        }
    CHECK(taken == 7 * 3 + 2); // all but the first ones, and one more at the connection's start
    CHECK(pair.counted() == "GET 200=32 | GET 200=32");
}

TEST_CASE("What comes all the same is old")
{
    Pair pair;
    pair.get(kRoundsUntilPlain);
    pair.comes_again = true;
    pair.get(5);
    CHECK(pair.counted() == "GET 200=8 | GET 200=8");
    pair.comes_again = false;
    pair.get(2);
    CHECK(pair.counted() == "GET 200=10 | GET 200=10");
    CHECK(delivery_probe().stat(kUnseenDesync) == 0);
}

namespace {

std::function<void(Pair&)> noting(const std::function<void(Sent&)>& change)
{
    return [change](Pair& pair) { pair.note = change; };
}

std::function<void(Pair&)> changing(const std::function<void(limpet_connection&)>& change)
{
    return [change](Pair& pair) {
        limpet_connection state = pair.server.state();
        change(state);
        pair.server.set_state(state);
    };
}

std::string bytes_of(const limpet_connection& state)
{
    return {reinterpret_cast<const char*>(&state), sizeof state};
}

struct Doubt {
    const char* description;
    std::function<void(Pair&)> begin, end;
};

const auto kNothing = [](Pair&) {};
const std::vector<Doubt> kDoubts = {
    {"the tap does not know it", noting([](Sent& sent) { sent.receiver_plus_one = 0; }), kNothing},
    {"the note is of another connection", noting([](Sent& sent) { sent.slot += 1000; }), kNothing},
    {"the note is of another segment", noting([](Sent& sent) { sent.numbers ^= 1; }), kNothing},
    {"the slot is another connection's", noting([](Sent& sent) { sent.receiver_plus_one += 1000; }), kNothing},
    {"there is no such slot", noting([](Sent& sent) { sent.receiver_plus_one = 0x7fffffff; }), kNothing},
    {"the slot is free", changing([](auto& state) { state.head.cookie = 0; }), kNothing},
    {"the slot may change hands", changing([](auto& state) { state.head.cookie |= kOnNotice; }), kNothing},
    {"another parser owns it", changing([](auto& state) { state.head.verdict = 2; }),
     changing([](auto& state) { state.head.verdict = 1; })},
    {"another CPU is in it", changing([](auto& state) { state.lock = 1; }),
     changing([](auto& state) { state.lock = 0; })},
    {"it has seen another head last", changing([](auto& state) { state.known[0] ^= 1; }), kNothing}, // its hash
};

} // namespace

TEST_CASE("What is not certain of the receiver is left to it")
{
    for (const Doubt& doubt : kDoubts) {
        INFO(doubt.description);
        Pair pair;
        pair.get(kRoundsUntilPlain);
        doubt.begin(pair);
        const limpet_connection before = pair.server.state();
        CHECK(!pair.send_only(kC, kGet));
        CHECK(bytes_of(before) == bytes_of(pair.server.state()));
        doubt.end(pair);
        pair.receive(kC, kGet, 0, false);
        pair.send(kS, kOk);
        CHECK(pair.counted() == "GET 200=4 | GET 200=4");
    }
}

TEST_CASE("A segment that the receiver's end is not waiting for is left to it")
{
    Pair pair;
    pair.get(kRoundsUntilPlain);
    CHECK(pair.send_only(kC, kGet));  // dealt with …
    CHECK(!pair.send_only(kC, kGet)); // … pipelined
    pair.server.pass_over(kC, kGet.size());
    pair.receive(kC, kGet, 0, false);
    pair.send(kS, kOk);
    pair.send(kS, kOk);
    CHECK(pair.counted() == "GET 200=5 | GET 200=5");
}

TEST_CASE("Ends of connections and pipelined requests come to the receiver")
{
    Pair pair;
    pair.get(kRoundsUntilPlain);
    CHECK(pair.send(kC, kGet));
    CHECK(!pair.send(kC, kGet)); // before the answer to the first one
    CHECK(!pair.send(kS, kOk));
    pair.send(kS, kOk);
    CHECK(pair.counted() == "GET 200=5 | GET 200=5");
    CHECK(pair.send(kC, kGet));
    CHECK(!pair.send(kS, "", kFin));
    CHECK(pair.counted() == "GET 0 truncated=1, GET 200=5 | GET 0 truncated=1, GET 200=5");
}

} // namespace limpet::test
