// SPDX-License-Identifier: Apache-2.0
#include "toml_tree.hpp"

#include <algorithm>
#include <sstream>
#include <string_view>

// The only translation unit that sees toml++: it takes seconds to compile. Without exceptions, since a mistake in a
// file is nothing exceptional; without what writes TOML. The distribution's build files ask for the shared library,
// which has exceptions.
#undef TOML_HEADER_ONLY
#undef TOML_SHARED_LIB
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace limpet {
namespace {

// toml++ 3.3 makes one table in another for each dot of a key and frees them by recursion: a key of 100,000 dots
// would take the stack with it. Nobody writes more dots than this outside of strings.
constexpr size_t kMaximumDots = 4000;

// Skips the string that begins at `at`; returns the index behind it, or the end of the text when it is not closed.
size_t skip_string(std::string_view text, size_t at)
{
    const char quote = text[at];
    const std::string triple(3, quote);
    const bool is_multi_line = text.substr(at, 3) == triple;
    const std::string_view end = is_multi_line ? std::string_view(triple) : std::string_view(triple).substr(0, 1);
    at += end.size();
    while (at < text.size()) {
        if (text.substr(at, end.size()) == end)
            return at + end.size();
        if (!is_multi_line && text[at] == '\n')
            return at;
        at += (text[at] == '\\' && quote == '"') ? 2 : 1;
    }
    return text.size();
}

// Dots outside of strings and comments.
size_t count_dots(std::string_view text)
{
    size_t dots = 0;
    for (size_t at = 0; at < text.size();) {
        if (text[at] == '"' || text[at] == '\'') {
            at = skip_string(text, at);
            continue;
        }
        if (text[at] == '#')
            at = std::min(text.find('\n', at), text.size() - 1);
        dots += text[at] == '.' ? 1 : 0;
        ++at;
    }
    return dots;
}

SourcePosition position_of(const toml::source_region& region, const std::string& file)
{
    return {file, region.begin.line, region.begin.column};
}

TomlValue tree_of(const toml::node& node, const std::string& file);

TomlTable table_of(const toml::table& table, const std::string& file)
{
    TomlTable result;
    result.position = position_of(table.source(), file);
    for (const auto& [key, node] : table)
        result.entries.push_back({std::string(key.str()), position_of(key.source(), file), tree_of(node, file)});
    // toml++ sorts by name; people read by line.
    std::sort(result.entries.begin(), result.entries.end(), [](const TomlEntry& a, const TomlEntry& b) {
        return std::pair(a.position.line, a.position.column) < std::pair(b.position.line, b.position.column);
    });
    return result;
}

TomlValue tree_of(const toml::node& node, const std::string& file)
{
    TomlValue result{position_of(node.source(), file), TomlDate{}};
    if (const auto* integer = node.as_integer())
        result.data = integer->get();
    else if (const auto* number = node.as_floating_point())
        result.data = number->get();
    else if (const auto* boolean = node.as_boolean())
        result.data = boolean->get();
    else if (const auto* text = node.as_string())
        result.data = text->get();
    else if (const auto* table = node.as_table())
        result.data = table_of(*table, file);
    else if (const auto* array = node.as_array()) {
        TomlArray items;
        for (const toml::node& item : *array)
            items.push_back(tree_of(item, file));
        result.data = std::move(items);
    }
    return result;
}

} // namespace

const TomlEntry* TomlTable::find(const std::string& key) const
{
    const auto found =
        std::find_if(entries.begin(), entries.end(), [&](const TomlEntry& entry) { return entry.key == key; });
    return found == entries.end() ? nullptr : &*found;
}

TomlDocument parse_toml(const std::string& text, const std::string& file)
{
    TomlDocument document;
    if (count_dots(text) > kMaximumDots) {
        document.problems.push_back({{file, 0, 0}, "", "not a TOML file that limpet reads: keys are nested too deeply"});
        return document;
    }
    const toml::parse_result parsed = toml::parse(std::string_view(text));
    if (parsed.succeeded()) {
        document.root = table_of(parsed.table(), file);
        document.root.position = {file, 0, 0};
        return document;
    }
    const toml::parse_error& error = parsed.error();
    document.problems.push_back(
        {position_of(error.source(), file), "", "not valid TOML: " + std::string(error.description())});
    return document;
}

std::string type_name(const TomlValue& value)
{
    static constexpr const char* kNames[] = {"integer", "float", "boolean", "string", "date", "array", "table"};
    return kNames[value.data.index()];
}

std::string describe(const TomlValue& value)
{
    constexpr size_t kLongestShown = 60;
    std::ostringstream out;
    out << type_name(value);
    if (const auto* integer = std::get_if<int64_t>(&value.data))
        out << ' ' << *integer;
    else if (const auto* number = std::get_if<double>(&value.data))
        out << ' ' << *number;
    else if (const auto* boolean = std::get_if<bool>(&value.data))
        out << ' ' << (*boolean ? "true" : "false");
    else if (const auto* text = std::get_if<std::string>(&value.data); text && text->size() <= kLongestShown)
        out << " \"" << *text << '"';
    return out.str();
}

} // namespace limpet
