// SPDX-License-Identifier: Apache-2.0
#include "pinning.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sched.h>
#include <sstream>
#include <sys/resource.h>

#include "split.hpp"

namespace limpet {
namespace {

constexpr double kAsGoodAsEqual = 0.05;
constexpr uint32_t kMostCpus = 8192; // CONFIG_NR_CPUS of the largest distribution kernels

std::string contents_of(const char* path)
{
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

std::optional<uint32_t> number(std::string_view text)
{
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() ? std::optional(value) : std::nullopt;
}

// A cpu_set_t large enough for every kernel.
class CpuSet {
public:
    CpuSet() : set_(CPU_ALLOC(kMostCpus), [](cpu_set_t* set) { CPU_FREE(set); }) { CPU_ZERO_S(size(), set_.get()); }
    [[nodiscard]] static size_t size() { return CPU_ALLOC_SIZE(kMostCpus); }
    [[nodiscard]] cpu_set_t* get() { return set_.get(); }
    void add(uint32_t cpu) { CPU_SET_S(cpu, size(), set_.get()); }
    [[nodiscard]] bool has(uint32_t cpu) const { return CPU_ISSET_S(cpu, size(), set_.get()); }

private:
    std::unique_ptr<cpu_set_t, void (*)(cpu_set_t*)> set_;
};

Result<std::vector<uint32_t>> allowed_cpus()
{
    CpuSet set;
    if (::sched_getaffinity(0, CpuSet::size(), set.get()))
        return errno_error("cannot read which CPUs the agent may use");
    std::vector<uint32_t> cpus;
    for (uint32_t cpu = 0; cpu < kMostCpus; ++cpu)
        if (set.has(cpu))
            cpus.push_back(cpu);
    return cpus;
}

std::string list_of(const std::vector<uint32_t>& cpus)
{
    std::string text;
    for (const uint32_t cpu : cpus)
        text += (text.empty() ? "" : ",") + std::to_string(cpu);
    return text;
}

std::vector<uint32_t> isolated_cpus()
{
    std::vector<uint32_t> isolated = parse_cpu_list(contents_of("/sys/devices/system/cpu/isolated"));
    const std::vector<uint32_t> tickless = parse_cpu_list(contents_of("/sys/devices/system/cpu/nohz_full"));
    isolated.insert(isolated.end(), tickless.begin(), tickless.end());
    return isolated;
}

} // namespace

std::vector<uint32_t> parse_cpu_list(std::string_view text)
{
    std::vector<uint32_t> cpus;
    for (const std::string& part : split(text, ',')) {
        const size_t dash = part.find('-');
        const auto first = number(part);
        const auto last = dash == std::string::npos ? first : number(std::string_view(part).substr(dash + 1));
        for (uint32_t cpu = first.value_or(1); first && last && cpu <= std::min(*last, kMostCpus); ++cpu)
            cpus.push_back(cpu);
    }
    std::sort(cpus.begin(), cpus.end());
    return cpus;
}

std::vector<CpuLoad> parse_cpu_loads(std::string_view proc_stat)
{
    std::vector<CpuLoad> loads;
    for (const std::string& line : split(proc_stat, '\n')) {
        const auto cpu = line.starts_with("cpu") ? number(std::string_view(line).substr(3)) : std::nullopt;
        if (!cpu)
            continue; // the sum of all, or another line
        std::istringstream fields(line.substr(line.find(' ')));
        double total = 0;
        double idle = 0;
        double ticks = 0;
        for (int field = 0; field < 8 && fields >> ticks;
             ++field) { // proc(5): user nice system idle iowait irq softirq steal
            total += ticks;
            if (field == 3 || field == 4)
                idle += ticks;
        }
        loads.push_back({*cpu, total > 0 ? (total - idle) / total : 0});
    }
    return loads;
}

uint32_t choose_cpu(const std::vector<uint32_t>& allowed, const std::vector<uint32_t>& isolated,
                    const std::vector<CpuLoad>& loads)
{
    std::vector<uint32_t> candidates;
    for (const uint32_t cpu : allowed)
        if (std::find(isolated.begin(), isolated.end(), cpu) == isolated.end())
            candidates.push_back(cpu);
    if (candidates.empty())
        candidates = allowed;
    const auto busy = [&](uint32_t cpu) {
        const auto found =
            std::find_if(loads.begin(), loads.end(), [&](const CpuLoad& load) { return load.cpu == cpu; });
        return found == loads.end() ? 1.0 : found->busy;
    };
    double least = 1.0;
    for (const uint32_t cpu : candidates)
        least = std::min(least, busy(cpu));
    uint32_t chosen = candidates.front();
    for (const uint32_t cpu : candidates)
        if (busy(cpu) <= least + kAsGoodAsEqual)
            chosen = cpu;
    return chosen;
}

Result<std::string> pin_agent(const AgentConfig& agent)
{
    std::string line;
    std::vector<uint32_t> cpus = agent.cpus.value_or(std::vector<uint32_t>{});
    if (agent.cpus) {
        line = "runs on CPU " + list_of(cpus) + ", as agent.cpus says";
    } else {
        const Result<std::vector<uint32_t>> allowed = allowed_cpus();
        if (!allowed)
            return allowed.error();
        cpus = {choose_cpu(*allowed, isolated_cpus(), parse_cpu_loads(contents_of("/proc/stat")))};
        line = "runs on CPU " + list_of(cpus) + ": the least busy one that is not isolated (agent.cpus = \"auto\")";
    }
    CpuSet set;
    for (const uint32_t cpu : cpus)
        set.add(cpu);
    if (::sched_setaffinity(0, CpuSet::size(), set.get()))
        return errno_error("cannot run on CPU " + list_of(cpus) +
                           " (agent.cpus; this process may use those of its cpuset, "
                           "`taskset -p <pid>`)");
    if (agent.nice != 0 && ::setpriority(PRIO_PROCESS, 0, agent.nice))
        return errno_error("cannot set agent.nice = " + std::to_string(agent.nice));
    return line;
}

} // namespace limpet
