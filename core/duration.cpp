// SPDX-License-Identifier: Apache-2.0
#include "duration.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "quantity.hpp"

namespace limpet {
namespace {

struct Unit {
    std::string_view name;
    double factor; // seconds = number * factor / divisor: both exact, so that "100ms" is 0.1 and not its neighbour
    double divisor;
};
constexpr std::array<Unit, 6> kUnits{
    {{"h", 3600, 1}, {"m", 60, 1}, {"s", 1, 1}, {"ms", 1, 1e3}, {"us", 1, 1e6}, {"ns", 1, 1e9}}};

constexpr double kLongestSeconds = 1e9; // 30 years: beyond this it is a mistake, and nanoseconds no longer fit 64 bits

} // namespace

std::optional<double> parse_duration_seconds(std::string_view text)
{
    const std::optional<Quantity> quantity = parse_quantity(text);
    if (!quantity)
        return std::nullopt;
    for (const Unit& unit : kUnits) {
        if (unit.name != quantity->unit)
            continue;
        const double seconds = quantity->number * unit.factor / unit.divisor;
        return seconds <= kLongestSeconds ? std::optional(seconds) : std::nullopt;
    }
    return std::nullopt;
}

std::string duration_text(double seconds)
{
    if (seconds == 0)
        return "0s";
    for (const Unit& unit : kUnits) {
        const double number = seconds * unit.divisor / unit.factor;
        if (number >= 1 && std::abs(number - std::round(number)) < 1e-6 * number)
            return number_text(std::round(number)) + std::string(unit.name);
    }
    return number_text(seconds) + "s";
}

std::string number_text(double number)
{
    if (number == std::floor(number) && std::abs(number) < 1e15)
        return std::to_string(static_cast<long long>(number));
    const bool is_extreme = std::abs(number) < 1e-6 || std::abs(number) >= 1e15;
    const std::chars_format format = is_extreme ? std::chars_format::general : std::chars_format::fixed;
    std::array<char, 64> buffer{};
    const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number, format);
    return error == std::errc{} ? std::string(buffer.data(), end) : std::to_string(number);
}

} // namespace limpet
