// SPDX-License-Identifier: Apache-2.0
//
// The tcp probe's programs on the running kernel, without the agent, on sockets of the test's own: with the calls of
// sockops, and with the tracepoint that stands in for them. Needs root.
#include <array>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <bpf/bpf.h>
#include <catch2/catch.hpp>

#include "bpf_object.hpp"
#include "host_checks.hpp"
#include "manifest.hpp"
#include "owned_fd.hpp"
#include "probe_object.hpp"
#include "taken.hpp"
#include "tcp_sockets.hpp"

namespace limpet::test {
namespace {

constexpr uint32_t kDestinations = 1024;
constexpr uint32_t kListenAddresses = 512;

// struct traffic, tcp_client_row and tcp_server_row (plugins/tcp/tcp_series.bpf.h).
struct Traffic {
    int64_t connections = 0;
    uint64_t sent = 0;
    uint64_t received = 0;
    uint64_t retransmits = 0;
    uint64_t resets_sent = 0;
    uint64_t resets_received = 0;
    int64_t rtt_sum = 0;
    int64_t rtt_sockets = 0;
};

struct ClientRow {
    Traffic traffic;
    std::array<uint64_t, 7> results{}; // ok, refused, timeout, reset, unreachable, cancelled, other
    uint64_t duration_sum = 0;
    std::array<uint64_t, 23> durations{};
};
static_assert(sizeof(ClientRow) == 312);

struct ServerRow {
    Traffic traffic;
    uint64_t accepts = 0;
    int64_t listeners = 0;
    int64_t queue_length = 0;
    int64_t queue_limit = 0;
    uint64_t drops = 0;
};
static_assert(sizeof(ServerRow) == 104);

struct KeySlot {
    uint32_t workload;
    std::array<uint8_t, 16> address;
    uint16_t port;
    uint16_t zero;
    uint32_t used;
    uint32_t generation;
    uint32_t link;
};

// The probe's object, attached to the running kernel for as long as it lives.
class TcpProbe {
public:
    // `left_out`: the program for a socket's states that is not used, of on_socket_event and on_set_state.
    explicit TcpProbe(const std::string& left_out)
        : sections_(read_sections()), object_(taken(BpfObject::open(sections_.bpf_object, "tcp"))),
          cgroup_(
              checked(::open(read_host_facts({}).cgroup_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), "cgroup2"))
    {
        const std::array<uint64_t, 32> bounds = counted_bounds({1e-3, 1e-2, 1e-1}, 1e9);
        std::memcpy(object_.variable("connect_duration_bounds").data(), bounds.data(), sizeof(bounds));
        taken(object_.resize_map("limpet_stats", possible_cpus()));
        object_.disable_program(left_out);
        object_.disable_program("on_socket"); // iter/tcp; iter/task_file does the same
        taken(object_.load());
        for (const std::string& program : object_.program_names())
            taken(object_.attach(program, cgroup_.get()));
    }

    void look() { taken(object_.run_iterator("on_file")); }

    [[nodiscard]] ClientRow client(const sockaddr_in& destination) const
    {
        return row_of<ClientRow>("tcp_clients", kDestinations, destination);
    }

    [[nodiscard]] ServerRow server(const sockaddr_in& address) const
    {
        return row_of<ServerRow>("tcp_servers", kListenAddresses, address);
    }

private:
    static PluginSections read_sections()
    {
        const std::string path = LIMPET_BUILD_DIR "/plugins/tcp.so";
        const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        return taken(read_plugin_sections(file.get(), path));
    }

    template <typename T>
    T element(const std::string& map, uint32_t index) const
    {
        T value{};
        checked(bpf_map_lookup_elem(object_.map_fd(map), &index, &value), map.c_str());
        return value;
    }

    // All zeroes while there is none.
    template <typename Row>
    Row row_of(const std::string& table, uint32_t rows, const sockaddr_in& address) const
    {
        for (uint32_t number = 1; number < rows; ++number) {
            const auto slot = element<KeySlot>(table + "_keys", number);
            if (slot.used && slot.port == ntohs(address.sin_port) &&
                std::memcmp(slot.address.data() + 12, &address.sin_addr, 4) == 0)
                return element<Row>(table + "_rows", number);
        }
        return {};
    }

    PluginSections sections_;
    BpfObject object_;
    OwnedFd cgroup_;
};

const std::string kSockops = "on_socket_event";
const std::string kTracepoint = "on_set_state";
const std::array<std::string, 2> kLeftOut = {kTracepoint, kSockops};

// A connection between two ends here.
struct Dialogue {
    const char* description;
    std::function<void(Pair&)> what;
    Traffic client; // of which connections, sent, received and resets are compared; the server's is its mirror
};

void check_traffic(const Traffic& client, const Traffic& server, const Traffic& expected)
{
    CHECK(client.rtt_sockets == expected.connections);
    CHECK(std::pair(client.sent, client.received) == std::pair(expected.sent, expected.received));
    CHECK(std::pair(server.received, server.sent) == std::pair(expected.sent, expected.received));
    CHECK(std::pair(client.resets_sent, client.resets_received) ==
          std::pair(expected.resets_sent, expected.resets_received));
    CHECK(std::pair(server.resets_received, server.resets_sent) ==
          std::pair(expected.resets_sent, expected.resets_received));
}

void check_dialogue(TcpProbe& probe, const Dialogue& dialogue, bool has_durations)
{
    const Listener listener(8);
    Pair ends = connected_pair(listener);
    dialogue.what(ends);
    CHECK(becomes_true([&] {
        probe.look();
        const ClientRow client = probe.client(listener.address());
        const ServerRow server = probe.server(listener.address());
        return client.results[0] == 1 && server.accepts == 1 &&
               client.traffic.connections == dialogue.client.connections &&
               server.traffic.connections == dialogue.client.connections &&
               client.traffic.sent == dialogue.client.sent && server.traffic.received == dialogue.client.sent;
    }));
    const ClientRow client = probe.client(listener.address());
    const ServerRow server = probe.server(listener.address());
    CHECK(client.results == std::array<uint64_t, 7>{1});
    CHECK(
        (!has_durations || client.durations[0] + client.durations[1] + client.durations[2] + client.durations[3] == 1));
    CHECK(server.accepts == 1);
    check_traffic(client.traffic, server.traffic, dialogue.client);
}

// Connects that fail; each returns where to.
sockaddr_in connect_to_nobody()
{
    Listener listener(1);
    listener.close();
    CHECK(connect_to(tcp_socket(), listener.address()) == ECONNREFUSED);
    return listener.address();
}

sockaddr_in connect_to_everybody()
{
    sockaddr_in everybody{};
    everybody.sin_family = AF_INET;
    everybody.sin_port = htons(1);
    everybody.sin_addr.s_addr = INADDR_BROADCAST;
    CHECK(connect_to(tcp_socket(), everybody) == ENETUNREACH);
    return everybody;
}

// The program gives up while a full queue does not answer.
sockaddr_in give_up_connecting()
{
    const Listener listener(0);
    const OwnedFd first = tcp_socket(); // fills the queue
    CHECK(connect_to(first, listener.address()) == 0);
    OwnedFd second = tcp_socket(SOCK_NONBLOCK);
    CHECK(connect_to(second, listener.address()) == EINPROGRESS);
    second = OwnedFd();
    return listener.address();
}

struct FailedConnect {
    const char* description;
    sockaddr_in (*what)();
    std::array<uint64_t, 7> results;
};

void check_failed_connect(const FailedConnect& connect, const std::string& left_out)
{
    TcpProbe probe(left_out);
    const sockaddr_in destination = connect.what();
    CHECK(becomes_true([&] { return probe.client(destination).results == connect.results; }));
    CHECK(becomes_true([&] { return probe.client(destination).traffic.connections == 0; }));
}

} // namespace

TEST_CASE("a connection counts at both ends what it was")
{
    const std::array<Dialogue, 6> cases = {
        Dialogue{"nothing is sent", [](Pair&) {}, {.connections = 1}},
        Dialogue{"bytes both ways, open",
                 [](Pair& ends) {
                     send(ends.client, 10), receive(ends.server, 10), send(ends.server, 20), receive(ends.client, 20);
                 },
                 {.connections = 1, .sent = 10, .received = 20}},
        Dialogue{
            "one direction has ended",
            [](Pair& ends) { send(ends.client, 7), ::shutdown(ends.client.get(), SHUT_WR), receive(ends.server, 7); },
            {.connections = 1, .sent = 7}},
        Dialogue{"both directions have ended",
                 [](Pair& ends) {
                     send(ends.client, 5), receive(ends.server, 5), ends.client = OwnedFd(), ends.server = OwnedFd();
                 },
                 {.sent = 5}},
        Dialogue{"the client resets", [](Pair& ends) { close_with_reset(ends.client); }, {.resets_sent = 1}},
        Dialogue{"the server resets", [](Pair& ends) { close_with_reset(ends.server); }, {.resets_received = 1}},
    };
    for (const std::string& left_out : kLeftOut) {
        TcpProbe probe(left_out);
        probe.look(); // the first look takes in listeners only
        for (const Dialogue& dialogue : cases) {
            // a tracepoint may be left out, and then the connection counts when it ends
            if (left_out == kSockops && dialogue.client.connections)
                continue;
            INFO(dialogue.description << " (without " << left_out << ")");
            check_dialogue(probe, dialogue, left_out != kSockops);
        }
    }
}

TEST_CASE("a connect that fails counts once, as what it was")
{
    constexpr std::array<FailedConnect, 3> kCases = {
        FailedConnect{"nobody listens", connect_to_nobody, {0, 1}},
        FailedConnect{"an address that no connection can be made to", connect_to_everybody, {0, 0, 0, 0, 1}},
        FailedConnect{
            "the program gives up while a full queue does not answer", give_up_connecting, {1, 0, 0, 0, 0, 1}},
    };
    for (const std::string& left_out : kLeftOut) {
        for (const FailedConnect& connect : kCases) {
            INFO(connect.description << " (without " << left_out << ")");
            check_failed_connect(connect, left_out);
        }
    }
}

TEST_CASE("what is older than the probe is in the gauges and leaves them")
{
    for (const std::string& left_out : kLeftOut) {
        INFO("without " << left_out);
        Listener listener(8);
        Pair ends = connected_pair(listener);
        send(ends.client, 1000);
        receive(ends.server, 1000);
        TcpProbe probe(left_out);
        probe.look(); // listeners first, then connections
        probe.look();
        CHECK(probe.client(listener.address()).traffic.connections == 1);
        CHECK(probe.server(listener.address()).traffic.connections == 1);
        CHECK(probe.server(listener.address()).listeners == 1);
        CHECK(probe.server(listener.address()).queue_limit == 8);
        send(ends.client, 3);
        receive(ends.server, 3);
        probe.look();
        ends = {};
        listener.close();
        CHECK(becomes_true([&] { return probe.client(listener.address()).traffic.sent == 3; }));
        CHECK(becomes_true([&] { return probe.server(listener.address()).traffic.received == 3; }));
        CHECK(probe.client(listener.address()).traffic.connections == 0);
        CHECK(probe.client(listener.address()).traffic.rtt_sockets == 0);
        const ServerRow server = probe.server(listener.address());
        CHECK(server.traffic.connections == 0);
        CHECK(server.accepts == 0);
        CHECK(std::array{server.listeners, server.queue_length, server.queue_limit} == std::array<int64_t, 3>{});
    }
}

TEST_CASE("looks in between change nothing: each difference is taken once")
{
    TcpProbe probe(kTracepoint);
    probe.look();
    const Listener listener(8);
    Pair ends = connected_pair(listener);
    for (uint64_t times = 1; times <= 50; ++times) {
        send(ends.client, 100);
        receive(ends.server, 100);
        probe.look();
        probe.look();
        CHECK(probe.client(listener.address()).traffic.sent == 100 * times);
        CHECK(probe.server(listener.address()).traffic.received == 100 * times);
    }
    CHECK(probe.client(listener.address()).traffic.connections == 1);
}

} // namespace limpet::test
