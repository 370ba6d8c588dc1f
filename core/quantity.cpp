// SPDX-License-Identifier: Apache-2.0
#include "quantity.hpp"

#include <charconv>
#include <cmath>

namespace limpet {

std::optional<Quantity> parse_quantity(std::string_view text)
{
    Quantity quantity;
    const char* const end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, quantity.number, std::chars_format::fixed);
    if (error != std::errc{} || !std::isfinite(quantity.number) || std::signbit(quantity.number))
        return std::nullopt;
    quantity.unit = std::string_view(rest, static_cast<size_t>(end - rest));
    return quantity;
}

} // namespace limpet
