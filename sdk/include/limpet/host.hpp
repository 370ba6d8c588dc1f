// SPDX-License-Identifier: Apache-2.0
//
// What a C++ probe works with: typed access to the agent (Host), what its calls return (Status), what it is given (Event,
// MapView). Included by plugin.hpp. Threads and lifetimes as abi.h says for the function behind each.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <limpet/abi.h>

namespace limpet {

inline limpet_text as_text(std::string_view text) noexcept
{
    return {text.data(), text.size()};
}

// What a call came to: ok, or a reason for the operator (what was tried, on what, how to mend it).
class [[nodiscard]] Status {
public:
    static Status ok() { return {LIMPET_OK, {}}; }
    static Status bad_config(std::string reason) { return {LIMPET_BAD_CONFIG, std::move(reason)}; }
    static Status unsupported(std::string reason) { return {LIMPET_UNSUPPORTED, std::move(reason)}; }
    static Status out_of_resource(std::string reason) { return {LIMPET_RESOURCE, std::move(reason)}; }
    static Status internal(std::string reason) { return {LIMPET_INTERNAL, std::move(reason)}; }

    limpet_status code() const noexcept { return code_; }
    const std::string& reason() const noexcept { return reason_; }

private:
    Status(limpet_status code, std::string reason) : code_(code), reason_(std::move(reason)) {}

    limpet_status code_;
    std::string reason_;
};

// A Status to throw, for places that cannot return one (the constructor, for one).
class Failure : public std::runtime_error {
public:
    // REQUIRES: status is not ok.
    explicit Failure(const Status& status) : std::runtime_error(status.reason()), code_(status.code()) {}
    limpet_status code() const noexcept { return code_; }

private:
    limpet_status code_;
};

// One record of the ring, valid during on_event.
class Event {
public:
    Event(const void* data, size_t size_bytes) noexcept : data_(data), size_bytes_(size_bytes) {}

    // The record as a T, or nullptr when it is too short to be one.
    template <typename T>
    const T* as() const noexcept
    {
        static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 8, "events are plain structs, aligned to 8");
        return size_bytes_ < sizeof(T) ? nullptr : static_cast<const T*>(data_);
    }
    const void* data() const noexcept { return data_; }
    size_t size_bytes() const noexcept { return size_bytes_; }

private:
    const void* data_;
    size_t size_bytes_;
};

// The elements of a mapped BPF array. The kernel writes while you read: copy what must agree with itself.
template <typename T>
class MapView {
public:
    static_assert(std::is_trivially_copyable_v<T> && alignof(T) <= 8, "map values are plain structs, aligned to 8");

    explicit MapView(const limpet_map_view& view) noexcept
        : data_(static_cast<const unsigned char*>(view.data)), stride_bytes_(view.stride_bytes), size_(view.entries)
    {
    }

    class Iterator {
    public:
        Iterator(const MapView& view, uint32_t index) noexcept : view_(&view), index_(index) {}
        const T& operator*() const noexcept { return (*view_)[index_]; }
        Iterator& operator++() noexcept { return ++index_, *this; }
        bool operator!=(const Iterator& other) const noexcept { return index_ != other.index_; }

    private:
        const MapView* view_;
        uint32_t index_;
    };

    uint32_t size() const noexcept { return size_; }
    // REQUIRES: index < size().
    const T& operator[](uint32_t index) const noexcept
    {
        return *static_cast<const T*>(static_cast<const void*>(data_ + stride_bytes_ * index));
    }
    Iterator begin() const noexcept { return {*this, 0}; }
    Iterator end() const noexcept { return {*this, size_}; }

private:
    const unsigned char* data_;
    uint64_t stride_bytes_;
    uint32_t size_;
};

// One label of a sample: {"state", "idle"}.
struct Label : limpet_label {
    Label(std::string_view label, std::string_view text) noexcept : limpet_label{as_text(label), as_text(text)} {}
};
static_assert(sizeof(Label) == sizeof(limpet_label), "an array of labels is handed over as it is");

constexpr uint32_t kNoWorkload = LIMPET_NO_WORKLOAD;

// What the agent does for a probe; see struct limpet_host for threads and lifetimes. A handle: copy it freely.
class Host {
public:
    explicit Host(const limpet_host* host) noexcept : host_(host) {}

    void log(limpet_log_level level, std::string_view line) const noexcept { host_->log(host_, level, as_text(line)); }
    void fail(std::string_view reason) const noexcept { host_->fail(host_, as_text(reason)); }
    uint64_t now_ns() const noexcept { return host_->now_ns(host_); }

    // The value of a key that the manifest declares; durations as std::chrono::nanoseconds or double (seconds).
    // T: int64_t, double, bool, std::string, std::chrono::nanoseconds, std::vector<std::string>.
    // Throws Failure when the manifest declares no such key of that type.
    template <typename T>
    T config(std::string_view key) const;

    // A map of the own BPF object. Valid from start() until stop() has returned.
    // Throws Failure when there is no such map, it is not mappable, or its values are shorter than a T.
    template <typename T>
    MapView<T> map_view(std::string_view name) const
    {
        limpet_map_view view{};
        if (!host_->map_view(host_, as_text(name), &view))
            throw Failure(Status::internal("map " + std::string(name) + ": not there, or not a BPF_F_MMAPABLE array"));
        if (view.stride_bytes < sizeof(T))
            throw Failure(
                Status::internal("map " + std::string(name) + ": its values are shorter than the type asked for"));
        return MapView<T>(view);
    }

    // Sets a global variable of the own BPF object, `const volatile` as a rule, before it is loaded; from configure() only.
    // The probe fails when there is no such variable, or one of another size. Throws Failure anywhere else.
    template <typename T>
    void set_variable(std::string_view name, const T& value) const
    {
        static_assert(std::is_trivially_copyable_v<T>, "variables are plain values");
        if (!host_->set_variable(host_, as_text(name), &value, sizeof(value)))
            throw Failure(Status::internal("variable " + std::string(name) + ": can be set in configure() only"));
    }

    // Reports one sample; call from collect() only. `workload` as the kernel side saw it, or kNoWorkload.
    void sample(std::string_view metric, uint32_t workload, std::initializer_list<Label> labels,
                double value) const noexcept
    {
        host_->sample(host_, as_text(metric), workload, labels.begin(), labels.size(), value);
    }

    // The name behind an address (IPv4 as ::ffff:a.b.c.d), as the dns probe has learned it; "" when none is known, or the
    // agent is older than minor 2.
    std::string name_of(const std::array<uint8_t, 16>& address) const
    {
        limpet_text name{};
        if (!has(offsetof(limpet_host, name_of)) || !host_->name_of(host_, address.data(), &name))
            return "";
        return {name.data, name.length};
    }

    const limpet_host* abi() const noexcept { return host_; }

private:
    // True when the agent has the function at this place of the table.
    bool has(size_t offset_bytes) const noexcept { return host_->size_bytes >= offset_bytes + sizeof(void*); }
    [[noreturn]] static void refuse(std::string_view key, const char* type)
    {
        throw Failure(Status::internal("config key " + std::string(key) + ": not declared as " + type));
    }

    const limpet_host* host_;
};

template <>
inline int64_t Host::config<int64_t>(std::string_view key) const
{
    int64_t value = 0;
    if (!host_->config_integer(host_, as_text(key), &value))
        refuse(key, "integer");
    return value;
}

template <>
inline double Host::config<double>(std::string_view key) const
{
    double value = 0;
    if (!host_->config_number(host_, as_text(key), &value))
        refuse(key, "number or duration");
    return value;
}

template <>
inline std::chrono::nanoseconds Host::config<std::chrono::nanoseconds>(std::string_view key) const
{
    return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(config<double>(key)));
}

template <>
inline bool Host::config<bool>(std::string_view key) const
{
    int32_t value = 0;
    if (!host_->config_boolean(host_, as_text(key), &value))
        refuse(key, "boolean");
    return value != 0;
}

template <>
inline std::string Host::config<std::string>(std::string_view key) const
{
    limpet_text value{};
    if (!host_->config_text(host_, as_text(key), &value))
        refuse(key, "text");
    return value.length ? std::string(value.data, value.length) : std::string();
}

// An undeclared list reads as an empty one: the interface does not tell them apart.
template <>
inline std::vector<std::string> Host::config<std::vector<std::string>>(std::string_view key) const
{
    std::vector<std::string> items;
    limpet_text item{};
    for (uint32_t index = 0; host_->config_item(host_, as_text(key), index, &item); ++index)
        items.emplace_back(item.length ? std::string(item.data, item.length) : std::string());
    return items;
}

} // namespace limpet
