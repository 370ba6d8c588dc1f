// SPDX-License-Identifier: Apache-2.0
#include <limpet/plugin.hpp>

namespace {

class Outside {
public:
    explicit Outside(limpet::Host host) : host_(host) {}
    limpet::Status start()
    {
        host_.log(LIMPET_LOG_INFO, "an outside probe has started");
        return limpet::Status::ok();
    }

private:
    limpet::Host host_;
};

} // namespace

LIMPET_PLUGIN(Outside, LIMPET_PROBE_NAME, LIMPET_PROBE_VERSION)
