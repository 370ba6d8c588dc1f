// SPDX-License-Identifier: Apache-2.0
#include "process_metrics.hpp"

#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <sys/resource.h>
#include <system_error>
#include <unistd.h>

namespace limpet {
namespace {

double cpu_seconds()
{
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
}

double seconds_of(clockid_t clock)
{
    timespec now{};
    ::clock_gettime(clock, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

std::string contents_of(const char* path)
{
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

double start_time_seconds()
{
    const uint64_t ticks = start_ticks(contents_of("/proc/self/stat")).value_or(0);
    const double after_boot = static_cast<double>(ticks) / static_cast<double>(::sysconf(_SC_CLK_TCK));
    return seconds_of(CLOCK_REALTIME) - seconds_of(CLOCK_BOOTTIME) + after_boot;
}

double open_fds()
{
    std::error_code error;
    double count = 0;
    for (std::filesystem::directory_iterator entry("/proc/self/fd", error), end; !error && entry != end;
         entry.increment(error))
        ++count;
    return count > 0 ? count - 1 : 0; // the directory itself
}

double max_fds()
{
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    return static_cast<double>(limit.rlim_cur);
}

} // namespace

std::optional<uint64_t> start_ticks(std::string_view stat)
{
    const size_t name_end = stat.rfind(')');
    if (name_end == std::string_view::npos)
        return std::nullopt;
    std::string_view rest = stat.substr(name_end + 1); // from the blank before field 3 on
    for (int field = 3; field <= 22; ++field) {
        const size_t blank = rest.find(' ');
        if (blank == std::string_view::npos)
            return std::nullopt;
        rest.remove_prefix(blank + 1);
    }
    uint64_t ticks = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), ticks);
    return error == std::errc() && end != rest.data() ? std::optional(ticks) : std::nullopt;
}

void add_process_metrics(Families& families)
{
    const auto page = static_cast<double>(::sysconf(_SC_PAGESIZE));
    double virtual_pages = 0;
    double resident_pages = 0;
    std::istringstream(contents_of("/proc/self/statm")) >> virtual_pages >> resident_pages;
    static const double kStartedAt = start_time_seconds(); // must not waver with the clocks

    families.add("process_cpu_seconds_total", MetricKind::kCounter,
                 "CPU time that the agent has used in user space and in system calls.", {}, cpu_seconds());
    families.add("process_resident_memory_bytes", MetricKind::kGauge, "Resident memory of the agent.", {},
                 resident_pages * page);
    families.add("process_virtual_memory_bytes", MetricKind::kGauge, "Virtual memory of the agent.", {},
                 virtual_pages * page);
    families.add("process_open_fds", MetricKind::kGauge, "Open file descriptors of the agent.", {}, open_fds());
    families.add("process_max_fds", MetricKind::kGauge, "The most file descriptors that the agent may open.", {},
                 max_fds());
    families.add("process_start_time_seconds", MetricKind::kGauge, "Start of the agent, seconds after 1970.", {},
                 kStartedAt);
}

} // namespace limpet
