// SPDX-License-Identifier: Apache-2.0
//
// Throws in its constructor: the agent must say why and go on.
#include <stdexcept>

#include <limpet/plugin.hpp>

namespace {

class Throws {
public:
    explicit Throws(limpet::Host) { throw std::runtime_error("this probe never comes to life"); }
};

} // namespace

LIMPET_PLUGIN(Throws, LIMPET_PROBE_NAME, LIMPET_PROBE_VERSION)
