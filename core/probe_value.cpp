// SPDX-License-Identifier: Apache-2.0
#include "probe_value.hpp"

#include <algorithm>
#include <cmath>

#include "duration.hpp"
#include "suggestion.hpp"

namespace limpet {
namespace {

using RawValue = ProbeConfig::RawValue;

std::string quoted(const std::string& text)
{
    std::string result = "\"";
    for (const char letter : text) {
        if (letter == '"' || letter == '\\')
            result += '\\';
        result += letter;
    }
    return result + '"';
}

template <typename Item, typename Write>
std::string written_list(const std::vector<Item>& items, Write write)
{
    std::string result = "[";
    for (const Item& item : items)
        result += (result.size() > 1 ? ", " : "") + write(item);
    return result + "]";
}

// The value as written, for "found …" in messages.
std::string found(const RawValue& raw)
{
    struct Show {
        std::string operator()(int64_t value) const { return " " + std::to_string(value); }
        std::string operator()(double value) const { return " " + number_text(value); }
        std::string operator()(bool value) const { return value ? " true" : " false"; }
        std::string operator()(const std::string& value) const { return value.size() > 60 ? "" : " " + quoted(value); }
        std::string operator()(const std::vector<std::string>&) const { return ""; }
        std::string operator()(const std::vector<double>&) const { return ""; }
    };
    return raw.toml_type + std::visit(Show{}, raw.value);
}

Error expected(const std::string& what, const RawValue& raw)
{
    return {0, "expected " + what + ", found " + found(raw)};
}

// A bound as it would be written for this key.
std::string bound_text(const ManifestKey& key, double bound)
{
    return key.type == "duration" ? duration_text(bound) : number_text(bound);
}

Done check_range(const ManifestKey& key, double number)
{
    if (!std::isfinite(number))
        return Error{0, "must be a finite number"};
    const bool is_low = key.minimum && number < *key.minimum;
    const bool is_high = key.maximum && number > *key.maximum;
    if (!is_low && !is_high)
        return done();
    std::string text = bound_text(key, number) + " is out of range; use ";
    if (key.minimum && key.maximum)
        text += bound_text(key, *key.minimum) + " to " + bound_text(key, *key.maximum);
    else if (key.minimum)
        text += bound_text(key, *key.minimum) + " or more";
    else
        text += bound_text(key, *key.maximum) + " or less";
    return Error{0, text};
}

Result<ConfigValue> typed_integer(const ManifestKey& key, const RawValue& raw)
{
    const auto* value = std::get_if<int64_t>(&raw.value);
    if (value == nullptr)
        return expected("integer", raw);
    if (const Done range = check_range(key, static_cast<double>(*value)); !range)
        return range.error();
    return ConfigValue(*value);
}

Result<ConfigValue> typed_number(const ManifestKey& key, const RawValue& raw)
{
    double number = 0;
    if (const auto* integer = std::get_if<int64_t>(&raw.value))
        number = static_cast<double>(*integer);
    else if (const auto* value = std::get_if<double>(&raw.value))
        number = *value;
    else
        return expected("number", raw);
    if (const Done range = check_range(key, number); !range)
        return range.error();
    return ConfigValue(number);
}

Result<ConfigValue> typed_boolean(const ManifestKey&, const RawValue& raw)
{
    if (const auto* value = std::get_if<bool>(&raw.value))
        return ConfigValue(*value);
    return expected("boolean (true or false)", raw);
}

Done check_allowed(const ManifestKey& key, const std::string& text)
{
    if (key.values.empty() || std::find(key.values.begin(), key.values.end(), text) != key.values.end())
        return done();
    const std::string nearest = nearest_name(text, key.values);
    return Error{0, "unknown value " + quoted(text) + (nearest.empty() ? "" : "; did you mean '" + nearest + "'?") +
                        "; use one of: " + joined(key.values)};
}

Result<ConfigValue> typed_text(const ManifestKey& key, const RawValue& raw)
{
    const auto* value = std::get_if<std::string>(&raw.value);
    if (value == nullptr)
        return expected("string", raw);
    if (const Done allowed = check_allowed(key, *value); !allowed)
        return allowed.error();
    return ConfigValue(*value);
}

Result<ConfigValue> typed_duration(const ManifestKey& key, const RawValue& raw)
{
    const auto* value = std::get_if<std::string>(&raw.value);
    const std::optional<double> seconds = value == nullptr ? std::nullopt : parse_duration_seconds(*value);
    if (!seconds)
        return expected(std::string(kDurationForm), raw);
    if (const Done range = check_range(key, *seconds); !range)
        return range.error();
    return ConfigValue(*seconds);
}

Result<ConfigValue> typed_text_list(const ManifestKey& key, const RawValue& raw)
{
    std::vector<std::string> items;
    if (const auto* text = std::get_if<std::string>(&raw.value)) // one may stand without its brackets
        items = {*text};
    else if (const auto* list = std::get_if<std::vector<std::string>>(&raw.value))
        items = *list;
    else
        return expected("list of strings such as [\"a\", \"b\"]", raw);
    for (const std::string& item : items)
        if (const Done allowed = check_allowed(key, item); !allowed)
            return allowed.error();
    return ConfigValue(items);
}

Result<ConfigValue> typed_number_list(const ManifestKey& key, const RawValue& raw)
{
    // An empty list has no type of its own and is read as one of strings.
    if (const auto* texts = std::get_if<std::vector<std::string>>(&raw.value); texts != nullptr && texts->empty())
        return ConfigValue(std::vector<double>{});
    const auto* items = std::get_if<std::vector<double>>(&raw.value);
    if (items == nullptr)
        return expected("list of numbers such as [1, 2.5]", raw);
    for (const double item : *items)
        if (const Done range = check_range(key, item); !range)
            return range.error();
    return ConfigValue(*items);
}

struct Type {
    const char* name;
    Result<ConfigValue> (*read)(const ManifestKey&, const RawValue&);
};
constexpr Type kTypes[] = {
    {"integer", typed_integer},
    {"number", typed_number},
    {"boolean", typed_boolean},
    {"text", typed_text},
    {"duration", typed_duration},
    {"list of text", typed_text_list},
    {"list of number", typed_number_list},
};

bool is_number(const TomlValue& value)
{
    return std::holds_alternative<int64_t>(value.data) || std::holds_alternative<double>(value.data);
}

double number_of(const TomlValue& value)
{
    const auto* integer = std::get_if<int64_t>(&value.data);
    return integer != nullptr ? static_cast<double>(*integer) : std::get<double>(value.data);
}

Result<RawValue> raw_list(const TomlValue& value, const TomlArray& items)
{
    const auto is_text = [](const TomlValue& item) { return std::holds_alternative<std::string>(item.data); };
    if (items.empty())
        return RawValue{value.position, std::vector<std::string>{}, "empty array", {}};
    if (std::all_of(items.begin(), items.end(), is_text)) {
        std::vector<std::string> texts;
        for (const TomlValue& item : items)
            texts.push_back(std::get<std::string>(item.data));
        return RawValue{value.position, std::move(texts), "array of string", {}};
    }
    if (!std::all_of(items.begin(), items.end(), is_number))
        return Error{0, "a list must hold strings only or numbers only"};
    std::vector<double> numbers;
    bool is_whole = true;
    for (const TomlValue& item : items) {
        is_whole = is_whole && std::holds_alternative<int64_t>(item.data);
        numbers.push_back(number_of(item));
    }
    return RawValue{value.position, std::move(numbers), is_whole ? "array of integer" : "array of float", {}};
}

} // namespace

Result<RawValue> raw_value(const TomlValue& value)
{
    RawValue raw{value.position, ConfigValue{}, type_name(value), {}};
    if (const auto* integer = std::get_if<int64_t>(&value.data))
        raw.value = *integer;
    else if (const auto* number = std::get_if<double>(&value.data))
        raw.value = *number;
    else if (const auto* boolean = std::get_if<bool>(&value.data))
        raw.value = *boolean;
    else if (const auto* text = std::get_if<std::string>(&value.data))
        raw.value = *text;
    else if (const auto* items = std::get_if<TomlArray>(&value.data))
        return raw_list(value, *items);
    else
        return Error{0,
                     "a " + type_name(value) + " cannot stand here; use an integer, number, boolean, string or list"};
    return raw;
}

Result<ConfigValue> typed_value(const ManifestKey& key, const RawValue& raw)
{
    for (const Type& type : kTypes)
        if (key.type == type.name)
            return type.read(key, raw);
    return Error{0, "the manifest gives this key the unknown type '" + key.type + "'"};
}

std::string written(const ManifestKey& key, const ConfigValue& value)
{
    struct Write {
        bool is_duration;
        std::string operator()(int64_t number) const { return std::to_string(number); }
        std::string operator()(double number) const
        {
            return is_duration ? quoted(duration_text(number)) : number_text(number);
        }
        std::string operator()(bool truth) const { return truth ? "true" : "false"; }
        std::string operator()(const std::string& text) const { return quoted(text); }
        std::string operator()(const std::vector<std::string>& items) const { return written_list(items, quoted); }
        std::string operator()(const std::vector<double>& items) const { return written_list(items, number_text); }
    };
    return std::visit(Write{key.type == "duration"}, value);
}

const std::vector<std::string>& manifest_types()
{
    static const std::vector<std::string> kNames = [] {
        std::vector<std::string> names;
        for (const Type& type : kTypes)
            names.emplace_back(type.name);
        return names;
    }();
    return kNames;
}

} // namespace limpet
