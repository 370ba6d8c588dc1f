// SPDX-License-Identifier: Apache-2.0
//
// Sizes of bodies, row by row: what each side sends, and how many bytes of bodies must have been counted then. Every row is run
// at the server's end and at the client's, and once more with every segment cut into single bytes.
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {
namespace {

// `sizes`: as Connection::counted_sizes writes it.
struct Row {
    const char* description;
    std::vector<Step> steps;
    std::string sizes;
};

const std::string kLong(20000, 'x');
const std::string kChunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string with_length(const std::string& first_line, size_t bytes)
{
    return first_line + "\r\nContent-Length: " + std::to_string(bytes) + "\r\n\r\n";
}

std::string post(const std::string& body)
{
    return with_length("POST /x HTTP/1.1", body.size()) + body;
}

std::string answer(const std::string& body)
{
    return with_length("HTTP/1.1 200 OK", body.size()) + body;
}

const std::vector<Row> kRows = {
    {"no body, and one of two bytes", {{kC, kGet}, {kS, kOk}}, "GET 200: 1 of 0, 1 of 2"},
    {"the same head again and again",
     {{kC, kGet}, {kS, kOk}, {kC, kGet}, {kS, kOk}, {kC, kGet}, {kS, kOk}},
     "GET 200: 3 of 0, 3 of 6"},
    {"a body that is empty", {{kC, post("")}, {kS, answer("")}}, "POST 200: 1 of 0, 1 of 0"},
    {"the same request with a body again",
     {{kC, post("0123456789")}, {kS, kOk}, {kC, post("abcdefghij")}, {kS, kOk}, {kC, post("abc")}, {kS, answer("a")}},
     "POST 200: 3 of 23, 3 of 5"},
    {"bodies in segments of their own",
     {{kC, post("0123456789").substr(0, 42)}, {kC, post("0123456789").substr(42)}, {kS, answer("abcd")}},
     "POST 200: 1 of 10, 1 of 4"},
    {"long bodies", {{kC, post(kLong)}, {kS, answer(kLong + kLong)}}, "POST 200: 1 of 20000, 1 of 40000"},
    {"until close",
     {{kC, "GET / HTTP/1.0\r\n\r\n"}, {kS, "HTTP/1.0 200 OK\r\n\r\nbody"}, {kS, "more"}, {kS, "last", kFin}},
     "GET 200: 1 of 0, 1 of 12"},
    {"until close without a byte",
     {{kC, "GET / HTTP/1.0\r\n\r\n"}, {kS, "HTTP/1.0 200 OK\r\n\r\n"}, {kS, "", kFin}},
     "GET 200: 1 of 0, 1 of 0"},
    {"chunks: their bytes without their sizes, extensions and trailers",
     {{kC, kGet}, {kS, kChunked}, {kS, "4\r\nWiki\r\n"}, {kS, "B;name=value\r\npedia in ch\r\n0\r\nX: y\r\n\r\n"}},
     "GET 200: 1 of 0, 1 of 15"},
    {"chunks of one byte in one segment",
     {{kC, kGet}, {kS, kChunked + "1\r\na\r\n1\r\nb\r\n1\r\nc\r\n1\r\nd\r\n0\r\n\r\n"}},
     "GET 200: 1 of 0, 1 of 4"},
    {"a chunk longer than a segment, twice",
     {{kC, kGet},
      {kS, kChunked + "4e20\r\n" + kLong + "\r\n2\r\nab\r\n0\r\n\r\n"},
      {kC, kGet},
      {kS, kChunked + "4e20\r\n" + kLong + "\r\n0\r\n\r\n"}},
     "GET 200: 2 of 0, 2 of 40002"},
    {"a chunked request",
     {{kC, "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
      {kS, kOk},
      {kC, "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"},
      {kS, kOk}},
     "POST 200: 2 of 7, 2 of 4"},
    {"chunks beside a length, which does not count",
     {{kC, kGet}, {kS, with_length("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", 99) + "2\r\nok\r\n0\r\n\r\n"}},
     "GET 200: 1 of 0, 1 of 2"},
    {"HEAD, 204 and 304 have no body whatever they announce",
     {{kC, "HEAD / HTTP/1.1\r\n\r\n"},
      {kS, with_length("HTTP/1.1 200 OK", 1000)},
      {kC, kGet},
      {kS, with_length("HTTP/1.1 204 No Content", 5)},
      {kC, kGet},
      {kS, with_length("HTTP/1.1 304 Not Modified", 7)}},
     "GET 204: 1 of 0, 1 of 0; GET 304: 1 of 0, 1 of 0; HEAD 200: 1 of 0, 1 of 0"},
    {"HEAD and GET in turns, answered by the same head",
     {{kC, "HEAD / HTTP/1.1\r\n\r\n"},
      {kS, with_length("HTTP/1.1 200 OK", 3)},
      {kC, kGet},
      {kS, answer("abc")},
      {kC, "HEAD / HTTP/1.1\r\n\r\n"},
      {kS, with_length("HTTP/1.1 200 OK", 3)},
      {kC, kGet},
      {kS, answer("abc")}},
     "GET 200: 2 of 0, 2 of 6; HEAD 200: 2 of 0, 2 of 0"},
    {"an interim answer",
     {{kC, with_length("PUT /x HTTP/1.1\r\nExpect: 100-continue", 4)},
      {kS, "HTTP/1.1 100 Continue\r\n\r\n"},
      {kC, "body"},
      {kS, answer("")}},
     "PUT 200: 1 of 4, 1 of 0"},
    {"an early answer: the bytes that had come by then",
     {{kC, with_length("POST /x HTTP/1.1", 1000) + "0123456789"},
      {kS, with_length("HTTP/1.1 413 Too Large", 2) + "no"},
      {kC, std::string(990, 'x')},
      {kC, kGet},
      {kS, kOk}},
     "GET 200: 1 of 0, 1 of 2; POST 413: 1 of 10, 1 of 2"},
    {"pipelined, each with its own body",
     {{kC, post("a") + kGet + post("abc") + post(kLong)}, {kS, answer("1") + answer("12") + kOk + kOk}},
     "GET 200: 1 of 0, 1 of 2; POST 200: 3 of 20004, 3 of 5"},
    {"pipelined, the same request, answered one by one",
     {{kC, post("abc") + post("abc")}, {kS, kOk}, {kC, post("abc")}, {kS, kOk}, {kS, kOk}},
     "POST 200: 3 of 9, 3 of 6"},
    {"pipelined, the last one not read to its end",
     {{kC, post("abc") + with_length("PUT / HTTP/1.1", 10) + "abcd"}, {kS, kOk + kOk}},
     "POST 200: 1 of 3, 1 of 2; PUT 200: 1 of 4, 1 of 2"},
    {"reset before the answer: what was sent, and no size of an answer",
     {{kC, with_length("POST /x HTTP/1.1", 10) + "0123"}, {kS, "", kRst}},
     "POST 0: 1 of 4, 0 of 0"},
    {"reset in the middle of the answer: the bytes that had come",
     {{kC, kGet}, {kS, with_length("HTTP/1.1 200 OK", 9) + "abc"}, {kS, "", kRst}},
     "GET 200: 1 of 0, 1 of 3"},
    {"closed in the middle of chunks",
     {{kC, kGet}, {kS, kChunked + "2\r\nab\r\n9\r\nabc"}, {kS, "", kFin}},
     "GET 200: 1 of 0, 1 of 5"},
    {"closed inside a chunk's size",
     {{kC, kGet}, {kS, kChunked + "2\r\nab\r\n9"}, {kS, "", kFin}},
     "GET 200: 1 of 0, 1 of 2"},
    {"three pipelined, one answered, reset",
     {{kC, post("a") + post("ab") + post("abc")}, {kS, kOk}, {kS, "", kRst}},
     "POST 0: 2 of 5, 0 of 0; POST 200: 1 of 1, 1 of 2"},
    {"an upgrade", {{kC, kGet}, {kS, "HTTP/1.1 101 Switching Protocols\r\n\r\nabc"}}, "GET 101: 1 of 0, 1 of 0"},
    {"a length above 32 bits, reset",
     {{kC, kGet}, {kS, with_length("HTTP/1.1 200 OK", 1ULL << 33) + "abc"}, {kS, "", kRst}},
     "GET 200: 1 of 0, 1 of 3"},
    {"a length that nobody can send has no size",
     {{kC, kGet}, {kS, with_length("HTTP/1.1 200 OK", 1ULL << 50) + "abc"}, {kS, "", kRst}},
     "GET 200: 1 of 0, 0 of 0"},
};

// Its tables of sizes have few rows, which other tests' traffic would use up.
const HttpProbe& own_probe()
{
    static const HttpProbe kProbe;
    return kProbe;
}

void play(Connection& connection, const Row& row, bool is_cut)
{
    for (const Step& step : row.steps) {
        const size_t size = step.payload.size(), piece = is_cut && size && size < 1000 ? 1 : size;

        for (size_t at = 0; at == 0 || at < size; at += piece ? piece : 1)
            connection.send(step.side, step.payload.substr(at, piece), at + piece >= size ? step.flags : uint8_t{0});
    }
}

std::string number(uint32_t value)
{
    return {reinterpret_cast<const char*>(&value), sizeof value};
}

} // namespace

TEST_CASE("Sizes of bodies are counted to the byte")
{
    for (const Row& row : kRows)
        for (const bool is_server : {true, false})
            for (const bool is_cut : {false, true}) {
                INFO(row.description << (is_server ? ", at the server" : ", at the client")
                                     << (is_cut ? ", byte by byte" : ""));
                Connection connection(own_probe(), is_server);
                play(connection, row, is_cut);
                CHECK(connection.counted_sizes() == row.sizes);
            }
}

TEST_CASE("Requests keep the sizes of their bodies however deep they are pipelined")
{
    for (const int depth : {8, 9, 10, 11, 60}) {
        Connection connection(own_probe(), true);
        CAPTURE(depth);
        for (int round = 0; round < 2; ++round) {
            std::string asked, answered;
            for (int i = 0; i < depth; ++i)
                asked += i % 3 ? kGet : post(std::string(static_cast<size_t>(i + 1), 'x')), answered += kOk;
            connection.send(kC, asked);
            connection.send(kS, answered);
        }
        const int posts = (depth + 2) / 3, gets = depth - posts, bytes = posts + 3 * posts * (posts - 1) / 2;
        CHECK(connection.counted_sizes() ==
              "GET 200: " + std::to_string(2 * gets) + " of 0, " + std::to_string(2 * gets) + " of " +
                  std::to_string(4 * gets) + "; POST 200: " + std::to_string(2 * posts) + " of " +
                  std::to_string(2 * bytes) + ", " + std::to_string(2 * posts) + " of " + std::to_string(4 * posts));
    }
}

TEST_CASE("What comes out of order or twice counts once")
{
    const std::string body(3000, 'x'), text = answer(body);
    for (const bool is_server : {true, false}) {
        CAPTURE(is_server);
        Connection connection(own_probe(), is_server);
        connection.send(kC, kGet);
        connection.send_at(kS, 0, text.substr(0, 100));
        connection.send_at(kS, 1000, text.substr(1000, 500));
        connection.send_at(kS, 500, text.substr(500, 500));
        connection.send_at(kS, 0, text.substr(0, 100));
        connection.send_at(kS, 100, text.substr(100, 600));
        connection.send_at(kS, 1500, text.substr(1500));
        CHECK(connection.counted_sizes() == "GET 200: 1 of 0, 1 of 3000");
    }
}

TEST_CASE("At a level without sizes these are left out, and of pipelined requests none gets another one's")
{
    constexpr uint8_t kNoSizes = 2 << 4; // LIMPET_LEVEL_NO_SIZES, where a segment has its level
    Connection connection(own_probe(), true);
    connection.send(kC, post("abc") + post("abcdef") + post("a"), kNoSizes);
    connection.send(kS, kOk, kNoSizes);
    CHECK(connection.counted_sizes() == "POST 200: 0 of 0, 0 of 0");
    connection.send(kS, kOk);
    connection.send(kS, kOk);
    CHECK(connection.counted() == "POST 200=3");
    CHECK(connection.counted_sizes() == "POST 200: 2 of 7, 2 of 4");
}

TEST_CASE("Switched off, sizes and first bytes are not counted, and requests are")
{
    const HttpProbe off({{"body_sizes_are_on", number(0)}, {"first_bytes_are_on", number(0)}});
    Connection connection(off, true);
    connection.send(kC, post("abc") + kGet, 0, 5'000'000'000);
    connection.send(kS, kOk + kOk, 0, 5'050'000'000);
    CHECK(connection.counted() == "GET 200=1, POST 200=1");
    CHECK(connection.counted_sizes() == "");
    CHECK(connection.sums_ns("GET 200") == std::pair<uint64_t, uint64_t>{50'000'000, 0});
}

} // namespace limpet::test
