// SPDX-License-Identifier: Apache-2.0
#include "http_templates.hpp"

#include <algorithm>
#include <cstring>

namespace limpet {
namespace {

constexpr size_t kMaxTextBytes = ROUTE_TEXT_BYTES - 4;

// What stands between the slashes; of "/" one empty text.
std::vector<std::string_view> segments_of(std::string_view path)
{
    std::vector<std::string_view> segments;
    for (size_t begin = 1; begin <= path.size();) {
        const size_t end = std::min(path.find('/', begin), path.size());
        segments.push_back(path.substr(begin, end - begin));
        begin = end + 1;
    }
    return segments;
}

bool is_any(std::string_view segment)
{
    return segment.size() >= 3 && segment.front() == '{' && segment.back() == '}';
}

std::string mistake_in(std::string_view text, const std::vector<std::string_view>& segments)
{
    if (text.empty() || text.front() != '/')
        return "does not begin with '/'; \"off\" and \"auto\" stand alone";
    if (text.size() > kMaxTextBytes)
        return "is longer than " + std::to_string(kMaxTextBytes) + " bytes";
    if (std::any_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c <= ' ') || c == '?'; }))
        return "has a blank or '?': it stands for a path alone";
    const bool has_rest = segments.back() == "*";
    if (segments.size() - (has_rest ? 1 : 0) >= TEMPLATE_SEGMENTS)
        return "has more than " + std::to_string(TEMPLATE_SEGMENTS - 1) + " segments";
    for (size_t i = 0; i < segments.size(); ++i) {
        if (segments[i].find('*') != std::string_view::npos && (!has_rest || i + 1 != segments.size()))
            return "has a '*' that is not its last segment";
        if (!is_any(segments[i]) && segments[i].find_first_of("{}") != std::string_view::npos)
            return "has braces that do not enclose a name between two slashes";
    }
    return "";
}

// REQUIRES: no mistake in it.
void add_template(http_templates& templates, const std::string& text, const std::vector<std::string_view>& segments)
{
    const uint32_t number = templates.count++;
    const uint64_t bit = uint64_t{1} << number;
    std::memcpy(templates.texts[number], text.data(), text.size());
    for (size_t i = 0; i < segments.size(); ++i) {
        if (segments[i] == "*") {
            for (size_t from = i; from < TEMPLATE_SEGMENTS; ++from)
                templates.rest[from] |= bit;
            return;
        }
        if (is_any(segments[i]))
            templates.any[i] |= bit;
        else
            templates.literals[i][number] = hash_of_segment(segments[i]);
    }
    templates.ends[segments.size()] |= bit;
}

} // namespace

uint64_t hash_of_segment(std::string_view segment)
{
    uint64_t hash = HASH_FACTOR;
    for (size_t at = 0; at <= segment.size(); at += sizeof(uint64_t)) {
        const std::string_view piece = segment.substr(at, sizeof(uint64_t));
        uint64_t word = 0;
        std::memcpy(&word, piece.data(), piece.size());
        hash = mix(hash, word);
    }
    return hash;
}

Routes read_routes(const std::vector<std::string>& items)
{
    Routes routes;
    if (items.size() == 1 && (items[0] == "off" || items[0] == "auto")) {
        routes.are_on = items[0] == "auto";
        return routes;
    }
    if (items.empty() || items.size() > TEMPLATES) {
        routes.mistake = "routes: write \"off\", \"auto\", or 1 to " + std::to_string(TEMPLATES) + " templates";
        return routes;
    }
    for (const std::string& text : items) {
        const std::vector<std::string_view> segments = segments_of(text);
        const std::string mistake = mistake_in(text, segments);
        if (mistake.empty())
            add_template(routes.templates, text, segments);
        else
            routes.mistake += (routes.mistake.empty() ? "" : "; ") + ("routes: \"" + text + "\" " + mistake);
    }
    return routes;
}

} // namespace limpet
