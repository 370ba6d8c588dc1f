// SPDX-License-Identifier: Apache-2.0
//
// The C++ side of a probe: a plain class, and one line that turns it into a plugin. Header only, C++17, std alone.
//
//     class Exec {
//     public:
//         explicit Exec(limpet::Host host) : host_(host) {}
//         void on_event(limpet::Event event);
//         void collect();
//     private:
//         limpet::Host host_;
//     };
//     LIMPET_PLUGIN(Exec, LIMPET_PROBE_NAME, LIMPET_PROBE_VERSION)
//
// The constructor takes a limpet::Host. Every method is optional; abi.h says when and on which thread each is called:
//     limpet::Status configure();              read the config; the BPF object is not loaded yet
//     limpet::Status start();                  the BPF object runs, maps can be viewed
//     void           on_event(limpet::Event);  one record of the ring limpet_events
//     void           collect();                report samples
//     limpet::Status reconfigure();            reloadable keys have changed; on failure keep the old values
//     void           stop();                   last call before the destructor
// Any of them may throw. What is thrown becomes the status of the call and its reason; nothing crosses the boundary.
#pragma once

#include <limpet/host.hpp>
#include <limpet/plugin_entry.hpp>

// Exports `Type` as the probe of this shared object. Once per object, at namespace scope.
#define LIMPET_PLUGIN(Type, name, version)                                                                             \
    extern "C" const limpet_plugin* limpet_plugin_v1(void)                                                             \
    {                                                                                                                  \
        static constexpr limpet_plugin kPlugin = ::limpet::describe<Type>(name, version);                              \
        return &kPlugin;                                                                                               \
    }
