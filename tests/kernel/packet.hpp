// SPDX-License-Identifier: Apache-2.0
//
// Packets as BPF_PROG_TEST_RUN takes them: Ethernet, IPv4, TCP, payload. For kernel tests; values, no threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>

namespace limpet::test {

constexpr size_t kHeadersBytes = sizeof(iphdr) + sizeof(tcphdr);

// A segment from 192.0.2.1:40000 to 192.0.2.2:80, or back when `is_reply`.
inline std::vector<unsigned char> tcp_packet(std::string_view payload, uint32_t sequence, bool is_reply)
{
    std::vector<unsigned char> bytes(sizeof(ethhdr) + kHeadersBytes + payload.size());
    ethhdr ethernet{};
    iphdr ip{};
    tcphdr tcp{};

    ethernet.h_proto = htons(ETH_P_IP);
    ip.version = 4;
    ip.ihl = 5;
    ip.protocol = IPPROTO_TCP;
    ip.tot_len = htons(static_cast<uint16_t>(kHeadersBytes + payload.size()));
    ip.saddr = htonl(is_reply ? 0xc0000202 : 0xc0000201);
    ip.daddr = htonl(is_reply ? 0xc0000201 : 0xc0000202);
    tcp.source = htons(is_reply ? 80 : 40000);
    tcp.dest = htons(is_reply ? 40000 : 80);
    tcp.doff = 5;
    tcp.seq = htonl(sequence);

    unsigned char* end = bytes.data();
    const auto append = [&end](const void* data, size_t size) {
        end = static_cast<unsigned char*>(__builtin_memcpy(end, data, size)) + size;
    };
    append(&ethernet, sizeof ethernet);
    append(&ip, sizeof ip);
    append(&tcp, sizeof tcp);
    append(payload.data(), payload.size());
    return bytes;
}

// What the tap hands a parser of streams: limpet_segment_of of limpet/stream.bpf.h, the other way round.
inline void set_segment(__sk_buff& context, uint32_t slot, size_t length, uint32_t flags, uint32_t sequence,
                        uint64_t time_ns)
{
    context.cb[0] = slot | static_cast<uint32_t>(kHeadersBytes) << 16;
    context.cb[1] = static_cast<uint32_t>(length) | flags << 24;
    context.cb[2] = sequence;
    context.cb[3] = static_cast<uint32_t>(time_ns);
    context.cb[4] = static_cast<uint32_t>(time_ns >> 32);
}

} // namespace limpet::test
