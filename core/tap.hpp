// SPDX-License-Identifier: Apache-2.0
//
// The core's own BPF programs (bpf/tap.bpf.c): they see every TCP segment and hand it to the probe that owns the connection,
// and every datagram, to the probe that wants its port.
//
// Owner: Agent; guarded by its mutex. The tap's maps are shared with the probes' objects, so it is loaded first; its hooks
// are attached last, so that those of the probes run before them.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <limpet/connection.h>

#include "bpf_object.hpp"
#include "kernel_stats.hpp"
#include "owned_fd.hpp"
#include "result.hpp"
#include "workloads.hpp"

namespace limpet {

// The BPF object that is built into the agent.
[[nodiscard]] std::span<const std::byte> tap_object();

// Maps of the tap that a probe's object uses in place of its own, by their names there.
inline constexpr std::array<const char*, 8> kSharedMaps = {
    "limpet_connections",    "limpet_sockets",        "limpet_parsers", "limpet_workloads",
    "limpet_workload_index", "limpet_free_workloads", "limpet_names",   "limpet_tap_stats"};
inline constexpr uint32_t kMaxParsers = 16; // LIMPET_MAX_PARSERS; number 0 is the tap's own

// Possible CPUs of the host, and into how many shards rows are split: a power of two, at most 8.
[[nodiscard]] uint32_t possible_cpus();
[[nodiscard]] uint32_t shards_for(uint32_t cpus);

class Tap {
public:
    // Loads the object; nothing is attached. `listen_port` is the agent's own: connections to it are not followed.
    static Result<Tap> load(uint16_t listen_port);
    // What the kernel will charge for its maps on this host. Nothing is loaded.
    static Result<uint64_t> bytes_of_its_maps();

    // Socket owners: the tracepoint, and iterators for sockets older than the agent. Returns what could not be had.
    Result<std::vector<std::string>> attach_owners();
    // Every segment of every cgroup below `cgroup_fd`, the root.
    Done attach_segments(int cgroup_fd);
    // Meets the sockets that were accepted while the hooks were being attached.
    void adopt_again();
    // The sockets of processes that were moved to another cgroup since the last call.
    Done follow_moves();

    // The lowest parser number that is free; 0 when there is none.
    [[nodiscard]] uint32_t free_parser_number() const;
    // Enters a probe's parser under `number`, or takes it out again.
    Done set_parser(uint32_t number, int program_fd);
    void clear_parser(uint32_t number);

    // Enters a probe's parser of datagrams for these ports; its number is for clear_datagram_parser. An error, and nothing
    // entered, when another one has a port already.
    [[nodiscard]] Result<uint32_t> add_datagram_parser(int program_fd, const std::vector<uint16_t>& ports);
    void clear_datagram_parser(uint32_t number);

    // What a probe has offered as the name behind an address of 16 bytes, IPv4 as ::ffff:a.b.c.d; "" when none has.
    [[nodiscard]] std::string name_of(const uint8_t* address) const;
    // What was found out by timing one run in so many; see tap_timing.bpf.h.
    struct Times {
        uint64_t runs;
        uint64_t own_ns;
        uint64_t streams[kMaxParsers];
        uint64_t datagrams[kMaxParsers];
    };
    static constexpr uint64_t kTimedOneIn = 256; // runs
    static_assert(sizeof(Times) == 272, "struct limpet_tap_times");
    [[nodiscard]] Times times() const;
    // Runs the program that does nothing some times, while its cost is being measured.
    [[nodiscard]] int empty_program() const { return object_.program_fd("tap_nothing"); }
    void run_empty_program() const;

    // All connections, while programs go on changing them; none where the kernel does not let us.
    [[nodiscard]] std::span<limpet_connection> connections();

    // The kernel's jiffies now.
    [[nodiscard]] Result<uint64_t> jiffies();
    // Every connection begins anew with its next segment; what was under way in it is not counted. How many there were.
    // While programs rest, or before they do.
    uint32_t forget_all_connections();

    [[nodiscard]] Result<Workloads> workloads(CgroupPaths paths);
    [[nodiscard]] const BpfObject& object() const { return object_; }
    // For one of kSharedMaps.
    [[nodiscard]] int shared_map_fd(const std::string& name) const
    {
        return object_.map_fd(name == "limpet_tap_stats" ? "limpet_stats" : name);
    }
    [[nodiscard]] const KernelStats& stats() const { return stats_; }
    [[nodiscard]] KernelStats& stats() { return stats_; }
    [[nodiscard]] uint64_t kernel_memory_bytes() const { return kernel_memory_bytes_; }

private:
    explicit Tap(BpfObject object) : object_(std::move(object)) {}
    Done attach_and_run(const char* iterator);
    Done meet_other_namespaces();
    [[nodiscard]] std::vector<uint32_t> take_moved();
    Done move_listeners(const std::vector<uint32_t>& processes);
    void forget_connections(uint32_t parser);
    void forget_nobodys();
    [[nodiscard]] Result<MappedMap> connection_table() const;
    Done enter(const char* programs, uint32_t number, int program_fd);

    BpfObject object_;
    std::vector<std::string> missing_;   // programs that this host does not load, and why
    std::vector<OwnedFd> segment_links_; // the tap's two hooks
    KernelStats stats_;
    uint64_t kernel_memory_bytes_ = 0;
    std::array<bool, kMaxParsers> is_taken_{true};
    MappedMap connections_;
    MappedMap times_;
    MappedMap port_owners_; // by port: the number of the datagram parser that wants it
};

} // namespace limpet
