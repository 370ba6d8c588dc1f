// SPDX-License-Identifier: Apache-2.0
//
// SIGTERM, SIGINT and SIGHUP as values that the main loop waits for, instead of handlers that interrupt it.
//
// Construct before any thread starts: they inherit the mask, so that only the main thread ever sees these signals.
#pragma once

#include <chrono>

namespace limpet {

class StopSignals {
public:
    StopSignals(); // blocks the three, and ignores SIGPIPE

    // Sleeps until one comes or `until` has passed; 0 then.
    [[nodiscard]] int wait_until(std::chrono::steady_clock::time_point until) const;
};

} // namespace limpet
