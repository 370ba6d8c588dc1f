// SPDX-License-Identifier: Apache-2.0
#include "http_probe.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <vector>

#include <fcntl.h>
#include <linux/bpf.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <limpet/connection.h>

#include "packet.hpp"

namespace limpet::test {

namespace {

constexpr uint32_t kHistogramWords = 24; // sum and 23 buckets, see limpet/histogram.bpf.h
constexpr size_t kSegmentBytes = 3000;   // BPF_PROG_TEST_RUN takes less than a page
constexpr uint8_t kTries = 4;            // TRIES_IF_FRESH in connection_table.bpf.h
constexpr uint32_t kUndecided = 4;       // LIMPET_SEGMENT_UNDECIDED
constexpr uint32_t kEgress = 8;          // LIMPET_SEGMENT_EGRESS
const char* const kMethods[] = {"_OTHER", "GET",     "HEAD",    "POST",  "PUT",
                                "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"};
const char* const kErrors[] = {"", " reset", " timeout", " truncated"};

// The part that the keys of both tables begin with.
struct KeyHead {
    uint16_t workload;
    uint16_t route;
    uint16_t status;
    uint8_t method;
    uint8_t error;
};

// The key of sizes.
struct SizesKey {
    uint16_t workload;
    uint16_t status;
    uint32_t method;
};

// Visits the rows of one workload: visit(what the key begins with, the words of its two histograms). Of three the last one is
// added to both, as the agent does (plus= in http_series.bpf.h).
template <typename KeyHead, size_t kHistograms, typename Visit>
void for_each_row(const HttpProbe& probe, const std::string& table, uint32_t workload, Visit visit)
{
    const int index = probe.map_fd((table + "_index").c_str()), rows = probe.map_fd((table + "_rows").c_str());
    std::vector<unsigned char> key(28), previous(28);
    bool is_first = true;

    while (bpf_map_get_next_key(index, is_first ? nullptr : previous.data(), key.data()) == 0) {
        is_first = false;
        previous = key;
        KeyHead head{};
        __builtin_memcpy(&head, key.data(), sizeof head);
        if (head.workload != workload)
            continue;
        uint32_t row = 0; // a generation is above the number
        std::vector<uint64_t> words(kHistograms * kHistogramWords);
        if (bpf_map_lookup_elem(index, key.data(), &row))
            throw failure("read the index of " + table);
        row &= 0x1ffff;
        if (bpf_map_lookup_elem(rows, &row, words.data()))
            throw failure("read a row of " + table);
        for (size_t i = 2 * kHistogramWords; i < words.size(); ++i) {
            words[i - kHistogramWords] += words[i];
            words[i - 2 * kHistogramWords] += words[i];
        }
        visit(head, words);
    }
}

// Of the row's first or second histogram.
uint64_t count_of(const std::vector<uint64_t>& words, int histogram = 0)
{
    const auto begin = words.begin() + histogram * static_cast<int>(kHistogramWords);
    return std::accumulate(begin + 1, begin + kHistogramWords, uint64_t{0});
}

template <typename Counts, typename CountOf>
std::string listed(const Counts& counts, CountOf count_of)
{
    std::string text;
    for (const auto& [name, count] : counts)
        text += (text.empty() ? "" : ", ") + name + "=" + std::to_string(count_of(count));
    return text;
}

} // namespace

std::map<std::string, HttpProbe::Requests> HttpProbe::requests(const char* table, uint32_t workload) const
{
    std::map<std::string, Requests> result;
    for_each_row<KeyHead, 3>(*this, table, workload, [&](const KeyHead& head, const std::vector<uint64_t>& words) {
        Requests& requests =
            result[std::string(kMethods[head.method]) + " " + std::to_string(head.status) + kErrors[head.error]];
        requests.count += count_of(words);
        requests.duration_ns += words[0];
        requests.first_byte_ns += words[kHistogramWords];
    });
    return result;
}

std::map<std::string, HttpProbe::Sizes> HttpProbe::sizes(const std::string& table, uint32_t workload) const
{
    std::map<std::string, Sizes> result;
    for_each_row<SizesKey, 2>(*this, table, workload, [&](const SizesKey& key, const std::vector<uint64_t>& words) {
        result[std::string(kMethods[key.method]) + " " + std::to_string(key.status)] = {
            count_of(words), words[0], count_of(words, 1), words[kHistogramWords]};
    });
    return result;
}

std::map<std::string, uint64_t> HttpProbe::routes(const char* table, uint32_t workload) const
{
    std::map<std::string, uint64_t> result;
    for_each_row<KeyHead, 3>(*this, table, workload, [&](const KeyHead& head, const std::vector<uint64_t>& words) {
        const uint32_t number = head.route;
        char text[128] = {};
        if (bpf_map_lookup_elem(map_fd("route_texts"), &number, text))
            throw failure("read route_texts");
        result[number == 0 ? "other" : std::string(text, strnlen(text, sizeof text))] += count_of(words);
    });
    return result;
}

const HttpProbe& probe()
{
    static const HttpProbe kProbe;
    return kProbe;
}

Connection::Connection(const HttpProbe& probe, bool is_server) : probe_(probe), is_server_(is_server)
{
    static uint16_t next = 0;

    workload_ = ++next;
    slot_ = next;
    take_slot_anew();
}

void Connection::send(From side, std::string_view payload, uint8_t flags, uint64_t time_ns)
{
    do {
        const std::string_view piece = payload.substr(0, kSegmentBytes);
        payload.remove_prefix(piece.size());
        send_at(side, sent_[side == From::kServer], piece, payload.empty() ? flags : 0, time_ns);
        sent_[side == From::kServer] += static_cast<uint32_t>(piece.size());
    } while (!payload.empty());
}

void Connection::send_at(From side, uint32_t offset, std::string_view payload, uint8_t flags, uint64_t time_ns)
{
    const bool is_ingress = (side == From::kClient) == is_server_;
    const int owner = verdict();
    if (owner == 255)
        return; // the tap would not call the parser
    const std::vector<unsigned char> packet = tcp_packet(payload, kFirstSequence + offset, side == From::kServer);
    __sk_buff context{};
    const uint32_t all_flags = flags | (owner == 0 ? kUndecided : 0) | (is_ingress ? 0 : kEgress);
    set_segment(context, slot_, payload.size(), all_flags, kFirstSequence + offset, time_ns);
    run_program(probe_.program_fd("on_segment"), packet, context, 1);
}

std::string Connection::counted() const
{
    return listed(requests(), [](const HttpProbe::Requests& requests) { return requests.count; });
}

std::string Connection::counted_routes() const
{
    return listed(probe_.routes(table(), workload_), [](uint64_t count) { return count; });
}

std::string Connection::counted_sizes() const
{
    std::string text;
    for (const auto& [name, sizes] : probe_.sizes(table() + std::string("_sizes"), workload_))
        text += (text.empty() ? "" : "; ") + name + ": " + std::to_string(sizes.requests) + " of " +
                std::to_string(sizes.request_bytes) + ", " + std::to_string(sizes.responses) + " of " +
                std::to_string(sizes.response_bytes);
    return text;
}

std::pair<uint64_t, uint64_t> Connection::sums_ns(const std::string& name) const
{
    const HttpProbe::Requests requests = this->requests().at(name);

    return {requests.duration_ns, requests.first_byte_ns};
}

void Connection::take_slot_anew()
{
    limpet_connection connection{};

    connection.head.cookie = slot_;
    connection.head.tries = kTries;
    connection.head.workload = workload_;
    sent_[0] = sent_[1] = 0;
    set_state(connection);
}

limpet_connection Connection::state() const
{
    limpet_connection connection{};

    if (bpf_map_lookup_elem(probe_.map_fd("limpet_connections"), &slot_, &connection))
        throw failure("read limpet_connections");
    return connection;
}

void Connection::set_state(const limpet_connection& state)
{
    if (bpf_map_update_elem(probe_.map_fd("limpet_connections"), &slot_, &state, BPF_ANY))
        throw failure("write limpet_connections");
}

int Connection::verdict() const
{
    return state().head.verdict;
}

} // namespace limpet::test
