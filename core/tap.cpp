// SPDX-License-Identifier: Apache-2.0
#include "tap.hpp"

#include <algorithm>
#include <bit>
#include <bpf/bpf.h>
#include <cstring>

#include "bpf_attach.hpp"
#include "bpf_loader.hpp"
#include "limpet/connection.h"
#include "log.hpp"
#include "map_budget.hpp"
#include "network_namespaces.hpp"

// NOLINTBEGIN(readability-identifier-naming): symbols that the build makes
extern "C" const std::byte limpet_tap_object[];
extern "C" const std::byte limpet_tap_object_end[];
extern "C" const std::byte limpet_tap_portable_object[];
extern "C" const std::byte limpet_tap_portable_object_end[];
// NOLINTEND(readability-identifier-naming)

namespace limpet {
namespace {

constexpr const char* kTcpIterator = "on_tcp_socket"; // sees one network namespace
constexpr const char* kMptcpIterator = "on_mptcp_file";
constexpr std::array<const char*, 3> kIterators = {"on_task_file", kMptcpIterator, kTcpIterator}; // in this order
constexpr const char* kMoves = "on_attach_task";
constexpr const char* kMovedFiles = "on_moved_file";
constexpr const char* kMovedListeners = "on_moved_tcp_socket"; // sees one network namespace
constexpr size_t kMovesAtOnce = 256;
constexpr uint32_t kEmptyRuns = 64;
constexpr const char* kConnections = "limpet_connections";
constexpr const char* kStreamParsers = "limpet_parsers";
constexpr const char* kDatagramParsers = "limpet_datagram_parsers"; // number 0 is the tap's own
constexpr const char* kPortOwners = "limpet_datagram_ports";
constexpr const char* kNames = "limpet_names";
constexpr size_t kPorts = 65536;

std::vector<ManifestProgram> optional_programs()
{
    std::vector<ManifestProgram> programs;
    programs.reserve(kIterators.size());
    for (const char* iterator : kIterators)
        programs.push_back({iterator, true, "", "sockets that are older than the agent stay without an owner"});
    for (const char* program : {kMoves, kMovedFiles, kMovedListeners})
        programs.push_back(
            {program, true, "", "a process that is moved to another cgroup goes on counting for the old one"});
    return programs;
}

Done prepare(BpfObject& object, uint16_t listen_port)
{
    const uint32_t cpus = possible_cpus();
    object.set_number("limpet_self_tgid", static_cast<uint64_t>(::getpid()));
    object.set_number("limpet_listen_port", listen_port);
    object.set_number("limpet_shard_mask", shards_for(cpus) - 1);
    return object.resize_map("limpet_stats", cpus);
}

// The tap, or the one for kernels that refuse it (bpf/tap_context.bpf.h).
Result<LoadedBpf> load_either(BpfPlan plan)
{
    plan.bytes = tap_object();
    Result<LoadedBpf> loaded = load_bpf(plan);
    if (loaded)
        return loaded;
    log(LogLevel::kInfo, "agent",
        "the tap for Linux 6.2 and later does not load, the portable one takes its place, which costs a little more: " +
            loaded.error().text);
    plan.bytes = {limpet_tap_portable_object, limpet_tap_portable_object_end};
    return load_bpf(plan);
}

} // namespace

std::span<const std::byte> tap_object()
{
    return {limpet_tap_object, limpet_tap_object_end};
}

uint32_t possible_cpus()
{
    return static_cast<uint32_t>(std::max(1, libbpf_num_possible_cpus()));
}

uint32_t shards_for(uint32_t cpus)
{
    return std::min(8U, std::bit_ceil(std::max(1U, cpus)));
}

Result<Tap> Tap::load(uint16_t listen_port)
{
    BpfPlan plan;
    plan.name = "limpet";
    plan.programs = optional_programs();
    plan.prepare = [listen_port](BpfObject& object) { return prepare(object, listen_port); };
    plan.attach = false;
    Result<LoadedBpf> loaded = load_either(std::move(plan));
    if (!loaded)
        return loaded.error();
    Tap tap(std::move(loaded->object));
    for (const MissingProgram& refused : loaded->missing)
        tap.missing_.push_back("program " + refused.name + " does not load: " + refused.reason);
    Result<KernelStats> stats = KernelStats::open(tap.object_);
    if (!stats)
        return stats.error();
    tap.stats_ = std::move(*stats);
    tap.kernel_memory_bytes_ = tap.object_.kernel_memory_bytes();
    if (const Done entered = tap.set_parser(0, tap.object_.program_fd("tap_open")); !entered)
        return entered.error();
    if (const Done entered = tap.enter(kDatagramParsers, 0, tap.object_.program_fd("tap_datagram")); !entered)
        return entered.error();
    Result<MappedMap> ports = MappedMap::map_writable(tap.object_.map_fd(kPortOwners), kPorts, kPortOwners);
    if (!ports)
        return ports.error();
    tap.port_owners_ = std::move(*ports);
    Result<MappedMap> times = tap.object_.view("limpet_tap_times");
    if (!times)
        return times.error();
    tap.times_ = std::move(*times);
    return tap;
}

Result<uint64_t> Tap::bytes_of_its_maps()
{
    Result<BpfObject> object = BpfObject::open(tap_object(), "limpet");
    if (!object)
        return object.error();
    if (const Done prepared = prepare(*object, 0); !prepared)
        return prepared.error();
    return bytes_of_maps(*object, possible_cpus());
}

Result<std::vector<std::string>> Tap::attach_owners()
{
    for (const char* program : {"on_set_state", "on_set_state_again"})
        if (const Done attached = object_.attach(program, -1); !attached)
            return attached.error();
    std::vector<std::string> missing = missing_;
    if (object_.program_fd(kMoves) >= 0)
        if (const Done attached = object_.attach(kMoves, -1); !attached)
            missing.push_back(attached.error().text);
    for (const char* iterator : kIterators)
        if (object_.program_fd(iterator) >= 0)
            if (const Done ran = attach_and_run(iterator); !ran)
                missing.push_back(ran.error().text);
    if (const Done met = meet_other_namespaces(); !met)
        missing.push_back(met.error().text);
    return missing;
}

Done Tap::attach_and_run(const char* iterator)
{
    if (const Done attached = object_.attach(iterator, -1); !attached)
        return attached;
    return object_.run_iterator(iterator);
}

Done Tap::attach_segments(int cgroup_fd)
{
    for (const bpf_attach_type hook : {BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS}) {
        Result<OwnedFd> link = attach_to_hook(object_.program_fd("tap"), "tap", hook, cgroup_fd);
        if (!link)
            return link.error();
        segment_links_.push_back(std::move(*link));
    }
    return done();
}

void Tap::adopt_again()
{
    for (const char* iterator : kIterators)
        (void)object_.run_iterator(iterator); // what is missing was reported by attach_owners
    (void)meet_other_namespaces();
}

// The listeners inside MPTCP sockets; nothing to look for when no process has such a socket.
Done Tap::meet_other_namespaces()
{
    uint64_t first_owner = 0;
    if (!object_.is_attached(kTcpIterator) ||
        bpf_map_get_next_key(object_.map_fd("mptcp_owners"), nullptr, &first_owner))
        return done();
    return run_in_other_network_namespaces(kMostNetworkNamespaces,
                                           [this] { return object_.run_iterator(kTcpIterator); });
}

std::vector<uint32_t> Tap::take_moved()
{
    const int moved = object_.map_fd("limpet_moved");
    std::vector<uint32_t> processes;
    uint32_t tgid = 0;
    while (processes.size() < kMovesAtOnce && bpf_map_get_next_key(moved, nullptr, &tgid) == 0) {
        (void)bpf_map_delete_elem(moved, &tgid);
        processes.push_back(tgid);
    }
    return processes;
}

// The listeners inside the MPTCP sockets of these processes.
Done Tap::move_listeners(const std::vector<uint32_t>& processes)
{
    const int owners = object_.map_fd("mptcp_owners");
    uint64_t socket = 0;
    while (bpf_map_get_next_key(owners, nullptr, &socket) == 0)
        (void)bpf_map_delete_elem(owners, &socket);
    for (const uint32_t tgid : processes)
        if (const Done met = run_iterator_for(object_.program_fd(kMptcpIterator), kMptcpIterator, tgid); !met)
            return met;
    if (bpf_map_get_next_key(owners, nullptr, &socket))
        return done();
    const auto run = [this] { return run_iterator_for(object_.program_fd(kMovedListeners), kMovedListeners, 0); };
    if (const Done moved = run(); !moved)
        return moved;
    return run_in_other_network_namespaces(kMostNetworkNamespaces, run);
}

Done Tap::follow_moves()
{
    if (!object_.is_attached(kMoves) || object_.program_fd(kMovedFiles) < 0)
        return done();
    const std::vector<uint32_t> processes = take_moved();
    if (processes.empty())
        return done();
    for (const uint32_t tgid : processes)
        if (const Done moved = run_iterator_for(object_.program_fd(kMovedFiles), kMovedFiles, tgid); !moved)
            return moved;
    if (object_.program_fd(kMptcpIterator) < 0 || object_.program_fd(kMovedListeners) < 0)
        return done();
    return move_listeners(processes);
}

uint32_t Tap::free_parser_number() const
{
    const auto found = std::find(is_taken_.begin(), is_taken_.end(), false);
    return found == is_taken_.end() ? 0 : static_cast<uint32_t>(found - is_taken_.begin());
}

Done Tap::enter(const char* programs, uint32_t number, int program_fd)
{
    if (bpf_map_update_elem(object_.map_fd(programs), &number, &program_fd, BPF_ANY))
        return errno_error("cannot enter a parser as number " + std::to_string(number) + " of " + programs);
    return done();
}

Done Tap::set_parser(uint32_t number, int program_fd)
{
    if (const Done entered = enter(kStreamParsers, number, program_fd); !entered)
        return entered;
    is_taken_[number] = true;
    forget_connections(number);
    return done();
}

void Tap::clear_parser(uint32_t number)
{
    is_taken_[number] = false;
    (void)bpf_map_delete_elem(object_.map_fd(kStreamParsers), &number);
    forget_connections(number);
}

Result<uint32_t> Tap::add_datagram_parser(int program_fd, const std::vector<uint16_t>& ports)
{
    const std::span<std::byte> owners(port_owners_.writable_data(), kPorts);
    for (const uint16_t port : ports)
        if (owners[port] != std::byte{0})
            return Error{0, "port " + std::to_string(port) + " is another probe's; take it out of one of their lists"};
    uint32_t number = 1;
    while (std::find(owners.begin(), owners.end(), static_cast<std::byte>(number)) != owners.end())
        ++number;
    if (number >= kMaxParsers)
        return Error{0, "there is room for " + std::to_string(kMaxParsers - 1) + " datagram parsers; disable one"};
    if (const Done entered = enter(kDatagramParsers, number, program_fd); !entered)
        return entered.error();
    for (const uint16_t port : ports)
        owners[port] = static_cast<std::byte>(number);
    return number;
}

void Tap::clear_datagram_parser(uint32_t number)
{
    const std::span<std::byte> owners(port_owners_.writable_data(), kPorts);
    std::replace(owners.begin(), owners.end(), static_cast<std::byte>(number), std::byte{0});
    (void)bpf_map_delete_elem(object_.map_fd(kDatagramParsers), &number);
}

Result<MappedMap> Tap::connection_table() const
{
    return MappedMap::map_writable(object_.map_fd(kConnections),
                                   size_t{object_.map_entries(kConnections)} * LIMPET_CONNECTION_BYTES, kConnections);
}

std::span<limpet_connection> Tap::connections()
{
    if (!connections_.data()) {
        Result<MappedMap> table = connection_table();
        if (!table)
            return {};
        connections_ = std::move(*table);
    }
    return {reinterpret_cast<limpet_connection*>(connections_.writable_data()), object_.map_entries(kConnections)};
}

uint32_t Tap::forget_all_connections()
{
    Result<MappedMap> table = connection_table();
    if (!table) {
        log(LogLevel::kWarn, "agent", table.error().text + "; connections go on with a gap");
        return 0;
    }
    auto* connections = reinterpret_cast<limpet_connection*>(table->writable_data());
    uint32_t forgotten = 0;
    for (uint32_t slot = 0; slot < object_.map_entries(kConnections); ++slot) {
        limpet_connection_head& head = connections[slot].head;
        __atomic_store_n(&head.verdict, uint8_t{0}, __ATOMIC_RELAXED); // its owner does not count how it ends
        if (__atomic_exchange_n(&head.cookie, 0, __ATOMIC_RELAXED) != 0)
            ++forgotten;
    }
    return forgotten;
}

Tap::Times Tap::times() const
{
    Times times{};
    auto* words = reinterpret_cast<uint64_t*>(&times);
    for (size_t i = 0; i < sizeof(times) / sizeof(uint64_t); ++i)
        words[i] = read_once<uint64_t>(times_.data() + i * sizeof(uint64_t));
    return times;
}

void Tap::run_empty_program() const
{
    (void)object_.run_once("tap_nothing", kEmptyRuns); // a host that refuses has a clock of 0 ns
}

Result<uint64_t> Tap::jiffies()
{
    if (const Done run = object_.run_once("tap_clock"); !run)
        return run.error();
    const std::span<const std::byte> place = object_.live_variable("limpet_jiffies");
    if (place.size() != sizeof(uint64_t))
        return Error{0, "the tap has no clock"};
    return read_once<uint64_t>(place.data());
}

// Parser `parser` has come or gone. Connections that are its own or nobody's begin anew with their next segment: their
// state is that of a parser which is not there any more, or they were given up before this one could look at them.
void Tap::forget_connections(uint32_t parser)
{
    if (segment_links_.empty())
        return; // no segment has passed yet
    Result<MappedMap> table = connection_table();
    if (!table)
        return log(LogLevel::kWarn, "agent", table.error().text + "; connections that are open now are not followed");
    auto* connections = reinterpret_cast<limpet_connection*>(table->writable_data());
    for (uint32_t slot = 0; slot < object_.map_entries(kConnections); ++slot) {
        limpet_connection_head& head = connections[slot].head;
        const uint32_t alias = head.alias;
        const uint8_t verdict = alias ? connections[alias - 1].head.verdict : head.verdict;
        if (verdict == parser || verdict == 0 || verdict >= kMaxParsers)
            __atomic_store_n(&head.cookie, 0, __ATOMIC_RELAXED);
    }
    forget_nobodys();
}

// Connections that were found to be nobody's are looked at again.
void Tap::forget_nobodys()
{
    const std::span<std::byte> cookies = object_.live_variable("limpet_nobodys");
    if (cookies.empty())
        log(LogLevel::kWarn, "agent",
            "limpet_nobodys cannot be mapped; connections that are open now are not followed");
    for (size_t at = 0; at < cookies.size(); at += sizeof(uint64_t))
        __atomic_store_n(reinterpret_cast<uint64_t*>(cookies.data() + at), 0, __ATOMIC_RELAXED);
}

std::string Tap::name_of(const uint8_t* address) const
{
    std::vector<char> text(object_.map_value_size_bytes(kNames));
    if (bpf_map_lookup_elem(object_.map_fd(kNames), address, text.data()))
        return "";
    return {text.data(), strnlen(text.data(), text.size())};
}

Result<Workloads> Tap::workloads(CgroupPaths paths)
{
    constexpr const char* kRecords = "limpet_workloads";
    Result<MappedMap> records =
        MappedMap::map_writable(object_.map_fd(kRecords), Workloads::kLimit * sizeof(WorkloadRecord), kRecords);
    if (!records)
        return records.error();
    Workloads workloads(std::move(paths), std::move(*records));
    workloads.set_maps(object_.map_fd("limpet_workload_index"), object_.map_fd("limpet_free_workloads"));
    return workloads;
}

} // namespace limpet
