// SPDX-License-Identifier: Apache-2.0
//
// The agent's side of the C ABI: the function table that a probe is given, and what stands behind each function.
//
// Owner: PluginInstance; must not move, since the probe keeps its address. The functions are called by the probe during calls
// of the agent into it, under the agent's mutex; log() may come from any thread. No function lets an exception out.
#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "limpet/abi.h"

#include "config.hpp"
#include "families.hpp"
#include "manifest.hpp"
#include "mapped_map.hpp"

namespace limpet {

class BpfObject;
class Workloads;

// The name behind an address of 16 bytes, "" when none is known.
using NameLookup = std::function<std::string(const uint8_t* address)>;

class PluginHost {
public:
    PluginHost(const Manifest& manifest, const std::map<std::string, ConfigValue>& values, uint32_t series_limit,
               NameLookup name_of);
    PluginHost(const PluginHost&) = delete;
    PluginHost& operator=(const PluginHost&) = delete;

    [[nodiscard]] const limpet_host* table() const { return &table_.functions; }

    // What the probe said with fail() since the last take.
    [[nodiscard]] std::string take_reason();

    // From `start` on; nullptr takes the maps away again.
    void set_object(const BpfObject* object);
    // What the probe has set with set_variable(), which is heard only while variables are open. Replaces what was set before.
    using Variables = std::map<std::string, std::vector<std::byte>>;
    void open_variables();
    void close_variables() { takes_variables_ = false; }
    [[nodiscard]] const Variables& variables() const { return variables_; }
    void set_values(const std::map<std::string, ConfigValue>& values) { values_ = values; }

    // Around one collect(): sample() is heard only in between.
    void begin_collect(const Workloads& workloads);
    void end_collect(Families& families);
    // Samples over the limit, which are added up under "other", and those of metrics and labels that the manifest does not declare.
    [[nodiscard]] uint64_t dropped_samples() const { return dropped_samples_; }
    [[nodiscard]] uint32_t samples() const { return static_cast<uint32_t>(last_samples_); }

private:
    // First member of a standard-layout struct: a pointer to it is a pointer to the struct.
    struct Table {
        limpet_host functions;
        PluginHost* owner;
    };
    struct Sample {
        const ManifestMetric* metric;
        Labels labels;
        double value;
    };

    static PluginHost& of(const limpet_host* host);
    static void fill(limpet_host& functions);
    template <typename T>
    const T* value(limpet_text key) const;
    int32_t item(limpet_text key, uint32_t index, limpet_text* out);
    int32_t view(limpet_text map, limpet_map_view* out);
    int32_t name(const uint8_t* address, limpet_text* out);
    int32_t set_variable(limpet_text variable, const void* data, size_t size_bytes);
    void sample(limpet_text metric, uint32_t workload, const limpet_label* labels, size_t label_count, double number);
    void add(Sample sample);
    static std::string identity_of(const Sample& sample);

    Table table_{};
    Manifest manifest_;
    std::map<std::string, ConfigValue> values_;
    size_t series_limit_;
    std::mutex reason_mutex_; // fail() may come from any thread
    std::string reason_;      // guarded by reason_mutex_
    std::string item_text_;   // of the last config_item() that was a number
    NameLookup name_of_;
    std::string name_; // of the last name_of()
    const BpfObject* object_ = nullptr;
    std::map<std::string, MappedMap> views_;
    Variables variables_;
    bool takes_variables_ = false;
    const Workloads* workloads_ = nullptr; // during collect()
    std::vector<Sample> samples_;
    std::unordered_map<std::string, size_t> sample_by_text_;
    size_t last_samples_ = 0;
    uint64_t dropped_samples_ = 0;
};

} // namespace limpet
