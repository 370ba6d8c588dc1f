// SPDX-License-Identifier: Apache-2.0
#include "size.hpp"

#include <array>
#include <cmath>

#include "duration.hpp"
#include "quantity.hpp"

namespace limpet {
namespace {

struct SizeUnit {
    std::string_view name;
    double bytes;
};
constexpr std::array<SizeUnit, 7> kSizeUnits{
    {{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}};

constexpr double kLargestBytes = 1e15;

} // namespace

std::optional<uint64_t> parse_size_bytes(std::string_view text)
{
    const std::optional<Quantity> quantity = parse_quantity(text);
    if (!quantity)
        return std::nullopt;
    for (const SizeUnit& unit : kSizeUnits)
        if (unit.name == quantity->unit && quantity->number * unit.bytes <= kLargestBytes)
            return static_cast<uint64_t>(std::llround(quantity->number * unit.bytes));
    return std::nullopt;
}

std::string size_text(uint64_t bytes)
{
    const auto number = static_cast<double>(bytes);
    for (const SizeUnit& unit : kSizeUnits)
        if (unit.name.ends_with("iB") && number >= unit.bytes)
            return number_text(std::ceil(number / unit.bytes * 10) / 10) + std::string(unit.name);
    return std::to_string(bytes) + "B";
}

} // namespace limpet
