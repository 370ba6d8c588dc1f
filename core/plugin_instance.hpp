// SPDX-License-Identifier: Apache-2.0
//
// The user-space half of one probe: its code, its instance, and the one guard around every call into it.
//
// Owner: Probe; guarded by the agent's mutex, so that no two calls run at once. Whatever a call throws ends here as an
// Error. A probe without user-space code is an instance whose calls all succeed.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "limpet/abi.h"

#include "plugin_host.hpp"
#include "result.hpp"

namespace limpet {

class PluginInstance {
public:
    // `plugin` is checked and stays mapped for good.
    PluginInstance(const limpet_plugin* plugin, std::unique_ptr<PluginHost> host);
    PluginInstance(const PluginInstance&) = delete;
    PluginInstance& operator=(const PluginInstance&) = delete;
    // Calls stop and destroy where they are due.
    ~PluginInstance();

    // Each failure's text names the call and the probe's own reason. Error::error_number is EOPNOTSUPP for
    // LIMPET_UNSUPPORTED.
    Done create();
    Done configure();
    Done start(const BpfObject* object);
    Done reconfigure(const std::map<std::string, ConfigValue>& values);
    Done on_event(const void* data, size_t size_bytes);
    Done collect(const Workloads& workloads, Families& families);
    void stop();

    [[nodiscard]] bool can_reconfigure() const;
    // A call has thrown: the instance's state is not to be relied on, and no further call is made.
    [[nodiscard]] bool has_thrown() const { return has_thrown_; }
    [[nodiscard]] const PluginHost& host() const { return *host_; }

private:
    Done guard(const char* operation, const std::function<limpet_status()>& call);

    const limpet_operations operations_; // absent members are null
    std::unique_ptr<PluginHost> host_;
    void* instance_ = nullptr;
    bool is_created_ = false;
    bool is_started_ = false;
    bool has_thrown_ = false;
};

} // namespace limpet
