// SPDX-License-Identifier: Apache-2.0
//
// Counts the records of the ring, to hold against what the kernel side counted.
#include <cstdint>

#include <limpet/plugin.hpp>

#include "exec_shared.h"

namespace {

class ExecEvents {
public:
    explicit ExecEvents(limpet::Host host) : host_(host) {}

    void on_event(limpet::Event event)
    {
        if (event.as<exec_event>() != nullptr)
            ++received_;
    }

    void collect() { host_.sample("exec_events_total", limpet::kNoWorkload, {}, static_cast<double>(received_)); }

private:
    limpet::Host host_;
    uint64_t received_ = 0;
};

} // namespace

LIMPET_PLUGIN(ExecEvents, LIMPET_PROBE_NAME, LIMPET_PROBE_VERSION)
