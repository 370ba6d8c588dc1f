// SPDX-License-Identifier: Apache-2.0
//
// What a running agent's BPF programs cost under a load, held against empty programs on the same hooks.
//
//     kernel_cost [--agent PID] [--tracepoint NAME] [--requests N] -- COMMAND ARG…
//
// Attaches two programs that do nothing to the root of cgroup2, ingress and egress, beside the agent's (or one to the
// tracepoint NAME, such as sched_switch); switches run-time statistics on; runs the command; prints runs and ns per run of
// each program. The empty programs are the unit in which costs can be compared between machines: the price of having any
// program on these hooks. Everything goes with the process. Root.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/wait.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <bpf/bpf.h>

#include "empty_programs.hpp"
#include "owned_fd.hpp"

namespace {

using limpet::OwnedFd;
using namespace limpet::bench;

struct Program {
    std::string name;
    OwnedFd fd;
    uint64_t runs = 0;
    uint64_t run_time_ns = 0;
    bool is_empty = false; // ours
};

bpf_prog_info describe(const Program& program)
{
    bpf_prog_info description{};
    uint32_t size = sizeof(description);
    if (bpf_obj_get_info_by_fd(program.fd.get(), &description, &size))
        fail("cannot read the statistics of " + program.name);
    return description;
}

Program empty(const char* name, OwnedFd fd)
{
    Program program;
    program.name = name;
    program.fd = std::move(fd);
    program.is_empty = true;
    return program;
}

// Ids of the programs that a process holds open, itself or through a link (fdinfo has a line "prog_id:").
std::vector<uint32_t> program_ids_of(const std::string& pid)
{
    std::map<uint32_t, bool> ids;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/" + pid + "/fdinfo")) {
        std::ifstream lines(entry.path());
        for (std::string line; std::getline(lines, line);)
            if (line.starts_with("prog_id:"))
                ids[static_cast<uint32_t>(std::strtoul(line.c_str() + std::strlen("prog_id:"), nullptr, 10))] = true;
    }
    std::vector<uint32_t> sorted;
    for (const auto& [id, is_held] : ids)
        sorted.push_back(id);
    return sorted;
}

std::vector<Program> programs_of(const std::string& pid)
{
    std::vector<Program> programs;
    for (const uint32_t id : program_ids_of(pid)) {
        Program program;
        program.fd = checked(bpf_prog_get_fd_by_id(id), "cannot open BPF program " + std::to_string(id));
        program.name = static_cast<const char*>(describe(program).name);
        programs.push_back(std::move(program));
    }
    if (programs.empty())
        throw std::runtime_error("process " + pid + " holds no BPF program");
    return programs;
}

void run(char** command)
{
    const pid_t child = ::fork();
    if (child < 0)
        fail("cannot fork");
    if (child == 0) {
        ::execvp(command[0], command);
        ::_exit(127);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    if (status != 0)
        throw std::runtime_error(std::string(command[0]) + " failed");
}

void measure(std::vector<Program>& programs, char** command)
{
    std::vector<bpf_prog_info> before;
    const OwnedFd statistics = checked(bpf_enable_stats(BPF_STATS_RUN_TIME), "cannot switch run-time statistics on");
    for (const Program& program : programs)
        before.push_back(describe(program));
    run(command);
    for (size_t i = 0; i < programs.size(); ++i) {
        const bpf_prog_info after = describe(programs[i]);
        programs[i].runs = after.run_cnt - before[i].run_cnt;
        programs[i].run_time_ns = after.run_time_ns - before[i].run_time_ns;
    }
}

double ns_per_run(const Program& program)
{
    return program.runs ? static_cast<double>(program.run_time_ns) / static_cast<double>(program.runs) : 0;
}

void print_programs(const std::vector<Program>& programs)
{
    std::printf("\n%-16s %12s %10s\n", "program", "runs", "ns a run");
    for (const Program& program : programs)
        if (program.runs)
            std::printf("%-16s %12llu %10.1f\n", program.name.c_str(), static_cast<unsigned long long>(program.runs),
                        ns_per_run(program));
}

// The agent's programs on the tracepoint of the last program, which is empty.
void print_ratios(const std::vector<Program>& programs)
{
    const Program& empty = programs.back();
    for (const Program& program : programs)
        if (!program.is_empty && program.runs && describe(program).attach_btf_id == describe(empty).attach_btf_id)
            std::printf("%s_to_empty_ratio %.2f\n", program.name.c_str(), ns_per_run(program) / ns_per_run(empty));
}

void print(const std::vector<Program>& programs, double requests)
{
    double agent_ns = 0;
    double empty_ns = 0;
    double pair_ns = 0;
    for (const Program& program : programs) {
        (program.is_empty ? empty_ns : agent_ns) += static_cast<double>(program.run_time_ns);
        pair_ns += program.is_empty ? ns_per_run(program) : 0;
    }
    print_programs(programs);
    std::printf("agent_total_ns %.0f\nempty_total_ns %.0f\n", agent_ns, empty_ns);
    if (agent_ns > 0 && empty_ns > 0)
        std::printf("agent_to_empty_ratio %.2f\n", agent_ns / empty_ns);
    if (agent_ns > 0 && pair_ns > 0 && requests > 0) {
        const double per_side_ns = agent_ns / requests / 2; // both ends of each connection are on this host
        std::printf("agent_ns_per_request_and_side %.0f\n", per_side_ns);
        std::printf("empty_pair_ns %.0f\n", pair_ns);
        std::printf("request_and_side_to_pair_ratio %.2f\n", per_side_ns / pair_ns);
    }
}

struct Request {
    std::string agent_pid;
    std::string tracepoint; // empty: the pair on cgroup2's root
    double requests = 0;
    char** command = nullptr;
};

Request read_arguments(char** argument)
{
    Request request;
    for (; *argument; ++argument) {
        const std::string_view name = *argument;
        if (name == "--") {
            request.command = argument + 1;
            break;
        }
        if (!argument[1])
            break;
        if (name == "--agent")
            request.agent_pid = *++argument;
        else if (name == "--tracepoint")
            request.tracepoint = *++argument;
        else if (name == "--requests")
            request.requests = std::strtod(*++argument, nullptr);
        else
            break;
    }
    if (!request.command || !*request.command)
        throw std::runtime_error("usage: kernel_cost [--agent PID] [--tracepoint NAME] [--requests N] -- COMMAND ARG…");
    return request;
}

void measure_pair(std::vector<Program>& programs, const Request& request)
{
    programs.push_back(empty("empty_ingress", load_empty(BPF_CGROUP_INET_INGRESS)));
    programs.push_back(empty("empty_egress", load_empty(BPF_CGROUP_INET_EGRESS)));
    const OwnedFd links[] = {attach_to_root(programs[programs.size() - 2].fd, BPF_CGROUP_INET_INGRESS),
                             attach_to_root(programs.back().fd, BPF_CGROUP_INET_EGRESS)};
    measure(programs, request.command);
    print(programs, request.requests);
}

void measure_tracepoint(std::vector<Program>& programs, const Request& request)
{
    programs.push_back(empty("empty_tracepoint", load_empty_on_tracepoint(request.tracepoint)));
    const OwnedFd link = attach_to_tracepoint(programs.back().fd);
    measure(programs, request.command);
    print_programs(programs);
    print_ratios(programs);
}

void measure_and_print(char** arguments)
{
    const Request request = read_arguments(arguments);
    std::vector<Program> programs;
    if (!request.agent_pid.empty())
        programs = programs_of(request.agent_pid);
    if (request.tracepoint.empty())
        measure_pair(programs, request);
    else
        measure_tracepoint(programs, request);
}

} // namespace

int main(int, char** arguments)
{
    try {
        measure_and_print(arguments + 1);
        return 0;
    } catch (const std::exception& failure) {
        std::fprintf(stderr, "kernel_cost: %s\n", failure.what());
        return 1;
    }
}
