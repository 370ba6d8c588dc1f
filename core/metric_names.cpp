// SPDX-License-Identifier: Apache-2.0
#include "metric_names.hpp"

#include <algorithm>

namespace limpet {
namespace {

// Not the ones of <cctype>: names do not depend on the locale.
bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

std::string in_quotes(std::string_view text)
{
    return "\"" + std::string(text) + "\"";
}

} // namespace

bool is_metric_name(std::string_view name)
{
    if (name.empty() || is_digit(name.front()))
        return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c) || c == ':'; });
}

bool is_label_name(std::string_view name)
{
    if (name.empty() || is_digit(name.front()) || name.starts_with("__") || name == "le" || name == "quantile")
        return false;
    return std::all_of(name.begin(), name.end(), [](char c) { return is_letter(c) || is_digit(c); });
}

std::string metric_name_mistake(std::string_view name, std::string_view kind, std::string_view unit)
{
    if (!is_metric_name(name))
        return in_quotes(name) + " is not a metric name: letters, digits, '_' and ':', not beginning with a digit";
    for (std::string_view prefix : {"limpet_", "process_"})
        if (name.starts_with(prefix))
            return in_quotes(name) + " begins with " + in_quotes(prefix) +
                   ", which is kept for the agent's own metrics";
    const bool is_counter = kind == "counter";
    if (is_counter != name.ends_with("_total"))
        return in_quotes(name) + (is_counter ? " is a counter and must end in \"_total\""
                                             : " ends in \"_total\", which is kept for counters");
    for (std::string_view suffix : {"_count", "_sum", "_bucket"})
        if (name.ends_with(suffix))
            return in_quotes(name) + " ends in " + in_quotes(suffix) + ", which is kept for parts of histograms";
    if (unit == "1")
        return "";
    const std::string suffix = "_" + std::string(unit) + (is_counter ? "_total" : "");
    if (!name.ends_with(suffix))
        return in_quotes(name) + " is exported in " + std::string(unit) + " and must end in " + in_quotes(suffix);
    return "";
}

} // namespace limpet
