// SPDX-License-Identifier: Apache-2.0
#include "label_decoder.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <cstring>
#include <netinet/in.h>

namespace limpet {
namespace {

constexpr size_t kAddressBytes = 16;
constexpr std::string_view kReplacement = "\xef\xbf\xbd"; // U+FFFD

bool is_unset(const in6_addr& address)
{
    return IN6_IS_ADDR_UNSPECIFIED(&address);
}

in6_addr address_at(std::span<const std::byte> bytes)
{
    in6_addr address{};
    std::memcpy(&address, bytes.data(), kAddressBytes);
    return address;
}

// "a.b.c.d" or "2001:db8::1".
std::string text_of(const in6_addr& address)
{
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (IN6_IS_ADDR_V4MAPPED(&address))
        return ::inet_ntop(AF_INET, &address.s6_addr[12], text.data(), text.size());
    return ::inet_ntop(AF_INET6, &address, text.data(), text.size());
}

// struct limpet_address: 16 bytes of address, 2 of port in host order.
std::string text_of_address(std::span<const std::byte> bytes)
{
    const in6_addr address = address_at(bytes);
    const std::string port = std::to_string(unsigned_number(bytes.subspan(kAddressBytes, 2)));
    if (IN6_IS_ADDR_V4MAPPED(&address))
        return text_of(address) + ":" + port;
    return "[" + text_of(address) + "]:" + port;
}

std::optional<std::string> text_of_item(const std::vector<std::string>& items, uint64_t number)
{
    if (number >= items.size())
        return std::to_string(number);
    if (items[number].empty())
        return std::nullopt;
    return items[number];
}

// Length of the UTF-8 sequence at the start of `text`, 0 when there is none (RFC 3629).
size_t sequence_length(std::string_view text)
{
    const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto follows = [&](size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf && follows(1))
        return 2;
    if ((first & 0xf0U) == 0xe0U && follows(1) && follows(2)) {
        const bool is_overlong = first == 0xe0 && byte(1) < 0xa0;
        const bool is_surrogate = first == 0xed && byte(1) > 0x9f;
        return is_overlong || is_surrogate ? 0 : 3;
    }
    if (first >= 0xf0 && first <= 0xf4 && follows(1) && follows(2) && follows(3)) {
        const bool is_overlong = first == 0xf0 && byte(1) < 0x90;
        const bool is_too_large = first == 0xf4 && byte(1) > 0x8f;
        return is_overlong || is_too_large ? 0 : 4;
    }
    return 0;
}

} // namespace

uint64_t unsigned_number(std::span<const std::byte> bytes)
{
    uint64_t number = 0;
    std::memcpy(&number, bytes.data(), std::min(bytes.size(), sizeof(number)));
    return number;
}

std::optional<std::string> decode_label(const KeyLabel& label, std::span<const std::byte> key)
{
    const std::span<const std::byte> bytes = key.subspan(label.offset_bytes, label.size_bytes);
    switch (label.decoder) {
    case LabelDecoder::kWorkload:
    case LabelDecoder::kTextOf:
    case LabelDecoder::kUint:
        return std::to_string(unsigned_number(bytes));
    case LabelDecoder::kNonzero: {
        const uint64_t number = unsigned_number(bytes);
        return number ? std::optional(std::to_string(number)) : std::nullopt;
    }
    case LabelDecoder::kIp: {
        const in6_addr address = address_at(bytes);
        return is_unset(address) ? std::nullopt : std::optional(text_of(address));
    }
    case LabelDecoder::kAddress:
        return text_of_address(bytes);
    case LabelDecoder::kText: {
        const auto* text = reinterpret_cast<const char*>(bytes.data());
        return valid_utf8({text, strnlen(text, bytes.size())});
    }
    case LabelDecoder::kEnum:
        return text_of_item(label.items, unsigned_number(bytes));
    }
    return std::nullopt;
}

std::string valid_utf8(std::string_view text)
{
    std::string valid;
    valid.reserve(text.size());
    while (!text.empty()) {
        const size_t length = sequence_length(text);
        valid += length ? text.substr(0, length) : kReplacement;
        text.remove_prefix(std::max<size_t>(length, 1));
    }
    return valid;
}

} // namespace limpet
