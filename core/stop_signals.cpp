// SPDX-License-Identifier: Apache-2.0
#include "stop_signals.hpp"

#include <algorithm>
#include <csignal>
#include <ctime>

namespace limpet {
namespace {

sigset_t awaited()
{
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP})
        sigaddset(&set, signal);
    return set;
}

} // namespace

StopSignals::StopSignals()
{
    const sigset_t set = awaited();
    ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

int StopSignals::wait_until(std::chrono::steady_clock::time_point until) const
{
    using namespace std::chrono;
    const sigset_t set = awaited();
    const auto left = std::max(nanoseconds(0), duration_cast<nanoseconds>(until - steady_clock::now()));
    const timespec timeout{static_cast<time_t>(left.count() / 1'000'000'000),
                           static_cast<long>(left.count() % 1'000'000'000)};
    const int signal = ::sigtimedwait(&set, nullptr, &timeout);
    return signal > 0 ? signal : 0;
}

} // namespace limpet
