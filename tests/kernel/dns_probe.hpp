// SPDX-License-Identifier: Apache-2.0
//
// The dns probe's programs under BPF_PROG_TEST_RUN: segments and datagrams go in as the tap would hand them over, counts come
// out of the series tables. Needs root. One object per process; single-threaded.
//
// Each run of a test has a socket of its own, so a query and its answer can only meet over TCP, where the tap's slot says which
// connection it is. What a message means is the same for both.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "loaded_probe.hpp"

namespace limpet::test {

// The probe's BPF object, from the built dns.so, loaded on its own. Throws std::runtime_error with the reason.
class DnsProbe : public LoadedProbe {
public:
    DnsProbe() : LoadedProbe("dns") {}

    // "n.test 1 NOERROR=2, …": name, type's number, code's number ("timeout" where there is none), count; sorted. Of a server
    // without the name.
    [[nodiscard]] std::string lookups(uint32_t workload) const;
    [[nodiscard]] std::string served(uint32_t workload) const;
    // "retries malformed truncated".
    [[nodiscard]] std::string totals(uint32_t workload) const;
    // The name offered for this address of 16 bytes; "" for none.
    [[nodiscard]] std::string name_of(std::string_view address) const;
    // All queries in flight become older by this much; then the agent's regular look at them.
    void tick_after(uint64_t ns) const;

    // Runs on_datagram on one datagram of IPv4 or IPv6 to (or from) port 53; throws when it does not let it pass.
    void datagram(uint32_t workload, std::string_view payload, bool is_egress, bool is_ipv6,
                  bool is_multicast = false) const;
};

// The one object of this process.
const DnsProbe& dns_probe();

// A TCP connection at one end, with a workload of its own.
class DnsConnection {
public:
    explicit DnsConnection(bool is_server);

    // The next bytes of one side, as one segment.
    void client_sends(std::string_view bytes) { send(bytes, false); }
    void server_sends(std::string_view bytes) { send(bytes, true); }
    // The same at a place of its own, counted from the side's first byte.
    void send_at(uint32_t offset, std::string_view bytes, bool is_from_server);

    // What was counted, of this end's side.
    [[nodiscard]] std::string counted() const;
    [[nodiscard]] std::string totals() const { return dns_probe().totals(workload_); }

private:
    void send(std::string_view bytes, bool is_from_server);

    bool is_server_;
    uint32_t slot_;
    uint16_t workload_;
    uint32_t sent_[2] = {0, 0};
};

} // namespace limpet::test
