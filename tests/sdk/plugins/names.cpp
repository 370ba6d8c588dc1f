// SPDX-License-Identifier: Apache-2.0
//
// Asks the agent for the names behind the addresses 192.0.2.0 to 192.0.2.255.
#include <array>
#include <cstdint>

#include <limpet/plugin.hpp>

namespace {

class Names {
public:
    explicit Names(limpet::Host host) : host_(host) {}

    void collect()
    {
        std::array<uint8_t, 16> address{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 0};
        for (unsigned last = 0; last < 256; ++last) {
            address[15] = static_cast<uint8_t>(last);
            if (const std::string name = host_.name_of(address); !name.empty())
                host_.sample("names_known", limpet::kNoWorkload,
                             {{"address", "192.0.2." + std::to_string(last)}, {"name", name}}, 1);
        }
    }

private:
    limpet::Host host_;
};

} // namespace

LIMPET_PLUGIN(Names, LIMPET_PROBE_NAME, LIMPET_PROBE_VERSION)
