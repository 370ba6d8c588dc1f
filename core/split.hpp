// SPDX-License-Identifier: Apache-2.0
//
// Splits text at a character. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace limpet {

// "a||b" has an empty item in the middle; "" has one empty item.
[[nodiscard]] inline std::vector<std::string> split(std::string_view text, char separator)
{
    std::vector<std::string> items;
    for (;;) {
        const size_t end = text.find(separator);
        items.emplace_back(text.substr(0, end));
        if (end == std::string_view::npos)
            return items;
        text.remove_prefix(end + 1);
    }
}

} // namespace limpet
