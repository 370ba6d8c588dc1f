// SPDX-License-Identifier: Apache-2.0
//
// The http probe's parsers under BPF_PROG_TEST_RUN: segments go in as the tap would hand them over, counts come out of the
// series tables. Needs root. One object per process, many connections; single-threaded.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include <limpet/connection.h>

#include "loaded_probe.hpp"

namespace limpet::test {

enum class From { kClient, kServer };

constexpr uint8_t kFin = 1; // LIMPET_SEGMENT_FIN
constexpr uint8_t kRst = 2; // LIMPET_SEGMENT_RST

// Of enum limpet_stat.
constexpr uint32_t kUnseenEncrypted = 5;
constexpr uint32_t kUnseenDesync = 6;
constexpr uint32_t kUnseenLimit = 7;
constexpr uint32_t kUnseenHandedOff = 8;

// The probe's BPF object, from the built http.so, loaded on its own. Throws std::runtime_error with the reason.
class HttpProbe : public LoadedProbe {
public:
    explicit HttpProbe(const Variables& variables = {}) : LoadedProbe("http", variables) {}

    // One kind of request: how many, and the sums of their times in nanoseconds.
    struct Requests {
        uint64_t count = 0;
        uint64_t duration_ns = 0;
        uint64_t first_byte_ns = 0;
    };

    // Requests of one workload by "GET 200" or "GET 0 reset". `table`: http_server or http_client.
    [[nodiscard]] std::map<std::string, Requests> requests(const char* table, uint32_t workload) const;

    // How many bodies of requests and responses of one workload, and their bytes together, by "GET 200".
    struct Sizes {
        uint64_t requests = 0, request_bytes = 0, responses = 0, response_bytes = 0;
    };
    [[nodiscard]] std::map<std::string, Sizes> sizes(const std::string& table, uint32_t workload) const;

    // How many by label http_route; "" stands for no label.
    [[nodiscard]] std::map<std::string, uint64_t> routes(const char* table, uint32_t workload) const;
};

// One end of one connection, with a workload of its own so that its counts stand alone.
class Connection {
public:
    // `is_server`: segments of the client come in at the ingress parser. Else they go out at the egress parser.
    Connection(const HttpProbe& probe, bool is_server);

    // The next segment of one side, in order. Payloads longer than a test packet are cut into several.
    void send(From side, std::string_view payload, uint8_t flags = 0, uint64_t time_ns = 0);

    // A segment at a place of its own: `offset` counts from the side's first byte.
    void send_at(From side, uint32_t offset, std::string_view payload, uint8_t flags = 0, uint64_t time_ns = 0);

    // The side's next bytes do not come by themselves: the program at the other end has dealt with them.
    void pass_over(From side, size_t bytes) { sent_[side == From::kServer] += static_cast<uint32_t>(bytes); }
    // Where the side's next byte stands.
    [[nodiscard]] uint32_t next_sequence(From side) const { return kFirstSequence + sent_[side == From::kServer]; }

    // What was counted for this connection, by "GET 200" or "GET 0 reset".
    [[nodiscard]] std::map<std::string, HttpProbe::Requests> requests() const
    {
        return probe_.requests(table(), workload_);
    }

    // The same in one line: "GET 200=2, HEAD 404=1"; "" for nothing.
    [[nodiscard]] std::string counted() const;

    // The same by route: "/user/{id}=2, other=1".
    [[nodiscard]] std::string counted_routes() const;

    // Sizes of bodies, in one line: "GET 200: 2 of 0, 2 of 4; …": requests and their bytes, responses and their bytes.
    [[nodiscard]] std::string counted_sizes() const;

    // Sums of duration and time to first byte, in nanoseconds, of the requests counted as `name`.
    [[nodiscard]] std::pair<uint64_t, uint64_t> sums_ns(const std::string& name) const;

    // The slot goes to a new connection: the sides start again at their first byte.
    void take_slot_anew();

    // The slot's whole content.
    [[nodiscard]] limpet_connection state() const;
    void set_state(const limpet_connection& state);

    // What the parsers think of the connection: 0 undecided, 1 theirs, 255 nobody's.
    [[nodiscard]] int verdict() const;

    [[nodiscard]] uint32_t slot() const { return slot_; }

    static constexpr uint32_t kFirstSequence = 0xfffffff0; // wraps around early in every test

private:
    [[nodiscard]] const char* table() const { return is_server_ ? "http_server" : "http_client"; }

    const HttpProbe& probe_;
    bool is_server_;
    uint32_t slot_;
    uint16_t workload_;
    uint32_t sent_[2] = {0, 0};
};

// The one object of this process.
const HttpProbe& probe();

constexpr From kC = From::kClient;
constexpr From kS = From::kServer;

// What one side sends, in one segment.
struct Step {
    From side;
    std::string payload;
    uint8_t flags = 0;
};
inline const std::string kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
inline const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

} // namespace limpet::test
