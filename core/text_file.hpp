// SPDX-License-Identifier: Apache-2.0
//
// Reads a whole small text file, without being held up by a FIFO or a device of that name. No threads.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "result.hpp"

namespace limpet {

// The bytes of a regular file of at most `largest_bytes`; the Error says what else it is. The path is not part of the
// message: callers put it in front.
[[nodiscard]] Result<std::string> read_text_file(const std::filesystem::path& path, size_t largest_bytes);

} // namespace limpet
