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

private:
    static double now()
    {
        timespec used{};
        ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
        return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) / 1e9;
    }

    double& seconds_;
    const double begin_;
};

} // namespace limpet
