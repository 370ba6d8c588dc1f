// SPDX-License-Identifier: Apache-2.0
//
// What the way into a hook costs, which run-time statistics do not see: how much longer something takes for each empty program
// that it runs, statistics off; and how many times what the statistics' own clock adds to a run that is.
//
//     hook_cost [CPU]
//
// cgroup_skb: a datagram to itself over loopback, which passes both hooks of cgroup2's root. tp_btf: a thread that names itself. Batches
// with 0, 1, … programs take turns; of each the lowest decile counts, for others disturb. Root; a few seconds.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <netinet/in.h>
#include <stdexcept>
#include <string>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

#include <bpf/bpf.h>
#include <sched.h>

#include "empty_programs.hpp"
#include "owned_fd.hpp"

namespace {

using limpet::OwnedFd;
using namespace limpet::bench;
using std::chrono::steady_clock;

constexpr size_t kPrograms = 4;
constexpr int kRounds = 200;
constexpr int kBatch = 500;

// A way to have programs run, and to put one more there.
struct Hook {
    std::string name;
    double runs = 0; // of each program, by one call of `act`
    std::function<void()> act;
    std::function<std::vector<OwnedFd>(size_t)> attach;
};

double ns_of_batch(const Hook& hook)
{
    for (int i = 0; i < kBatch / 10; ++i) // warm
        hook.act();
    const auto begin = steady_clock::now();
    for (int i = 0; i < kBatch; ++i)
        hook.act();
    return std::chrono::duration<double, std::nano>(steady_clock::now() - begin).count() / kBatch;
}

// ns a call with so many programs.
std::array<double, kPrograms + 1> measure(const Hook& hook)
{
    std::array<std::vector<double>, kPrograms + 1> found;
    for (int round = 0; round < kRounds; ++round) {
        std::vector<OwnedFd> links;
        for (size_t count = 0; count <= kPrograms; ++count) {
            if (count > 0)
                for (OwnedFd& link : hook.attach(count - 1))
                    links.push_back(std::move(link));
            found.at(count).push_back(ns_of_batch(hook));
        }
    }
    std::array<double, kPrograms + 1> deciles{};
    for (size_t count = 0; count <= kPrograms; ++count) {
        auto& times = found.at(count);
        std::nth_element(times.begin(), times.begin() + kRounds / 10, times.end());
        deciles.at(count) = times[kRounds / 10];
    }
    return deciles;
}

// What statistics add to a run of a program that does nothing.
double clock_ns()
{
    constexpr int kRuns = 100'000;
    const OwnedFd statistics = checked(bpf_enable_stats(BPF_STATS_RUN_TIME), "cannot switch run-time statistics on");
    const OwnedFd program = load_empty(BPF_CGROUP_INET_EGRESS);
    std::array<char, 64> packet{};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet.data(), .data_size_in = packet.size(), .repeat = kRuns);
    if (bpf_prog_test_run_opts(program.get(), &options))
        fail("cannot run an empty program");
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program.get(), &info, &size))
        fail("cannot read statistics");
    return static_cast<double>(info.run_time_ns) / static_cast<double>(info.run_cnt);
}

void check_statistics_were_off(const OwnedFd& program)
{
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(program.get(), &info, &size))
        fail("cannot read statistics");
    if (info.run_cnt > 0)
        throw std::runtime_error(
            "run-time statistics were on: stop what measures BPF programs, an agent too, and try again");
}

// A socket that is sent what it sends, and drops it.
OwnedFd loop_of_one()
{
    OwnedFd fd = checked(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const int smallest = 1;
    if (::bind(fd.get(), generic, size) || ::getsockname(fd.get(), generic, &size) ||
        ::connect(fd.get(), generic, size) ||
        ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVBUF, &smallest, sizeof(smallest)))
        fail("cannot talk to itself over loopback");
    return fd;
}

Hook cgroup_hook(const OwnedFd& socket, const std::vector<OwnedFd>& ingress, const std::vector<OwnedFd>& egress)
{
    return {"cgroup_skb", 2, [&] { (void)::send(socket.get(), "x", 1, 0); },
            [&](size_t number) {
                std::vector<OwnedFd> links;
                links.push_back(attach_to_root(ingress.at(number), BPF_CGROUP_INET_INGRESS));
                links.push_back(attach_to_root(egress.at(number), BPF_CGROUP_INET_EGRESS));
                return links;
            }};
}

Hook tracepoint_hook(const std::vector<OwnedFd>& programs)
{
    return {"tp_btf", 1, [] { (void)::prctl(PR_SET_NAME, "hook_cost"); },
            [&](size_t number) {
                std::vector<OwnedFd> links;
                links.push_back(attach_to_tracepoint(programs.at(number)));
                return links;
            }};
}

void print(const Hook& hook, double clock)
{
    const std::array<double, kPrograms + 1> ns = measure(hook);
    const double first = (ns[1] - ns[0]) / hook.runs;
    const double further = (ns[kPrograms] - ns[1]) / (kPrograms - 1) / hook.runs;
    std::printf("%-12s %14.1f %14.2f %14.1f %14.2f\n", hook.name.c_str(), first, first / clock, further,
                further / clock);
}

void measure_and_print(const char* cpu)
{
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu ? std::strtoul(cpu, nullptr, 10) : 0, &one);
    if (::sched_setaffinity(0, sizeof(one), &one))
        fail("no such CPU");
    std::vector<OwnedFd> ingress;
    std::vector<OwnedFd> egress;
    std::vector<OwnedFd> renames;
    for (size_t i = 0; i < kPrograms; ++i) {
        ingress.push_back(load_empty(BPF_CGROUP_INET_INGRESS));
        egress.push_back(load_empty(BPF_CGROUP_INET_EGRESS));
        renames.push_back(load_empty_on_tracepoint("task_rename"));
    }
    const double clock = clock_ns();
    const OwnedFd socket = loop_of_one();
    std::printf("clock_ns %.1f\n\n%-12s %14s %14s %14s %14s\n", clock, "hook", "first, ns", "of the clock",
                "further, ns", "of the clock");
    print(cgroup_hook(socket, ingress, egress), clock);
    print(tracepoint_hook(renames), clock);
    check_statistics_were_off(ingress.front());
    check_statistics_were_off(renames.front());
}

} // namespace

int main(int count, char** arguments)
{
    try {
        measure_and_print(count > 1 ? arguments[1] : nullptr);
        return 0;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "hook_cost: %s\n", failure.what());
        return 1;
    }
}
