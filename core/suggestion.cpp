// SPDX-License-Identifier: Apache-2.0
#include "suggestion.hpp"

#include <algorithm>
#include <cctype>

namespace limpet {
namespace {

constexpr size_t kLongestWord = 64; // longer ones are not typing mistakes, and the distance takes length² steps

std::string lower_case(std::string_view word)
{
    std::string result(word);
    for (char& letter : result)
        letter = static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    return result;
}

// Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment distance).
size_t edit_distance(const std::string& a, const std::string& b)
{
    std::vector<std::vector<size_t>> distance(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); ++i)
        distance[i][0] = i;
    for (size_t j = 0; j <= b.size(); ++j)
        distance[0][j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        for (size_t j = 1; j <= b.size(); ++j) {
            const size_t replaced = distance[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            size_t best = std::min({distance[i - 1][j] + 1, distance[i][j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = std::min(best, distance[i - 2][j - 2] + 1);
            distance[i][j] = best;
        }
    }
    return distance[a.size()][b.size()];
}

} // namespace

std::string nearest_name(std::string_view word, std::span<const std::string> known)
{
    if (word.size() > kLongestWord)
        return "";
    const std::string typed = lower_case(word);
    std::string nearest;
    size_t nearest_distance = kLongestWord;
    for (const std::string& name : known) {
        if (name.size() > kLongestWord)
            continue;
        const size_t distance = edit_distance(typed, lower_case(name));
        const size_t allowed = std::max<size_t>(1, std::max(typed.size(), name.size()) / 3);
        if (distance > allowed || distance >= nearest_distance)
            continue;
        nearest = name;
        nearest_distance = distance;
    }
    return nearest;
}

std::string suggestion(std::string_view word, std::span<const std::string> known)
{
    if (const std::string nearest = nearest_name(word, known); !nearest.empty())
        return "; did you mean '" + nearest + "'?";
    return known.empty() ? "" : "; known are: " + joined(known);
}

std::string joined(std::span<const std::string> names)
{
    std::string result;
    for (const std::string& name : names)
        result += (result.empty() ? "" : ", ") + name;
    return result;
}

} // namespace limpet
