// SPDX-License-Identifier: Apache-2.0
//
// "did you mean 'x'?": the nearest of the known names. Pure functions; no threads.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace limpet {

// The known name that a typing mistake separates from `word`; empty when none is near. Near: at most a third of the
// longer one's letters inserted, left out, replaced or swapped with their neighbour (at least one), letter case
// ignored.
[[nodiscard]] std::string nearest_name(std::string_view word, std::span<const std::string> known);

// "; did you mean 'x'?", else a list of what there is ("; known are: a, b"), else nothing when nothing is known.
[[nodiscard]] std::string suggestion(std::string_view word, std::span<const std::string> known);

// "a, b, c".
[[nodiscard]] std::string joined(std::span<const std::string> names);

} // namespace limpet
