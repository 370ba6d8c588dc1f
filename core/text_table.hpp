// SPDX-License-Identifier: Apache-2.0
//
// Rows of text in columns as wide as their widest cell. Values; no threads.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace limpet {

// One line per row, `indent` spaces before and two between columns; the last column is not padded. Widths count
// characters, not bytes (UTF-8).
void print_columns(std::ostream& out, const std::vector<std::vector<std::string>>& rows, size_t indent = 0);

} // namespace limpet
