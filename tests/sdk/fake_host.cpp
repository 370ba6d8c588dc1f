// SPDX-License-Identifier: Apache-2.0
#include "fake_host.hpp"

namespace limpet::test {
namespace {

const FakeHost& self(const limpet_host* host)
{
    return *static_cast<const FakeHost*>(host);
}

std::string string_of(limpet_text text)
{
    return text.length ? std::string(text.data, text.length) : std::string();
}

limpet_text text_of(const std::string& string)
{
    return {string.data(), string.size()};
}

// 1 and the value when `values` has the key, as the table's config functions answer.
template <typename Values, typename Out>
int32_t answer(const Values& values, limpet_text key, Out* out)
{
    const auto found = values.find(string_of(key));
    if (found == values.end())
        return 0;
    *out = found->second;
    return 1;
}

int32_t config_text(const limpet_host* host, limpet_text key, limpet_text* out)
{
    const auto found = self(host).texts.find(string_of(key));
    if (found == self(host).texts.end())
        return 0;
    *out = text_of(found->second);
    return 1;
}

int32_t config_item(const limpet_host* host, limpet_text key, uint32_t index, limpet_text* out)
{
    const auto found = self(host).lists.find(string_of(key));
    if (found == self(host).lists.end() || index >= found->second.size())
        return 0;
    *out = text_of(found->second[index]);
    return 1;
}

void sample(const limpet_host* host, limpet_text metric, uint32_t workload, const limpet_label* labels, size_t count,
            double value)
{
    Sample taken{string_of(metric), workload, {}, value};
    for (size_t index = 0; index < count; ++index)
        taken.labels.emplace_back(string_of(labels[index].name), string_of(labels[index].value));
    self(host).samples.push_back(std::move(taken));
}

} // namespace

FakeHost::FakeHost() : limpet_host{}
{
    size_bytes = sizeof(limpet_host);
    abi_major = LIMPET_ABI_MAJOR;
    abi_minor = LIMPET_ABI_MINOR;
    log = [](const limpet_host* host, int32_t, limpet_text line) { self(host).log_lines.push_back(string_of(line)); };
    fail = [](const limpet_host* host, limpet_text reason) { self(host).failure = string_of(reason); };
    config_integer = [](const limpet_host* host, limpet_text key, int64_t* out) {
        return answer(self(host).integers, key, out);
    };
    config_number = [](const limpet_host* host, limpet_text key, double* out) {
        return answer(self(host).numbers, key, out);
    };
    config_boolean = [](const limpet_host* host, limpet_text key, int32_t* out) {
        return answer(self(host).booleans, key, out);
    };
    limpet_host::config_text = test::config_text;
    limpet_host::config_item = test::config_item;
    map_view = [](const limpet_host* host, limpet_text name, limpet_map_view* out) {
        return answer(self(host).maps, name, out);
    };
    limpet_host::sample = test::sample;
    now_ns = [](const limpet_host* host) { return self(host).clock_ns; };
    name_of = [](const limpet_host* host, const uint8_t* address, limpet_text* out) {
        const auto found = self(host).names.find({address, address + 16});
        return found == self(host).names.end() ? 0 : (*out = text_of(found->second), 1);
    };
    set_variable = [](const limpet_host* host, limpet_text name, const void* data, size_t size) {
        self(host).variables[string_of(name)].assign(static_cast<const char*>(data), size);
        return int32_t{1};
    };
}

} // namespace limpet::test
