// SPDX-License-Identifier: Apache-2.0
#include "text_table.hpp"

#include <algorithm>
#include <ostream>

namespace limpet {
namespace {

size_t width_of(const std::string& text)
{
    const auto begins_character = [](char letter) { return (static_cast<unsigned char>(letter) & 0xc0) != 0x80; };
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), begins_character));
}

} // namespace

void print_columns(std::ostream& out, const std::vector<std::vector<std::string>>& rows, size_t indent)
{
    std::vector<size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()));
        for (size_t column = 0; column < row.size(); ++column)
            widths[column] = std::max(widths[column], width_of(row[column]));
    }
    for (const auto& row : rows) {
        std::string line(indent, ' ');
        for (size_t column = 0; column < row.size(); ++column)
            line += row[column] + std::string(widths[column] - width_of(row[column]) + 2, ' ');
        line.erase(line.find_last_not_of(' ') + 1);
        out << line << '\n';
    }
}

} // namespace limpet
