// SPDX-License-Identifier: Apache-2.0
//
// Takes some microseconds for each event, as a probe would that makes a span of it.
#include <cstdint>
#include <string>

#include <limpet/plugin.hpp>

#include "flood_shared.h"

namespace {

class Flood {
public:
    explicit Flood(limpet::Host host) : host_(host) {}

    limpet::Status configure()
    {
        host_.set_variable("is_sampled", uint32_t{host_.config<bool>("sampled")});
        return limpet::Status::ok();
    }

    void on_event(limpet::Event event)
    {
        const auto* call = event.as<flood_event>();
        if (call == nullptr)
            return;
        ++received_;
        for (uint64_t i = 0; i < 200; ++i)
            bytes_ += std::to_string(call->number * i).size();
    }

    void collect()
    {
        host_.sample("flood_events_total", limpet::kNoWorkload, {}, static_cast<double>(received_));
        host_.sample("flood_digits_total", limpet::kNoWorkload, {}, static_cast<double>(bytes_));
    }

private:
    limpet::Host host_;
    uint64_t received_ = 0;
    uint64_t bytes_ = 0;
};

} // namespace

LIMPET_PLUGIN(Flood, LIMPET_PROBE_NAME, LIMPET_PROBE_VERSION)
