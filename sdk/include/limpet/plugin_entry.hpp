// SPDX-License-Identifier: Apache-2.0
//
// Behind LIMPET_PLUGIN: the table of C functions that call a C++ probe and let no exception out. Included by plugin.hpp;
// authors of probes need not read it. Calls come from the agent, one at a time per instance.
#pragma once

#include <cstddef>
#include <exception>
#include <new>
#include <string>
#include <type_traits>
#include <utility>

#include <limpet/host.hpp>

namespace limpet {

namespace detail {

// LIMPET_METHOD(name, result, arguments): does a class have a member of that name, and can it be called as agreed?
// The first is answered even for private and overloaded members: a derived class that inherits the name twice finds it
// ambiguous. So a method with a wrong signature is an error that says so, and not silently left uncalled.
#define LIMPET_METHOD(name, result, arguments)                                                                         \
    struct name##_decoy {                                                                                              \
        int name;                                                                                                      \
    };                                                                                                                 \
    template <typename T>                                                                                              \
    struct name##_both : T, name##_decoy {};                                                                           \
    template <typename T, typename = void>                                                                             \
    struct has_##name : std::true_type {};                                                                             \
    template <typename T>                                                                                              \
    struct has_##name<T, std::void_t<decltype(&name##_both<T>::name)>> : std::false_type {};                           \
    template <typename T, typename = void>                                                                             \
    struct is_right_##name : std::false_type {};                                                                       \
    template <typename T>                                                                                              \
    struct is_right_##name<T, std::void_t<decltype(std::declval<T&>().name arguments)>>                                \
        : std::is_same<decltype(std::declval<T&>().name arguments), result> {}

LIMPET_METHOD(configure, Status, ());
LIMPET_METHOD(start, Status, ());
LIMPET_METHOD(on_event, void, (std::declval<Event>()));
LIMPET_METHOD(collect, void, ());
LIMPET_METHOD(reconfigure, Status, ());
LIMPET_METHOD(stop, void, ());
#undef LIMPET_METHOD

// What is being thrown, as a Status. Call from a catch block only.
inline Status status_of_exception()
{
    try {
        throw;
    } catch (const Failure& failure) {
        const std::string reason = failure.what();
        switch (failure.code()) {
        case LIMPET_BAD_CONFIG:
            return Status::bad_config(reason);
        case LIMPET_UNSUPPORTED:
            return Status::unsupported(reason);
        case LIMPET_RESOURCE:
            return Status::out_of_resource(reason);
        default:
            return Status::internal(reason);
        }
    } catch (const std::bad_alloc&) {
        return Status::out_of_resource("out of memory");
    } catch (const std::exception& error) {
        return Status::internal(error.what());
    } catch (...) {
        return Status::internal("an exception that is not a std::exception");
    }
}

// Calls `body` and turns whatever it returns or throws into a status code and a reason.
template <typename Body>
limpet_status guarded(const limpet_host* host, Body body) noexcept
{
    try {
        Status status = Status::ok();
        try {
            status = body();
        } catch (...) {
            status = status_of_exception();
        }
        if (status.code() != LIMPET_OK)
            host->fail(host, as_text(status.reason()));
        return status.code();
    } catch (...) {
        return LIMPET_RESOURCE; // no memory for the reason
    }
}

// The object behind the ABI's `instance` and the functions that the agent calls on it.
template <typename T>
struct Plugin {
    static_assert(std::is_class_v<T> && !std::is_final_v<T>, "LIMPET_PLUGIN needs a class that is not final");
    static_assert(std::is_constructible_v<T, Host>, "a probe has a public constructor that takes a limpet::Host");
    static_assert(!has_configure<T>() || is_right_configure<T>(), "must be public: limpet::Status configure()");
    static_assert(!has_start<T>() || is_right_start<T>(), "must be public: limpet::Status start()");
    static_assert(!has_on_event<T>() || is_right_on_event<T>(), "must be public: void on_event(limpet::Event)");
    static_assert(!has_collect<T>() || is_right_collect<T>(), "must be public: void collect()");
    static_assert(!has_reconfigure<T>() || is_right_reconfigure<T>(), "must be public: limpet::Status reconfigure()");
    static_assert(!has_stop<T>() || is_right_stop<T>(), "must be public: void stop()");

    explicit Plugin(const limpet_host* abi) : host(abi), probe(Host(abi)) {}
    static Plugin& of(void* instance) noexcept { return *static_cast<Plugin*>(instance); }

    // For calls without a status: the first exception is logged, later ones would only repeat it.
    template <typename Body>
    void shielded(const char* call, Body body) noexcept
    {
        try {
            body();
        } catch (...) {
            if (!std::exchange(has_complained, true))
                complain(call);
        }
    }
    void complain(const char* call) const noexcept
    {
        try {
            const std::string reason = status_of_exception().reason();
            Host(host).log(LIMPET_LOG_ERROR, std::string(call) + " threw: " + reason + " (said once)");
        } catch (...) {
            return; // no memory for the line
        }
    }

    // Every agent of this ABI's major number has the members up to now_ns. A member that a later minor number appends
    // must be asked for before use: offsetof(limpet_host, member) + sizeof(host->member) <= host->size_bytes.
    static limpet_status create(const limpet_host* host, void** instance) noexcept
    {
        if (host->size_bytes < offsetof(limpet_host, now_ns) + sizeof(host->now_ns))
            return LIMPET_UNSUPPORTED;
        return guarded(host, [&] {
            *instance = new Plugin(host);
            return Status::ok();
        });
    }
    static void destroy(void* instance) noexcept { delete &of(instance); }
    static limpet_status configure(void* instance) noexcept
    {
        return guarded(of(instance).host, [&] { return of(instance).probe.configure(); });
    }
    static limpet_status start(void* instance) noexcept
    {
        return guarded(of(instance).host, [&] { return of(instance).probe.start(); });
    }
    static limpet_status reconfigure(void* instance) noexcept
    {
        return guarded(of(instance).host, [&] { return of(instance).probe.reconfigure(); });
    }
    static void on_event(void* instance, const void* data, size_t size_bytes) noexcept
    {
        of(instance).shielded("on_event", [&] { of(instance).probe.on_event(Event(data, size_bytes)); });
    }
    static void collect(void* instance) noexcept
    {
        of(instance).shielded("collect", [&] { of(instance).probe.collect(); });
    }
    static void stop(void* instance) noexcept
    {
        of(instance).shielded("stop", [&] { of(instance).probe.stop(); });
    }

    static constexpr limpet_operations operations()
    {
        limpet_operations table{};
        table.size_bytes = sizeof(limpet_operations);
        table.create = &create;
        table.destroy = &destroy;
        if constexpr (has_configure<T>())
            table.configure = &configure;
        if constexpr (has_start<T>())
            table.start = &start;
        if constexpr (has_on_event<T>())
            table.on_event = &on_event;
        if constexpr (has_collect<T>())
            table.collect = &collect;
        if constexpr (has_reconfigure<T>())
            table.reconfigure = &reconfigure;
        if constexpr (has_stop<T>())
            table.stop = &stop;
        return table;
    }

    const limpet_host* host;
    T probe;
    bool has_complained = false;
};

template <typename T>
inline constexpr limpet_operations kOperations = Plugin<T>::operations();

} // namespace detail

// The descriptor of a probe; `name` and `version` as in the manifest.
template <typename T>
constexpr limpet_plugin describe(const char* name, const char* version)
{
    limpet_plugin plugin{};
    plugin.magic = LIMPET_MAGIC;
    plugin.size_bytes = sizeof(limpet_plugin);
    plugin.abi_major = LIMPET_ABI_MAJOR;
    plugin.abi_minor = LIMPET_ABI_MINOR;
    plugin.name = name;
    plugin.version = version;
    plugin.operations = &detail::kOperations<T>;
    return plugin;
}

} // namespace limpet
