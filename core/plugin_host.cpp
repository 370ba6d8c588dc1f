// SPDX-License-Identifier: Apache-2.0
#include "plugin_host.hpp"

#include <algorithm>
#include <cstdio>
#include <ctime>

#include "bpf_object.hpp"
#include "label_decoder.hpp"
#include "log.hpp"
#include "workloads.hpp"

namespace limpet {
namespace {

constexpr const char* kOverflowText = "other"; // as in series tables

std::string string_of(limpet_text text)
{
    return text.data ? std::string(text.data, text.length) : std::string();
}

limpet_text text_of(const std::string& text)
{
    return {text.data(), text.size()};
}

// One line of valid UTF-8, whatever the probe gave us.
std::string line_of(limpet_text text)
{
    std::string line = valid_utf8(string_of(text));
    std::replace(line.begin(), line.end(), '\n', ' ');
    return line;
}

std::string shortest_decimal(double number)
{
    char text[32];
    for (int digits = 1; digits <= 17; ++digits) {
        std::snprintf(text, sizeof(text), "%.*g", digits, number);
        double back = 0;
        if (std::sscanf(text, "%lf", &back) == 1 && !(back < number) && !(back > number))
            break;
    }
    return text;
}

LogLevel level_of(int32_t level)
{
    switch (level) {
    case LIMPET_LOG_DEBUG:
        return LogLevel::kDebug;
    case LIMPET_LOG_INFO:
        return LogLevel::kInfo;
    case LIMPET_LOG_WARN:
        return LogLevel::kWarn;
    default:
        return LogLevel::kError;
    }
}

// Runs the body of a host function; out of memory, or any other surprise, stays on our side of the boundary.
template <typename Result, typename Body>
Result kept_in(Result otherwise, Body body) noexcept
{
    try {
        return body();
    } catch (...) {
        return otherwise;
    }
}

template <typename Body>
void kept_in(Body body) noexcept
{
    kept_in(0, [&] {
        body();
        return 0;
    });
}

uint64_t monotonic_ns()
{
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

} // namespace

PluginHost::PluginHost(const Manifest& manifest, const std::map<std::string, ConfigValue>& values,
                       uint32_t series_limit, NameLookup name_of)
    : manifest_(manifest), values_(values), series_limit_(series_limit), name_of_(std::move(name_of))
{
    fill(table_.functions);
    table_.owner = this;
}

PluginHost& PluginHost::of(const limpet_host* host)
{
    return *reinterpret_cast<const Table*>(host)->owner;
}

void PluginHost::fill(limpet_host& functions)
{
    functions.size_bytes = sizeof(limpet_host);
    functions.abi_major = LIMPET_ABI_MAJOR;
    functions.abi_minor = LIMPET_ABI_MINOR;
    functions.log = [](const limpet_host* host, int32_t level, limpet_text line) {
        kept_in([&] { log(level_of(level), of(host).manifest_.name, line_of(line)); });
    };
    functions.fail = [](const limpet_host* host, limpet_text reason) {
        kept_in([&] {
            const std::lock_guard lock(of(host).reason_mutex_);
            of(host).reason_ = line_of(reason);
        });
    };
    functions.config_integer = [](const limpet_host* host, limpet_text key, int64_t* out) {
        return kept_in<int32_t>(0, [&] {
            const auto* found = of(host).value<int64_t>(key);
            return found ? (*out = *found, 1) : 0;
        });
    };
    functions.config_number = [](const limpet_host* host, limpet_text key, double* out) {
        return kept_in<int32_t>(0, [&] {
            const auto* found = of(host).value<double>(key);
            return found ? (*out = *found, 1) : 0;
        });
    };
    functions.config_boolean = [](const limpet_host* host, limpet_text key, int32_t* out) {
        return kept_in<int32_t>(0, [&] {
            const auto* found = of(host).value<bool>(key);
            return found ? (*out = *found, 1) : 0;
        });
    };
    functions.config_text = [](const limpet_host* host, limpet_text key, limpet_text* out) {
        return kept_in<int32_t>(0, [&] {
            const auto* found = of(host).value<std::string>(key);
            return found ? (*out = text_of(*found), 1) : 0;
        });
    };
    functions.config_item = [](const limpet_host* host, limpet_text key, uint32_t index, limpet_text* out) {
        return kept_in<int32_t>(0, [&] { return of(host).item(key, index, out); });
    };
    functions.map_view = [](const limpet_host* host, limpet_text map, limpet_map_view* out) {
        return kept_in<int32_t>(0, [&] { return of(host).view(map, out); });
    };
    functions.sample = [](const limpet_host* host, limpet_text metric, uint32_t workload, const limpet_label* labels,
                          size_t label_count, double value) {
        kept_in([&] { of(host).sample(metric, workload, labels, label_count, value); });
    };
    functions.now_ns = [](const limpet_host*) { return monotonic_ns(); };
    functions.name_of = [](const limpet_host* host, const uint8_t* address, limpet_text* out) {
        return kept_in<int32_t>(0, [&] { return of(host).name(address, out); });
    };
    functions.set_variable = [](const limpet_host* host, limpet_text variable, const void* data, size_t size_bytes) {
        return kept_in<int32_t>(0, [&] { return of(host).set_variable(variable, data, size_bytes); });
    };
}

std::string PluginHost::take_reason()
{
    const std::lock_guard lock(reason_mutex_);
    return std::exchange(reason_, {});
}

void PluginHost::set_object(const BpfObject* object)
{
    object_ = object;
    views_.clear();
}

template <typename T>
const T* PluginHost::value(limpet_text key) const
{
    const auto found = values_.find(string_of(key));
    return found == values_.end() ? nullptr : std::get_if<T>(&found->second);
}

int32_t PluginHost::item(limpet_text key, uint32_t index, limpet_text* out)
{
    if (const auto* texts = value<std::vector<std::string>>(key); texts && index < texts->size()) {
        *out = text_of((*texts)[index]);
        return 1;
    }
    if (const auto* numbers = value<std::vector<double>>(key); numbers && index < numbers->size()) {
        item_text_ = shortest_decimal((*numbers)[index]);
        *out = text_of(item_text_);
        return 1;
    }
    return 0;
}

int32_t PluginHost::view(limpet_text map, limpet_map_view* out)
{
    const std::string name = string_of(map);
    if (!object_ || !object_->is_mappable(name))
        return 0;
    auto found = views_.find(name);
    if (found == views_.end()) {
        Result<MappedMap> mapped = object_->view(name);
        if (!mapped) {
            log(LogLevel::kWarn, manifest_.name, mapped.error().text);
            return 0;
        }
        found = views_.emplace(name, std::move(*mapped)).first;
    }
    *out = {found->second.data(), array_stride(object_->map_value_size_bytes(name)), object_->map_entries(name), 0};
    return 1;
}

int32_t PluginHost::name(const uint8_t* address, limpet_text* out)
{
    name_ = valid_utf8(name_of_(address));
    if (name_.empty())
        return 0;
    *out = text_of(name_);
    return 1;
}

void PluginHost::open_variables()
{
    variables_.clear();
    takes_variables_ = true;
}

int32_t PluginHost::set_variable(limpet_text variable, const void* data, size_t size_bytes)
{
    if (!takes_variables_)
        return 0;
    const auto* bytes = static_cast<const std::byte*>(data);
    variables_[string_of(variable)].assign(bytes, bytes + size_bytes);
    return 1;
}

void PluginHost::begin_collect(const Workloads& workloads)
{
    workloads_ = &workloads;
    samples_.clear();
    sample_by_text_.clear();
}

void PluginHost::sample(limpet_text metric, uint32_t workload, const limpet_label* labels, size_t label_count,
                        double number)
{
    const std::string name = string_of(metric);
    const auto declared = std::find_if(manifest_.metrics.begin(), manifest_.metrics.end(),
                                       [&](const ManifestMetric& candidate) { return candidate.name == name; });
    if (!workloads_ || declared == manifest_.metrics.end()) {
        ++dropped_samples_;
        return;
    }
    if (workload != LIMPET_NO_WORKLOAD && workloads_->is_forgotten(workload))
        return; // the probe remembers a workload that has ended
    Sample sample{&*declared, {}, number};
    if (workload != LIMPET_NO_WORKLOAD) {
        const WorkloadName& who = workloads_->name(workload);
        sample.labels = {{"container_id", who.container_id}, {"service_name", who.service_name}};
    }
    for (size_t i = 0; i < label_count; ++i) {
        const std::string label = string_of(labels[i].name);
        if (std::find(declared->labels.begin(), declared->labels.end(), label) == declared->labels.end()) {
            ++dropped_samples_;
            return;
        }
        sample.labels.push_back({label, valid_utf8(string_of(labels[i].value))});
    }
    std::sort(sample.labels.begin(), sample.labels.end());
    if (samples_.size() >= series_limit_ && !sample_by_text_.contains(identity_of(sample))) {
        ++dropped_samples_;
        for (auto& label : sample.labels)
            label.value = kOverflowText;
    }
    add(std::move(sample));
}

// Two workloads may have one name, and a family holds a set of labels once: adds up.
void PluginHost::add(Sample sample)
{
    const auto [known, is_new] = sample_by_text_.try_emplace(identity_of(sample), samples_.size());
    if (is_new)
        samples_.push_back(std::move(sample));
    else
        samples_[known->second].value += sample.value;
}

std::string PluginHost::identity_of(const Sample& sample)
{
    std::string text = sample.metric->name + '\0';
    for (const auto& label : sample.labels)
        text.append(label.name).append(1, '\0').append(label.value).append(1, '\0');
    return text;
}

void PluginHost::end_collect(Families& families)
{
    workloads_ = nullptr;
    last_samples_ = std::min<size_t>(samples_.size(), series_limit_); // without those called "other"
    for (Sample& sample : samples_)
        families.add(sample.metric->name, sample.metric->kind == "counter" ? MetricKind::kCounter : MetricKind::kGauge,
                     sample.metric->help, std::move(sample.labels), sample.value);
    samples_.clear();
}

} // namespace limpet
