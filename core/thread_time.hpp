// SPDX-License-Identifier: Apache-2.0
//
// CPU time of the calling thread, between begin and end of a scope.
#pragma once

#include <ctime>

namespace limpet {

class ThreadTime {
public:
    // Adds to `seconds` when the scope ends.
    explicit ThreadTime(double& seconds) : seconds_(seconds), begin_(now()) {}
    ThreadTime(const ThreadTime&) = delete;
    ThreadTime& operator=(const ThreadTime&) = delete;
    ~ThreadTime() { seconds_ += now() - begin_; }

    static double now() { return seconds_of(CLOCK_THREAD_CPUTIME_ID); }
    // Of all threads.
    static double of_process() { return seconds_of(CLOCK_PROCESS_CPUTIME_ID); }

private:
    static double seconds_of(clockid_t clock)
    {
        timespec used{};
        ::clock_gettime(clock, &used);
        return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
    }

    double& seconds_;
    const double begin_;
};

} // namespace limpet
