// SPDX-License-Identifier: Apache-2.0
#include "plugin_instance.hpp"

#include <algorithm>
#include <cstring>
#include <exception>

#include "log.hpp"

namespace limpet {
namespace {

// The operations that the probe knew when it was compiled; later ones stay null.
limpet_operations known_operations(const limpet_plugin* plugin)
{
    limpet_operations known{};
    if (plugin->operations)
        std::memcpy(&known, plugin->operations, std::min<size_t>(plugin->operations->size_bytes, sizeof(known)));
    return known;
}

const char* words_for(limpet_status status)
{
    switch (status) {
    case LIMPET_BAD_CONFIG:
        return "cannot use its configuration";
    case LIMPET_UNSUPPORTED:
        return "is not supported on this host";
    case LIMPET_RESOURCE:
        return "ran out of memory, descriptors or a limit";
    default:
        return "failed";
    }
}

} // namespace

PluginInstance::PluginInstance(const limpet_plugin* plugin, std::unique_ptr<PluginHost> host)
    : operations_(known_operations(plugin)), host_(std::move(host))
{
}

PluginInstance::~PluginInstance()
{
    stop();
    if (is_created_ && operations_.destroy && !has_thrown_)
        (void)guard("destroy", [this] {
            operations_.destroy(instance_);
            return limpet_status{LIMPET_OK};
        });
}

Done PluginInstance::guard(const char* operation, const std::function<limpet_status()>& call)
{
    const std::string name = operation;
    (void)host_->take_reason();
    try {
        const limpet_status status = call();
        const std::string reason = host_->take_reason();
        if (status == LIMPET_OK)
            return done();
        return Error{status == LIMPET_UNSUPPORTED ? EOPNOTSUPP : 0,
                     reason.empty() ? name + " " + words_for(status) + " and gave no reason" : reason};
    } catch (const std::exception& exception) {
        has_thrown_ = true;
        return Error{0, name + " threw an exception: " + exception.what()};
    } catch (...) { // other run-times' exceptions as well
        has_thrown_ = true;
        return Error{0, name + " threw an exception that is no std::exception"};
    }
}

Done PluginInstance::create()
{
    if (!operations_.create)
        return done();
    const Done created = guard("create", [this] { return operations_.create(host_->table(), &instance_); });
    is_created_ = created.has_value();
    return created;
}

Done PluginInstance::configure()
{
    if (!operations_.configure)
        return done();
    host_->open_variables();
    const Done configured = guard("configure", [this] { return operations_.configure(instance_); });
    host_->close_variables();
    return configured;
}

Done PluginInstance::start(const BpfObject* object)
{
    host_->set_object(object);
    is_started_ = true;
    if (!operations_.start)
        return done();
    return guard("start", [this] { return operations_.start(instance_); });
}

bool PluginInstance::can_reconfigure() const
{
    return operations_.reconfigure != nullptr && !has_thrown_;
}

Done PluginInstance::reconfigure(const std::map<std::string, ConfigValue>& values)
{
    host_->set_values(values);
    return guard("reconfigure", [this] { return operations_.reconfigure(instance_); });
}

Done PluginInstance::on_event(const void* data, size_t size_bytes)
{
    if (!operations_.on_event || has_thrown_)
        return done();
    return guard("on_event", [&] {
        operations_.on_event(instance_, data, size_bytes);
        return limpet_status{LIMPET_OK};
    });
}

Done PluginInstance::collect(const Workloads& workloads, Families& families)
{
    if (!operations_.collect || has_thrown_)
        return done();
    host_->begin_collect(workloads);
    const Done collected = guard("collect", [this] {
        operations_.collect(instance_);
        return limpet_status{LIMPET_OK};
    });
    host_->end_collect(families);
    return collected;
}

void PluginInstance::stop()
{
    if (std::exchange(is_started_, false) && operations_.stop && !has_thrown_) {
        const Done stopped = guard("stop", [this] {
            operations_.stop(instance_);
            return limpet_status{LIMPET_OK};
        });
        if (!stopped)
            log(LogLevel::kWarn, "agent", "a probe's " + stopped.error().text);
    }
    host_->set_object(nullptr);
}

} // namespace limpet
