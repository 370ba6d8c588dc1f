// SPDX-License-Identifier: Apache-2.0
//
// The SHA-256 sum of an open file, by OpenSSL. No threads.
#pragma once

#include <string>

#include "result.hpp"

namespace limpet {

// 64 lower-case hexadecimal digits. Reads from the start to the end and leaves the file offset alone.
[[nodiscard]] Result<std::string> sha256_of(int fd);

} // namespace limpet
