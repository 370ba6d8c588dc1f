// SPDX-License-Identifier: Apache-2.0
#include "memory_watch.hpp"

#include <fstream>
#include <malloc.h>
#include <string>
#include <unistd.h>

#include "log.hpp"
#include "size.hpp"

namespace limpet {
namespace {

using namespace std::chrono_literals;

constexpr auto kLookEvery = 5s;

} // namespace

uint64_t resident_bytes()
{
    uint64_t virtual_pages = 0;
    uint64_t resident_pages = 0;
    std::ifstream("/proc/self/statm") >> virtual_pages >> resident_pages;
    return resident_pages * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
}

void MemoryWatch::look(Clock::time_point now)
{
    if (now < look_at_)
        return;
    look_at_ = now + kLookEvery;
    used_bytes_ = resident_bytes();
    if (limit_bytes_ != 0 && used_bytes_ > limit_bytes_) {
        ::malloc_trim(0);
        used_bytes_ = resident_bytes();
    }
    const bool was_above = is_above_;
    is_above_ = limit_bytes_ != 0 && used_bytes_ > limit_bytes_;
    if (is_above_ && !was_above)
        log(LogLevel::kWarn, "agent",
            "the agent takes " + size_text(used_bytes_) + "; limits.memory is " + size_text(limit_bytes_) +
                ". Set limits.series or plugins.<name>.limits.series lower, or limits.memory higher");
    if (!is_above_ && was_above)
        log(LogLevel::kInfo, "agent", "is within limits.memory again, with " + size_text(used_bytes_));
}

} // namespace limpet
