// SPDX-License-Identifier: Apache-2.0
#include "table_reader.hpp"

#include <algorithm>

#include "duration.hpp"
#include "size.hpp"
#include "suggestion.hpp"

namespace limpet {
namespace {

// The fix for the commonest wrong type: a number or boolean in quotes.
std::string quotes_hint(const TomlValue& value, const std::string& expected)
{
    const auto* text = std::get_if<std::string>(&value.data);
    if (text == nullptr || text->empty())
        return "";
    const bool is_number = text->find_first_not_of("0123456789.-+") == std::string::npos;
    const bool is_boolean = *text == "true" || *text == "false";
    const bool fits = (expected.starts_with("boolean") && is_boolean) ||
                      ((expected.starts_with("integer") || expected.starts_with("number")) && is_number);
    return fits ? "; write " + *text + " without quotes" : "";
}

} // namespace

const TomlEntry* TableReader::entry(const std::string& key)
{
    asked_.push_back(key);
    return table_->find(key);
}

std::optional<std::string> TableReader::text(const std::string& key)
{
    const TomlEntry* const found = entry(key);
    if (found == nullptr)
        return std::nullopt;
    if (const auto* value = std::get_if<std::string>(&found->value.data))
        return *value;
    wrong_type(key, found->value, "string");
    return std::nullopt;
}

std::optional<bool> TableReader::boolean(const std::string& key)
{
    const TomlEntry* const found = entry(key);
    if (found == nullptr)
        return std::nullopt;
    if (const auto* value = std::get_if<bool>(&found->value.data))
        return *value;
    wrong_type(key, found->value, "boolean (true or false)");
    return std::nullopt;
}

std::optional<int64_t> TableReader::integer(const std::string& key, int64_t minimum, int64_t maximum)
{
    const TomlEntry* const found = entry(key);
    if (found == nullptr)
        return std::nullopt;
    const auto* value = std::get_if<int64_t>(&found->value.data);
    const std::string range = std::to_string(minimum) + " to " + std::to_string(maximum);
    if (value == nullptr) {
        wrong_type(key, found->value, "integer from " + range);
        return std::nullopt;
    }
    if (*value < minimum || *value > maximum) {
        problem(key, std::to_string(*value) + " is out of range; use " + range);
        return std::nullopt;
    }
    return *value;
}

std::optional<double> TableReader::duration_seconds(const std::string& key, double minimum, double maximum)
{
    const TomlEntry* const found = entry(key);
    if (found == nullptr)
        return std::nullopt;
    const auto* value = std::get_if<std::string>(&found->value.data);
    const std::optional<double> seconds = value == nullptr ? std::nullopt : parse_duration_seconds(*value);
    if (!seconds) {
        wrong_type(key, found->value, std::string(kDurationForm));
        return std::nullopt;
    }
    if (*seconds < minimum || *seconds > maximum) {
        problem(key, *value + " is out of range; use " + duration_text(minimum) + " to " + duration_text(maximum));
        return std::nullopt;
    }
    return seconds;
}

std::optional<uint64_t> TableReader::size_bytes(const std::string& key, uint64_t minimum, uint64_t maximum)
{
    const TomlEntry* const found = entry(key);
    if (found == nullptr)
        return std::nullopt;
    const auto* value = std::get_if<std::string>(&found->value.data);
    if (value != nullptr && value->empty())
        return 0;
    const std::optional<uint64_t> bytes = value == nullptr ? std::nullopt : parse_size_bytes(*value);
    if (!bytes) {
        wrong_type(key, found->value, std::string(kSizeForm));
        return std::nullopt;
    }
    if (*bytes < minimum || *bytes > maximum) {
        problem(key, *value + " is out of range; use " + size_text(minimum) + " to " + size_text(maximum));
        return std::nullopt;
    }
    return bytes;
}

std::optional<std::vector<std::string>> TableReader::texts(const std::string& key)
{
    const TomlEntry* const found = entry(key);
    if (found == nullptr)
        return std::nullopt;
    const auto* items = std::get_if<TomlArray>(&found->value.data);
    if (items == nullptr) {
        wrong_type(key, found->value, "list of strings such as [\"a\", \"b\"]");
        return std::nullopt;
    }
    std::vector<std::string> result;
    for (const TomlValue& item : *items) {
        if (const auto* text = std::get_if<std::string>(&item.data)) {
            result.push_back(*text);
            continue;
        }
        problems_->push_back({item.position, dotted(key) + "[" + std::to_string(&item - items->data()) + "]",
                              "expected string, found " + describe(item)});
    }
    return result;
}

void TableReader::path(const std::string& key, const std::filesystem::path& directory, std::filesystem::path& value)
{
    const std::optional<std::string> found = text(key);
    if (!found)
        return;
    if (found->find('\0') != std::string::npos)
        return problem(key, "a path cannot hold a zero byte");
    value = found->empty() ? std::filesystem::path() : (directory / *found).lexically_normal();
}

const TomlTable* TableReader::table(const std::string& key)
{
    const TomlEntry* const found = entry(key);
    if (found == nullptr)
        return nullptr;
    if (const auto* value = std::get_if<TomlTable>(&found->value.data))
        return value;
    wrong_type(key, found->value, "table, written [" + dotted(key) + "]");
    return nullptr;
}

std::optional<TableReader> TableReader::below(const std::string& key)
{
    const TomlTable* const found = table(key);
    return found == nullptr ? std::nullopt : std::optional(TableReader(*found, dotted(key), *problems_));
}

std::vector<const TomlTable*> TableReader::tables(const std::string& key)
{
    const TomlEntry* const found = entry(key);
    if (found == nullptr)
        return {};
    const auto* items = std::get_if<TomlArray>(&found->value.data);
    if (items == nullptr) {
        wrong_type(key, found->value, "list of tables, each written [[" + dotted(key) + "]]");
        return {};
    }
    std::vector<const TomlTable*> result;
    for (const TomlValue& item : *items) {
        if (const auto* table = std::get_if<TomlTable>(&item.data))
            result.push_back(table);
        else
            problems_->push_back({item.position, dotted(key), "expected table, found " + describe(item)});
    }
    return result;
}

const SourcePosition& TableReader::position_of(const std::string& key) const
{
    const TomlEntry* const found = table_->find(key);
    return found != nullptr ? found->value.position : table_->position;
}

void TableReader::problem(const std::string& key, const std::string& text)
{
    problems_->push_back({position_of(key), dotted(key), text});
}

void TableReader::wrong_type(const std::string& key, const TomlValue& value, const std::string& expected)
{
    problems_->push_back({value.position, dotted(key),
                          "expected " + expected + ", found " + describe(value) + quotes_hint(value, expected)});
}

void TableReader::report_unknown(const std::string& noun)
{
    for (const TomlEntry& found : table_->entries) {
        if (std::find(asked_.begin(), asked_.end(), found.key) != asked_.end())
            continue;
        problems_->push_back({found.position, dotted(found.key), "unknown " + noun + suggestion(found.key, asked_)});
    }
}

} // namespace limpet
