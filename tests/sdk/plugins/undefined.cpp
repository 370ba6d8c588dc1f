// SPDX-License-Identifier: Apache-2.0
//
// Needs a symbol that nobody defines. limpet_add_probe refuses to build it; a careless author's own build would not.
#include <limpet/plugin.hpp>

extern "C" int limpet_nobody_defines_this();

namespace {

class Undefined {
public:
    explicit Undefined(limpet::Host host) { host.log(LIMPET_LOG_INFO, std::to_string(limpet_nobody_defines_this())); }
};

} // namespace

LIMPET_PLUGIN(Undefined, "undefined", "1.0.0")
