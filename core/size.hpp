// SPDX-License-Identifier: Apache-2.0
//
// Amounts of memory as people write them: a number and a unit, "16MiB", "1.5GB". Pure functions; no threads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace limpet {

// What to write, for messages.
inline constexpr std::string_view kSizeForm = "a size such as \"16MiB\" (units: B, KiB, MiB, GiB, kB, MB, GB)";

// Bytes; nothing when the text is not a number, not negative, directly followed by one of the units, or over a petabyte.
[[nodiscard]] std::optional<uint64_t> parse_size_bytes(std::string_view text);

// For people: "16MiB", "11.8MiB", "900B"; rounded up to a tenth, so that what is written is enough.
[[nodiscard]] std::string size_text(uint64_t bytes);

} // namespace limpet
