// SPDX-License-Identifier: Apache-2.0
#include "dns_probe.hpp"

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>

#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/ip6.h>
#include <netinet/udp.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <limpet/connection.h>

#include "packet.hpp"

namespace limpet::test {

namespace {

constexpr uint32_t kHistogramWords = 24; // sum and 23 buckets, see limpet/histogram.bpf.h
constexpr uint32_t kQueries = 4096;
constexpr size_t kNameBytes = 256;
constexpr uint32_t kFirstSequence = 0xfffffff0; // wraps around early
constexpr uint32_t kEgress = 8;                 // LIMPET_SEGMENT_EGRESS, LIMPET_DATAGRAM_EGRESS

struct LookupKey {
    uint16_t workload;
    uint16_t name;
    uint16_t type;
    uint8_t code;
    uint8_t error;
};

struct ServerKey {
    uint16_t workload;
    uint8_t type;
    uint8_t code;
};

struct Query {
    uint64_t key;
    uint64_t since_ns;
    uint64_t rest[2];
};

template <typename Key, typename Visit>
void for_each_key(int map_fd, Visit visit)
{
    Key key{};
    Key previous{};
    for (bool is_first = true; bpf_map_get_next_key(map_fd, is_first ? nullptr : &previous, &key) == 0;
         is_first = false) {
        previous = key;
        visit(key);
    }
}

uint64_t count_in_row(int rows_fd, uint32_t row)
{
    uint64_t words[kHistogramWords] = {};
    if (bpf_map_lookup_elem(rows_fd, &row, words))
        throw failure("read a row");
    uint64_t count = 0;
    for (uint32_t bucket = 1; bucket < kHistogramWords; ++bucket)
        count += words[bucket];
    return count;
}

std::string joined(const std::map<std::string, uint64_t>& counts)
{
    std::string text;
    for (const auto& [what, count] : counts)
        text += (text.empty() ? "" : ", ") + what + "=" + std::to_string(count);
    return text;
}

std::string code_text(uint8_t code)
{
    return code ? std::to_string(code - 1) : "timeout";
}

// Ethernet, IP, UDP and payload; between 192.0.2.1 or 2001:db8::1 and port 53 of the other end, or of a multicast group.
std::vector<unsigned char> udp_packet(std::string_view payload, bool is_ipv6, bool is_multicast)
{
    const size_t ip_bytes = is_ipv6 ? sizeof(ip6_hdr) : sizeof(iphdr);
    std::vector<unsigned char> bytes(sizeof(ethhdr) + ip_bytes + sizeof(udphdr) + payload.size());
    const auto udp_bytes = static_cast<uint16_t>(sizeof(udphdr) + payload.size());
    ethhdr ethernet{};
    iphdr ip{};
    ip6_hdr ip6{};
    udphdr udp{};

    ethernet.h_proto = htons(is_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
    ip.version = 4;
    ip.ihl = 5;
    ip.protocol = IPPROTO_UDP;
    ip.tot_len = htons(static_cast<uint16_t>(sizeof(iphdr) + udp_bytes));
    ip.saddr = htonl(0xc0000201);
    ip.daddr = htonl(is_multicast ? 0xe00000fb : 0xc0000202);
    ip6.ip6_vfc = 6 << 4;
    ip6.ip6_plen = htons(udp_bytes);
    ip6.ip6_nxt = IPPROTO_UDP;
    ip6.ip6_dst.s6_addr[0] = is_multicast ? 0xff : 0x20;
    udp.source = htons(40000);
    udp.dest = htons(53);
    udp.len = htons(udp_bytes);

    unsigned char* end = bytes.data();
    const auto append = [&end](const void* data, size_t size) {
        end = static_cast<unsigned char*>(__builtin_memcpy(end, data, size)) + size;
    };
    append(&ethernet, sizeof ethernet);
    if (is_ipv6)
        append(&ip6, sizeof ip6);
    else
        append(&ip, sizeof ip);
    append(&udp, sizeof udp);
    append(payload.data(), payload.size());
    return bytes;
}

} // namespace

std::string DnsProbe::lookups(uint32_t workload) const
{
    std::map<std::string, uint64_t> counts;
    for_each_key<LookupKey>(map_fd("dns_lookup_index"), [&](const LookupKey& key) {
        if (key.workload != workload)
            return;
        uint32_t row = 0;
        const uint32_t name = key.name;
        char text[kNameBytes + 1] = "other";
        if (bpf_map_lookup_elem(map_fd("dns_lookup_index"), &key, &row) ||
            (name && bpf_map_lookup_elem(map_fd("question_texts"), &name, text)))
            throw failure("read a row of dns_lookup");
        counts[std::string(text) + " " + std::to_string(key.type) + " " + code_text(key.code)] +=
            count_in_row(map_fd("dns_lookup_rows"), row);
    });
    return joined(counts);
}

std::string DnsProbe::served(uint32_t workload) const
{
    std::map<std::string, uint64_t> counts;
    for_each_key<ServerKey>(map_fd("dns_server_index"), [&](const ServerKey& key) {
        uint32_t row = 0;
        if (key.workload != workload)
            return;
        if (bpf_map_lookup_elem(map_fd("dns_server_index"), &key, &row))
            throw failure("read a row of dns_server");
        counts[std::to_string(key.type) + " " + code_text(key.code)] += count_in_row(map_fd("dns_server_rows"), row);
    });
    return joined(counts);
}

std::string DnsProbe::totals(uint32_t workload) const
{
    uint64_t words[3] = {};
    uint32_t row = 0;
    if (bpf_map_lookup_elem(map_fd("dns_workload_index"), &workload, &row) == 0 &&
        bpf_map_lookup_elem(map_fd("dns_workload_rows"), &row, words))
        throw failure("read a row of dns_workload");
    return std::to_string(words[0]) + " " + std::to_string(words[1]) + " " + std::to_string(words[2]);
}

std::string DnsProbe::name_of(std::string_view address) const
{
    char name[128] = {};
    return bpf_map_lookup_elem(map_fd("limpet_names"), address.data(), name) ? "" : name;
}

void DnsProbe::tick_after(uint64_t ns) const
{
    for (uint32_t slot = 0; slot < kQueries; ++slot) {
        Query query{};
        if (bpf_map_lookup_elem(map_fd("queries"), &slot, &query))
            throw failure("read a query");
        query.since_ns -= query.key ? ns : 0;
        if (query.key && bpf_map_update_elem(map_fd("queries"), &slot, &query, BPF_ANY))
            throw failure("write a query");
    }
    run_program(program_fd("on_tick"), std::vector<unsigned char>(64), __sk_buff{}, 0);
}

void DnsProbe::datagram(uint32_t workload, std::string_view payload, bool is_egress, bool is_ipv6,
                        bool is_multicast) const
{
    __sk_buff context{};
    context.cb[0] = workload;
    context.cb[1] = (is_ipv6 ? 48U : 28U) | (is_egress ? kEgress : 0U) << 16;
    context.cb[2] = static_cast<uint32_t>(payload.size());
    context.cb[3] = is_egress ? 40000U << 16 | 53 : 53U << 16 | 40000;
    run_program(program_fd("on_datagram"), udp_packet(payload, is_ipv6, is_multicast), context, 1);
}

const DnsProbe& dns_probe()
{
    static const DnsProbe kProbe;
    return kProbe;
}

DnsConnection::DnsConnection(bool is_server) : is_server_(is_server)
{
    static uint16_t next = 0;

    workload_ = ++next;
    slot_ = next;
    limpet_connection connection{};
    connection.head.cookie = slot_ * 8ULL;
    connection.head.workload = workload_;
    connection.head.verdict = 1;
    if (bpf_map_update_elem(dns_probe().map_fd("limpet_connections"), &slot_, &connection, BPF_ANY))
        throw failure("write limpet_connections");
}

void DnsConnection::send(std::string_view bytes, bool is_from_server)
{
    send_at(sent_[is_from_server], bytes, is_from_server);
    sent_[is_from_server] += static_cast<uint32_t>(bytes.size());
}

void DnsConnection::send_at(uint32_t offset, std::string_view bytes, bool is_from_server)
{
    __sk_buff context{};
    set_segment(context, slot_, bytes.size(), is_server_ == is_from_server ? kEgress : 0, kFirstSequence + offset, 0);
    run_program(dns_probe().program_fd("on_segment"), tcp_packet(bytes, kFirstSequence + offset, is_from_server),
                context, 1);
}

std::string DnsConnection::counted() const
{
    return is_server_ ? dns_probe().served(workload_) : dns_probe().lookups(workload_);
}

} // namespace limpet::test
