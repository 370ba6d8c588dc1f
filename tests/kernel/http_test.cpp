// SPDX-License-Identifier: Apache-2.0
//
// HTTP/1 on the wire, row by row: what each side sends, and what the probe must have counted then. Every row is run at the
// server's end and at the client's, and once more with every segment cut into single bytes.
#include <ostream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "http_probe.hpp"

namespace limpet::test {
namespace {

struct Row {
    const char* description;
    std::vector<Step> steps;
    std::string counted;
};

const std::string kLong(20000, 'x');

// A header of the PROXY protocol's second version, with the addresses of a TCP connection over IPv4.
const std::string kProxy2("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x7f\0\0\1\x7f\0\0\1\x30\x39\0\x50", 28);
const std::string kProxy1 = "PROXY TCP4 127.0.0.1 127.0.0.1 12345 80\r\n";

const std::vector<Row> kRows = {
    {"one request, one answer", {{kC, kGet}, {kS, kOk}}, "GET 200=1"},
    {"no answer yet", {{kC, kGet}}, ""},
    {"keep-alive", {{kC, kGet}, {kS, kOk}, {kC, kGet}, {kS, kOk}, {kC, kGet}, {kS, kOk}}, "GET 200=3"},
    {"HTTP/1.0 until close",
     {{kC, "GET / HTTP/1.0\r\n\r\n"}, {kS, "HTTP/1.0 200 OK\r\n\r\nbody"}, {kS, "more"}, {kS, "", kFin}},
     "GET 200=1"},
    {"until close with the last bytes and FIN in one segment",
     {{kC, "GET / HTTP/1.0\r\n\r\n"}, {kS, "HTTP/1.0 200 OK\r\n\r\nbody", kFin}},
     "GET 200=1"},
    {"a minor version that does not exist",
     {{kC, "GET / HTTP/1.2\r\nHost: a\r\n\r\n"}, {kS, kOk}, {kC, "GET / HTTP/1.9\n\n"}, {kS, kOk}},
     "GET 200=2"},
    {"head and body apart",
     {{kC, kGet}, {kS, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"}, {kS, "ab"}, {kS, "cd"}},
     "GET 200=1"},
    {"an answer that is not whole yet", {{kC, kGet}, {kS, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc"}}, ""},
    {"POST with a body in its own segments",
     {{kC, "POST /x HTTP/1.1\r\nContent-Length: 10\r\n\r\n"}, {kC, "01234"}, {kC, "56789"}, {kS, kOk}},
     "POST 200=1"},
    {"a body that looks like a request",
     {{kC, "POST /x HTTP/1.1\r\nContent-Length: " + std::to_string(kGet.size()) + "\r\n\r\n"}, {kC, kGet}, {kS, kOk}},
     "POST 200=1"},
    {"a body that looks like an answer",
     {{kC, kGet},
      {kS, "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(kOk.size()) + "\r\n\r\n"},
      {kS, kOk},
      {kC, kGet},
      {kS, "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"}},
     "GET 200=1, GET 404=1"},
    {"an answer to a first line that goes on, and behind its end another request",
     {{kC, "GET /" + kLong},
      {kS, "HTTP/1.1 414 Too Long\r\nContent-Length: 2\r\n\r\n"},
      {kS, "no"},
      {kC, kLong},
      {kC, " HTTP/1.1\r\nHost: a\r\n\r\n" + kGet},
      {kS, kOk}},
     "GET 200=1, GET 414=1"},
    {"an answer to a first line that never ends",
     {{kC, "GET /" + kLong}, {kS, "HTTP/1.1 431 Too Large\r\nConnection: close\r\n\r\n"}, {kS, "", kFin}, {kC, kLong}},
     "GET 431=1"},
    {"an answer without a body to a first line that goes on, and an answer to nobody",
     {{kC, "HEAD /" + kLong},
      {kS, "HTTP/1.1 414 Too Long\r\nContent-Length: 2\r\n\r\n"},
      {kS, kOk},
      {kC, " HTTP/1.1\r\nHost: a\r\n\r\n"}},
     "HEAD 414=1"},
    {"a reset inside an answer to a first line that goes on",
     {{kC, "GET /" + kLong}, {kS, "HTTP/1.1 400 Bad Request\r\nContent-Length: 9\r\n\r\nabc"}, {kC, "", kRst}},
     "GET 400 reset=1"},
    {"an interim answer to a first line that goes on",
     {{kC, "GET /"}, {kS, "HTTP/1.1 103 Early Hints\r\n\r\n"}, {kC, " HTTP/1.1\r\nHost: a\r\n\r\n"}, {kS, kOk}},
     "GET 200=1"},
    {"a first line that goes on, and no answer", {{kC, "GET /" + kLong}, {kC, "", kRst}}, ""},
    {"an early answer while the upload goes on",
     {{kC, "POST /x HTTP/1.1\r\nContent-Length: " + std::to_string(2 * kGet.size()) + "\r\n\r\n"},
      {kC, kGet},
      {kS, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n"},
      {kC, kGet},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=1, POST 413=1"},
    {"eight requests in one segment, eight answers in one segment",
     {{kC, kGet + kGet + kGet + kGet + kGet + kGet + kGet + kGet}, {kS, kOk + kOk + kOk + kOk + kOk + kOk + kOk + kOk}},
     "GET 200=8"},
    {"twelve deep",
     {{kC, kGet + kGet + kGet + kGet + kGet + kGet + kGet + kGet + kGet + kGet + kGet + kGet},
      {kS, kOk + kOk + kOk + kOk + kOk + kOk + kOk + kOk + kOk + kOk + kOk + kOk}},
     "GET 200=12"},
    {"methods keep to their answers when pipelined",
     {{kC, "HEAD / HTTP/1.1\r\n\r\n" + kGet + "DELETE /a HTTP/1.1\r\n\r\n"},
      {kS, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n" + kOk + "HTTP/1.1 204 No Content\r\n\r\n"}},
     "DELETE 204=1, GET 200=1, HEAD 200=1"},
    {"HEAD, 204 and 304 have no body whatever they announce",
     {{kC, "HEAD / HTTP/1.1\r\n\r\n"},
      {kS, "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"},
      {kC, kGet},
      {kS, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"},
      {kC, kGet},
      {kS, "HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=1, GET 204=1, GET 304=1, HEAD 200=1"},
    {"100-continue before the answer",
     {{kC, "PUT /x HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"},
      {kS, "HTTP/1.1 100 Continue\r\n\r\n"},
      {kC, "body"},
      {kS, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"}},
     "PUT 201=1"},
    {"103 early hints and the answer in one segment",
     {{kC, kGet}, {kS, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + kOk}},
     "GET 200=1"},
    {"chunks",
     {{kC, kGet},
      {kS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"},
      {kS, "4\r\nWiki\r\n"},
      {kS, "B;name=value\r\npedia in ch\r\n"},
      {kS, "0\r\n\r\n"},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=2"},
    {"chunks that cross segments anywhere",
     {{kC, kGet},
      {kS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1"},
      {kS, "0\r"},
      {kS, "\n0123456789abcde"},
      {kS, "f\r"},
      {kS, "\n0\r\n"},
      {kS, "\r\n" + kOk},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=2"},
    {"chunks of one byte, many in a segment",
     {{kC, kGet},
      {kS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n1\r\nb\r\n1\r\nc\r\n1\r\nd\r\n0\r\n\r\n"}},
     "GET 200=1"},
    {"trailers",
     {{kC, kGet},
      {kS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n1\r\na\r\n0\r\nContent-Length: 9\r\nX: "
           "y\r\n\r\n"},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=2"},
    {"a chunk that contains an end of chunks",
     {{kC, kGet},
      {kS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nd\r\n0\r\n\r\nHTTP/1.1\r\n"},
      {kS, "0\r\n\r\n"}},
     "GET 200=1"},
    {"a chunked request",
     {{kC, "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
      {kS, kOk},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=1, POST 200=1"},
    {"chunked beats a length",
     {{kC, kGet},
      {kS, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=2"},
    {"names in any case, values with any blanks",
     {{kC, kGet}, {kS, "HTTP/1.1 200 OK\r\nCONTENT-LENGTH: \t 2 \r\n\r\nok"}, {kC, kGet}, {kS, kOk}},
     "GET 200=2"},
    {"names that begin like the ones that matter",
     {{kC, "GET / HTTP/1.1\r\nContent-Length-X: 7\r\nContent-Lengt: 7\r\nTransfer-Encodings: chunked\r\nTransfer: "
           "x\r\nCookie: Content-Length: 5\r\nT\r\nc\r\n\r\n"},
      {kS, kOk},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=2"},
    {"every method",
     {{kC, "PUT / HTTP/1.1\r\n\r\n"},
      {kS, kOk},
      {kC, "OPTIONS * HTTP/1.1\r\n\r\n"},
      {kS, kOk},
      {kC, "TRACE / HTTP/1.1\r\n\r\n"},
      {kS, kOk},
      {kC, "PATCH / HTTP/1.1\r\n\r\n"},
      {kS, kOk},
      {kC, "PROPFIND / HTTP/1.1\r\n\r\n"},
      {kS, kOk},
      {kC, "VERSION-CONTROL / HTTP/1.1\r\n\r\n"},
      {kS, kOk},
      {kC, "get / HTTP/1.1\r\n\r\n"},
      {kS, kOk}},
     "OPTIONS 200=1, PATCH 200=1, PUT 200=1, TRACE 200=1, _OTHER 200=3"},
    {"an absolute target", {{kC, "GET http://a/b?c=d HTTP/1.1\r\n\r\n"}, {kS, kOk}}, "GET 200=1"},
    {"empty lines before a request",
     {{kC, "\r\n\r\n" + kGet}, {kS, kOk}, {kC, "\r\n"}, {kC, kGet}, {kS, kOk}},
     "GET 200=2"},
    {"a PROXY header of version 1", {{kC, kProxy1 + kGet}, {kS, kOk}, {kC, kGet}, {kS, kOk}}, "GET 200=2"},
    {"a PROXY header of version 1 in a segment of its own", {{kC, kProxy1}, {kC, kGet}, {kS, kOk}}, "GET 200=1"},
    {"a PROXY header of version 1 for an unknown client", {{kC, "PROXY UNKNOWN\r\n" + kGet}, {kS, kOk}}, "GET 200=1"},
    {"a PROXY header of version 2", {{kC, kProxy2 + kGet}, {kS, kOk}, {kC, kGet}, {kS, kOk}}, "GET 200=2"},
    {"a PROXY header of version 2 in a segment of its own", {{kC, kProxy2}, {kC, kGet}, {kS, kOk}}, "GET 200=1"},
    {"a PROXY header of version 2 without addresses",
     {{kC, kProxy2.substr(0, 12) + std::string("\x20\0\0\0", 4) + kGet}, {kS, kOk}},
     "GET 200=1"},
    {"a PROXY header of version 2 whose addresses look like a request",
     {{kC, kProxy2.substr(0, 14) + std::string("\0\x1b", 2) + kGet}, {kC, kGet}, {kS, kOk}},
     "GET 200=1"},
    {"a method called PROXY",
     {{kC, "PROXY / HTTP/1.1\r\n\r\n"}, {kS, kOk}, {kC, kGet}, {kS, kOk}},
     "GET 200=1, _OTHER 200=1"},
    {"bare line feeds",
     {{kC, "GET / HTTP/1.1\nHost: a\n\n"}, {kS, "HTTP/1.1 200 OK\nContent-Length: 2\n\nok"}, {kC, kGet}, {kS, kOk}},
     "GET 200=2"},
    {"a long head",
     {{kC, "GET /" + kLong + " HTTP/1.1\r\nCookie: " + kLong + "\r\nContent-Length: 3\r\n\r\nabc"},
      {kS, kOk},
      {kC, kGet},
      {kS, kOk}},
     "GET 200=2"},
    {"a long body",
     {{kC, kGet}, {kS, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n" + kLong}, {kC, kGet}, {kS, kOk}},
     "GET 200=2"},
    {"a target as long as a window",
     {{kC, "GET /" + std::string(240, 'y') + " HTTP/1.1\r\n\r\n"}, {kS, kOk}},
     "GET 200=1"},
    {"a request line without a version, where HTTP was spoken",
     {{kC, kGet}, {kS, kOk}, {kC, "GET /\r\nHost: a\r\n\r\n"}, {kC, "", kRst}},
     "GET 200=1"},
    {"a target as long as a window, without a version",
     {{kC, kGet}, {kS, kOk}, {kC, "GET /" + std::string(260, 'y') + "\r\n\r\n"}, {kC, "", kRst}},
     "GET 200=1"},
    {"reset without an answer", {{kC, kGet}, {kS, "", kRst}}, "GET 0 reset=1"},
    {"reset by the client", {{kC, kGet}, {kC, "", kRst}}, "GET 0 reset=1"},
    {"reset in the middle of the answer",
     {{kC, kGet}, {kS, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"}, {kS, "", kRst}},
     "GET 200 reset=1"},
    {"closed in the middle of the answer",
     {{kC, kGet}, {kS, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"}, {kS, "", kFin}},
     "GET 200 truncated=1"},
    {"closed in the middle of chunks",
     {{kC, kGet},
      {kS, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc"},
      {kS, "", kFin},
      {kC, "", kRst}},
     "GET 200 truncated=1"},
    {"closed inside the status code", {{kC, kGet}, {kS, "HTTP/1.1 20"}, {kS, "", kFin}}, "GET 0 truncated=1"},
    {"closed before the answer", {{kC, kGet}, {kS, "", kFin}}, "GET 0 truncated=1"},
    {"three pipelined, one answered, reset",
     {{kC, kGet + kGet + kGet}, {kS, kOk}, {kS, "", kRst}},
     "GET 0 reset=2, GET 200=1"},
    {"half-close by the client, then the answer", {{kC, kGet, kFin}, {kS, kOk}, {kS, "", kFin}}, "GET 200=1"},
    {"both close after the answer", {{kC, kGet}, {kS, kOk}, {kS, "", kFin}, {kC, "", kFin}}, "GET 200=1"},
    {"an answer that nobody asked for",
     {{kC, kGet}, {kS, kOk}, {kS, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"}, {kS, "", kFin}},
     "GET 200=1"},
};

// Protocols that are not HTTP/1, or stop being it: after the steps the connection must be nobody's business.
const std::vector<Row> kForeignRows = {
    {"a protocol that greets first", {{kS, "220 mail ESMTP\r\n"}, {kC, "EHLO a\r\n"}}, ""},
    {"a request without a version", {{kC, "GET key\r\n"}, {kS, "$-1\r\n"}}, ""},
    {"RTSP", {{kC, "OPTIONS rtsp://a RTSP/1.0\r\nCSeq: 1\r\n\r\n"}, {kS, "RTSP/1.0 200 OK\r\n\r\n"}}, ""},
    {"a second PROXY header's signature that goes wrong", {{kC, kProxy2.substr(0, 11) + "?" + kGet}}, ""},
    {"a line of PROXY without HTTP", {{kC, kProxy1 + "EHLO a\r\n"}}, ""},
    {"binary",
     {{kC, std::string("\x16\x02\x01\x02\x00\x01\x00", 7)}, {kS, std::string("\x00\x03\x03\x00\x7a", 5)}},
     ""},
    {"a request that is answered in another protocol", {{kC, kGet}, {kS, "+OK\r\n"}, {kS, "", kFin}}, ""},
};

enum class Cut { kNot, kIntoBytes };

Connection play(const Row& row, bool is_server, Cut cut)
{
    Connection connection(probe(), is_server);

    for (const Step& step : row.steps) {
        if (cut == Cut::kNot || step.payload.size() > 1000 || step.payload.empty()) {
            connection.send(step.side, step.payload, step.flags);
            continue;
        }
        for (size_t at = 0; at < step.payload.size(); ++at)
            connection.send(step.side, step.payload.substr(at, 1),
                            at + 1 == step.payload.size() ? step.flags : uint8_t{0});
    }
    return connection;
}

} // namespace

TEST_CASE("HTTP/1 traffic is counted by method, status and error")
{
    for (const Row& row : kRows)
        for (const bool is_server : {true, false})
            for (const Cut cut : {Cut::kNot, Cut::kIntoBytes}) {
                INFO(row.description << (is_server ? ", at the server" : ", at the client")
                                     << (cut == Cut::kNot ? "" : ", byte by byte"));
                CHECK(play(row, is_server, cut).counted() == row.counted);
            }
}

TEST_CASE("What is not HTTP/1 is not counted and not claimed")
{
    for (const Row& row : kForeignRows)
        for (const bool is_server : {true, false}) {
            INFO(row.description << (is_server ? ", at the server" : ", at the client"));
            const Connection connection = play(row, is_server, Cut::kNot);
            CHECK(connection.counted() == "");
            CHECK(connection.verdict() == 0);
        }
}

TEST_CASE("An upgrade and a tunnel count once and end the parser's interest")
{
    const std::vector<Row> rows = {
        {"101",
         {{kC, "GET /ws HTTP/1.1\r\nUpgrade: websocket\r\n\r\n"},
          {kS, "HTTP/1.1 101 Switching Protocols\r\n\r\n"},
          {kC, kGet},
          {kS, kOk}},
         "GET 101=1"},
        {"CONNECT",
         {{kC, "CONNECT a:443 HTTP/1.1\r\n\r\n"}, {kS, "HTTP/1.1 200 OK\r\n\r\n"}, {kC, kGet}, {kS, kOk}},
         "CONNECT 200=1"},
    };
    for (const Row& row : rows)
        for (const bool is_server : {true, false}) {
            INFO(row.description);
            const Connection connection = play(row, is_server, Cut::kNot);
            CHECK(connection.counted() == row.counted);
            CHECK(connection.verdict() == 255);
        }
}

TEST_CASE("What is known to be HTTP/2 or TLS is told, and is nobody's business")
{
    struct Told {
        const char* description;
        std::string first_bytes;
        uint32_t stat;
    };
    const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const std::string tls("\x16\x03\x01\x02\x00\x01\x00", 7);
    const std::vector<Told> rows = {
        {"HTTP/2 with prior knowledge", preface, kUnseenHandedOff},
        {"HTTP/2 behind a PROXY header", kProxy1 + preface, kUnseenHandedOff},
        {"TLS behind a PROXY header of version 1", kProxy1 + tls, kUnseenEncrypted},
        {"TLS behind a PROXY header of version 2", kProxy2 + tls, kUnseenEncrypted},
    };
    for (const Told& row : rows)
        for (const bool is_server : {true, false}) {
            INFO(row.description);
            const uint64_t before = probe().stat(row.stat);
            Connection connection(probe(), is_server);
            connection.send(kC, row.first_bytes);
            connection.send(kC, kGet);
            connection.send(kS, kOk);
            CHECK(connection.counted() == "");
            CHECK(connection.verdict() == 255);
            CHECK(probe().stat(row.stat) - before == 1);
        }
}

} // namespace limpet::test
