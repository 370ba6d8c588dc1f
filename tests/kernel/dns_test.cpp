// SPDX-License-Identifier: Apache-2.0
//
// What counts as a lookup, row by row; and messages that no program would send.
#include <catch2/catch.hpp>

#include <random>

#include "dns_probe.hpp"

namespace limpet::test {

namespace {

constexpr uint16_t kResponse = 0x8180; // QR, RD, RA
constexpr uint16_t kTruncated = 0x0200;
constexpr uint32_t kEvicted = 4; // LIMPET_STAT_EVICTED
constexpr uint32_t kDesync = 6;  // LIMPET_STAT_UNSEEN_DESYNC
constexpr uint64_t kSecond = 1'000'000'000;

std::string be16(size_t number)
{
    return {static_cast<char>(number >> 8), static_cast<char>(number)};
}

std::string header(uint16_t id, uint16_t flags, uint16_t questions = 1, uint16_t answers = 0, uint16_t additionals = 0)
{
    return be16(id) + be16(flags) + be16(questions) + be16(answers) + be16(0) + be16(additionals);
}

std::string wire_name(std::string_view text)
{
    std::string wire;
    while (!text.empty()) {
        const std::string_view label = text.substr(0, text.find('.'));
        wire += static_cast<char>(label.size()) + std::string(label);
        text.remove_prefix(std::min(text.size(), label.size() + 1));
    }
    return wire + '\0';
}

std::string question(std::string_view name, uint16_t type = 1)
{
    return wire_name(name) + be16(type) + be16(1);
}

// A record whose name is a pointer to the first question's.
std::string record(uint16_t type, const std::string& data, uint8_t ttl0 = 0)
{
    return std::string("\xc0\x0c", 2) + be16(type) + be16(1) + std::string{static_cast<char>(ttl0), 0, 0, 60} +
           be16(data.size()) + data;
}

std::string opt(uint8_t code_above)
{
    return std::string(1, '\0') + be16(41) + be16(1232) + std::string{static_cast<char>(code_above), 0, 0, 0} + be16(0);
}

std::string framed(const std::string& message)
{
    return be16(message.size()) + message;
}

std::string ask(uint16_t id, std::string_view name = "n.test", uint16_t type = 1)
{
    return framed(header(id, 0x0100) + question(name, type));
}

std::string answer(uint16_t id, uint16_t code = 0, std::string_view name = "n.test", uint16_t type = 1)
{
    return framed(header(id, kResponse | code) + question(name, type));
}

struct Step {
    bool is_from_server;
    std::string bytes;
};

struct Row {
    const char* description;
    std::vector<Step> steps;
    std::string lookups; // at the client
    std::string served;  // at the server
    std::string totals;  // retries malformed truncated, at the client
};

const std::string kLongest =
    std::string(63, 'a') + "." + std::string(63, 'b') + "." + std::string(63, 'c') + "." + std::string(61, 'd');

const std::vector<Row> kRows = {
    {"a lookup", {{false, ask(1)}, {true, answer(1)}}, "n.test 1 0=1", "1 0=1", "0 0 0"},
    {"capitals", {{false, ask(1, "N.Test")}, {true, answer(1)}}, "n.test 1 0=1", "1 0=1", "0 0 0"},
    {"the root", {{false, ask(1, "", 2)}, {true, answer(1, 0, "", 2)}}, ". 2 0=1", "2 0=1", "0 0 0"},
    {"the longest name",
     {{false, ask(1, kLongest)}, {true, answer(1, 3, kLongest)}},
     kLongest + " 1 3=1",
     "1 3=1",
     "0 0 0"},
    {"a name one longer than may be",
     {{false, ask(1, kLongest + "d")}, {true, answer(1, 0, kLongest + "d")}},
     "",
     "",
     "0 2 0"},
    {"several codes",
     {{false, ask(1)}, {false, ask(2)}, {true, answer(2, 2)}, {true, answer(1, 5)}},
     "n.test 1 2=1, n.test 1 5=1",
     "1 2=1, 1 5=1",
     "0 0 0"},
    {"messages side by side in a segment",
     {{false, ask(1) + ask(2, "m.test", 28) + ask(3)}, {true, answer(3) + answer(1) + answer(2, 3, "m.test", 28)}},
     "m.test 28 3=1, n.test 1 0=2",
     "1 0=2, 28 3=1",
     "0 0 0"},
    {"a code in the OPT record",
     {{false, ask(1)}, {true, framed(header(1, kResponse, 1, 0, 1) + question("n.test") + opt(1))}},
     "n.test 1 16=1",
     "1 16=1",
     "0 0 0"},
    {"types above the known ones",
     {{false, ask(1, "n.test", 999)}, {true, answer(1)}},
     "n.test 67 0=1",
     "67 0=1",
     "0 0 0"},
    {"any", {{false, ask(1, "n.test", 255)}, {true, answer(1)}}, "n.test 66 0=1", "66 0=1", "0 0 0"},
    {"no question",
     {{false, framed(header(1, 0, 0))}, {true, framed(header(1, kResponse | 1, 0))}},
     "other 0 1=1",
     "0 1=1",
     "0 0 0"},
    {"the bare header of an error",
     {{false, ask(1)}, {true, framed(header(1, kResponse | 1))}},
     "n.test 1 1=1",
     "1 1=1",
     "0 0 0"},
    {"several questions: the first counts",
     {{false, framed(header(1, 0, 3) + question("n.test") + question("m.test") + question("o.test"))},
      {true, framed(header(1, kResponse, 3) + question("n.test") + question("m.test") + question("o.test"))}},
     "n.test 1 0=1",
     "1 0=1",
     "0 0 0"},
    {"truncated",
     {{false, ask(1)},
      {true, framed(header(1, kResponse | kTruncated, 1, 4) + question("n.test") + record(1, "abcd").substr(0, 9))}},
     "n.test 1 0=1",
     "1 0=1",
     "0 0 1"},
    {"the same question again",
     {{false, ask(1)}, {false, ask(1)}, {true, answer(1)}},
     "n.test 1 0=1",
     "1 0=1",
     "1 0 0"},
    {"the answer twice", {{false, ask(1)}, {true, answer(1)}, {true, answer(1)}}, "n.test 1 0=1", "1 0=1", "0 0 0"},
    {"an answer that nobody asked for", {{true, answer(1)}}, "", "", "0 0 0"},
    {"an answer with another id", {{false, ask(1)}, {true, answer(2)}}, "", "", "0 0 0"},
    {"a compression pointer in a question",
     {{false, framed(header(1, 0) + std::string("\xc0\x0c\0\1\0\1", 6))}},
     "",
     "",
     "0 1 0"},
    {"a reserved label type",
     {{false, framed(header(1, 0) + std::string("\x41", 1) + std::string(70, 'a') + std::string("\0\0\1\0\1", 5))}},
     "",
     "",
     "0 1 0"},
    {"a question that is cut off", {{false, framed(header(1, 0) + wire_name("n.test") + be16(1))}}, "", "", "0 1 0"},
    {"a message without anything behind its header", {{false, framed(header(1, 0))}}, "", "", "0 1 0"},
    {"a message shorter than a header",
     {{false, framed("abc")}, {false, ask(1)}, {true, answer(1)}},
     "n.test 1 0=1",
     "1 0=1",
     "0 1 0"},
    {"an empty message", {{false, framed("")}, {false, ask(1)}, {true, answer(1)}}, "n.test 1 0=1", "1 0=1", "0 1 0"},
    {"an opcode that is not assigned", {{false, framed(header(1, 0x3800) + question("n.test"))}}, "", "", "0 1 0"},
    {"an update and a notification are no lookups",
     {{false, framed(header(1, 0x2800) + question("n.test"))}, {false, framed(header(2, 0x2000) + question("n.test"))}},
     "",
     "",
     "0 0 0"},
    {"a record longer than its message",
     {{false, ask(1)},
      {true,
       framed(header(1, kResponse, 1, 1) + question("n.test") + record(1, std::string(300, 'x')).substr(0, 100))}},
     "n.test 1 0=1",
     "1 0=1",
     "0 1 0"},
    {"a pointer that points at itself",
     {{false, ask(1)},
      {true, framed(header(1, kResponse, 1, 1) + question("n.test") +
                    std::string("\xc0\x18\0\5\0\1\0\0\0\1\0\2\xc0\x18", 14))}},
     "n.test 1 0=1",
     "1 0=1",
     "0 0 0"},
};

std::string v4(const std::string& address)
{
    return std::string(10, '\0') + "\xff\xff" + address;
}

} // namespace

TEST_CASE("Lookups are counted by name, type and code at both ends")
{
    for (const Row& row : kRows)
        for (const bool is_server : {false, true}) {
            INFO(row.description << (is_server ? ", at the server" : ", at the client"));
            DnsConnection connection(is_server);
            for (const Step& step : row.steps)
                step.is_from_server ? connection.server_sends(step.bytes) : connection.client_sends(step.bytes);
            CHECK(connection.counted() == (is_server ? row.served : row.lookups));
            if (!is_server)
                CHECK(connection.totals() == row.totals);
        }
}

TEST_CASE("TCP segments may be cut anywhere; a question that is cut counts as other")
{
    const std::string query = ask(1);
    const std::string response = answer(1, 3);
    for (size_t cut = 1; cut < query.size(); ++cut) {
        INFO("cut behind " << cut << " bytes");
        DnsConnection connection(false);
        connection.client_sends(query.substr(0, cut));
        connection.client_sends(query.substr(cut));
        connection.server_sends(response.substr(0, cut));
        connection.server_sends(response.substr(cut));
        CHECK(connection.counted() == (cut <= 14 ? "n.test 1 3=1" : "other 67 3=1"));
        CHECK(connection.totals() == "0 0 0");
    }
    DnsConnection byte_by_byte(true);
    for (const char byte : query + query)
        byte_by_byte.client_sends({&byte, 1});
    for (const char byte : response + response)
        byte_by_byte.server_sends({&byte, 1});
    CHECK(byte_by_byte.counted() == "67 3=2");
}

TEST_CASE("Segments that come twice count once; behind a hole the next segment begins a message")
{
    DnsConnection connection(false);
    const uint64_t lost_before = dns_probe().stat(kDesync);
    connection.client_sends(ask(1));
    connection.send_at(0, ask(1), false);
    connection.send_at(0, ask(1) + ask(2), false);
    connection.server_sends(answer(1));
    CHECK(connection.counted() == "n.test 1 0=1");
    connection.send_at(500, answer(2), true);
    CHECK(connection.counted() == "n.test 1 0=2");
    CHECK(connection.totals() == "0 0 0");
    CHECK(dns_probe().stat(kDesync) == lost_before + 1);
}

TEST_CASE("A lookup without an answer counts once, when its time is over")
{
    DnsConnection client(false);
    DnsConnection server(true);
    client.client_sends(ask(1));
    server.client_sends(ask(1));
    dns_probe().tick_after(kSecond);
    CHECK(client.counted() == "");
    dns_probe().tick_after(5 * kSecond);
    CHECK(client.counted() == "n.test 1 timeout=1");
    dns_probe().tick_after(kSecond);
    CHECK(client.counted() == "n.test 1 timeout=1");
    client.server_sends(answer(1)); // too late
    server.server_sends(answer(1));
    CHECK(client.counted() == "n.test 1 timeout=1");
    CHECK(server.counted() == "");

    client.client_sends(ask(2));
    dns_probe().tick_after(6 * kSecond);
    client.client_sends(ask(2)); // again: a retry, and a lookup of its own
    client.server_sends(answer(2));
    CHECK(client.counted() == "n.test 1 0=1, n.test 1 timeout=2");
    CHECK(client.totals() == "1 0 0");
}

TEST_CASE("A table that is full displaces the oldest, and counts it")
{
    DnsConnection client(false);
    const uint64_t evicted_before = dns_probe().stat(kEvicted);
    for (uint32_t id = 0; id < 5000; ++id)
        client.client_sends(ask(static_cast<uint16_t>(id)));
    for (uint32_t id = 0; id < 5000; ++id)
        client.server_sends(answer(static_cast<uint16_t>(id)));
    const uint64_t evicted = dns_probe().stat(kEvicted) - evicted_before;
    CHECK(evicted >= 5000 - 4096);
    CHECK(client.counted() == "n.test 1 0=" + std::to_string(5000 - evicted));
}

TEST_CASE("A thousand queries of one client in flight displace none")
{
    DnsConnection client(false);
    dns_probe().tick_after(20 * kSecond);
    dns_probe().tick_after(20 * kSecond);
    const uint64_t evicted_before = dns_probe().stat(kEvicted);
    for (uint32_t id = 60000; id < 61000; ++id)
        client.client_sends(ask(static_cast<uint16_t>(id)));
    for (uint32_t id = 60000; id < 61000; ++id)
        client.server_sends(answer(static_cast<uint16_t>(id)));
    CHECK(client.counted() == "n.test 1 0=1000");
    CHECK(dns_probe().stat(kEvicted) == evicted_before);
}

TEST_CASE("The first names of a workload are told apart, the others are counted together")
{
    DnsConnection client(false);
    for (uint16_t id = 0; id < 150; ++id) {
        const std::string name = "name" + std::to_string(id) + ".test";
        client.client_sends(ask(id, name));
        client.server_sends(answer(id, 0, name));
    }
    const std::string counted = client.counted();
    CHECK(counted.find("name99.test 1 0=1,") != std::string::npos);
    CHECK(counted.find("name100.test") == std::string::npos);
    CHECK(counted.ends_with("other 1 0=50"));
}

TEST_CASE("Addresses of an answer have the name that was asked for, whatever names stand between")
{
    DnsConnection client(false);
    const std::string v6 = "0123456789abcdef";
    client.client_sends(ask(1, "Www.Test"));
    client.server_sends(framed(header(1, kResponse, 1, 3) + question("www.test") + record(5, wire_name("cdn.test")) +
                               record(1, "\x0a\x01\x02\x03") + record(28, v6)));
    CHECK(dns_probe().name_of(v4("\x0a\x01\x02\x03")) == "www.test");
    CHECK(dns_probe().name_of(v6) == "www.test");
    client.client_sends(ask(2, "new.test"));
    client.server_sends(framed(header(2, kResponse, 1, 1) + question("new.test") + record(1, "\x0a\x01\x02\x03")));
    CHECK(dns_probe().name_of(v4("\x0a\x01\x02\x03")) == "new.test");
    client.client_sends(ask(3, kLongest));
    client.server_sends(framed(header(3, kResponse, 1, 1) + question(kLongest) + record(1, "\x0a\x01\x02\x04")));
    CHECK(dns_probe().name_of(v4("\x0a\x01\x02\x04")) == "");
}

TEST_CASE("Datagrams that are no messages are counted and let pass")
{
    constexpr uint32_t kWorkload = 1000;
    uint64_t malformed = 0;
    for (const bool is_ipv6 : {false, true})
        for (const bool is_egress : {false, true}) {
            for (const std::string& payload :
                 {std::string(), std::string("x"), header(1, 0).substr(0, 11), header(1, 0)}) {
                dns_probe().datagram(kWorkload, payload, is_egress, is_ipv6);
                ++malformed;
            }
            CHECK(dns_probe().totals(kWorkload) == "0 " + std::to_string(malformed) + " 0");
        }
}

TEST_CASE("Multicast is not followed")
{
    constexpr uint32_t kWorkload = 1001;
    for (const bool is_ipv6 : {false, true})
        dns_probe().datagram(kWorkload, header(0, 0) + question("printer.local", 12), true, is_ipv6, true);
    dns_probe().tick_after(10 * kSecond);
    CHECK(dns_probe().lookups(kWorkload) == "");
    dns_probe().datagram(kWorkload, header(0, 0) + question("printer.local", 12), true, false);
    dns_probe().tick_after(10 * kSecond);
    CHECK(dns_probe().lookups(kWorkload) == "printer.local 12 timeout=1");
}

TEST_CASE("Random messages, and good ones with random bytes in them, do no harm")
{
    constexpr uint32_t kWorkload = 1002;
    std::mt19937 random(1);
    const std::string good = header(1, kResponse, 1, 2, 1) + question("n.test") + record(1, "abcd") +
                             record(28, std::string(16, 'x')) + opt(0);
    for (int round = 0; round < 20000; ++round) {
        std::string bytes = round % 2 ? good : std::string(random() % 600, '\0');
        for (size_t changes = round % 2 ? random() % 8 : bytes.size(); changes-- && !bytes.empty();)
            bytes[random() % bytes.size()] = static_cast<char>(random());
        dns_probe().datagram(kWorkload, bytes, random() % 2, random() % 2);
    }
    DnsConnection connection(false);
    for (int round = 0; round < 5000; ++round) {
        std::string bytes(1 + random() % 600, '\0');
        for (char& byte : bytes)
            byte = static_cast<char>(random());
        random() % 2 ? connection.server_sends(bytes) : connection.client_sends(bytes);
    }
    DnsConnection after(false); // every borrowed question has come back
    after.client_sends(ask(1));
    after.server_sends(answer(1));
    CHECK(after.counted().ends_with(" 1 0=1"));
}

} // namespace limpet::test
