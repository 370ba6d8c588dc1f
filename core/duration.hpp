// SPDX-License-Identifier: Apache-2.0
//
// Durations as people write them: a number and a unit, "100ms", "1.5s", "2h". Pure functions; no threads.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace limpet {

// What to write, for messages.
inline constexpr std::string_view kDurationForm = "a duration such as \"100ms\" (units: ns, us, ms, s, m, h)";

// Seconds; nothing when the text is not a number, not negative, directly followed by one of ns, us, ms, s, m, h.
[[nodiscard]] std::optional<double> parse_duration_seconds(std::string_view text);

// The shortest form that reads back as the same duration: 0.1 gives "100ms".
[[nodiscard]] std::string duration_text(double seconds);

// A number in its shortest decimal form.
[[nodiscard]] std::string number_text(double number);

} // namespace limpet
