// SPDX-License-Identifier: Apache-2.0
//
// A number directly followed by its unit, as people write them: "100ms", "16MiB", "5%". Pure functions; no threads.
#pragma once

#include <optional>
#include <string_view>

namespace limpet {

struct Quantity {
    double number = 0; // finite, not negative
    std::string_view unit;
};

// Nothing when the text does not begin with such a number. The unit may be empty, and is part of `text`.
[[nodiscard]] std::optional<Quantity> parse_quantity(std::string_view text);

} // namespace limpet
