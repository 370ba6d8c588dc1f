// SPDX-License-Identifier: Apache-2.0
//
// Bytes of a key → text of a label, by the decoders of tags.bpf.h. Pure functions.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "bpf_metrics.hpp"

namespace limpet {

// An unsigned number of 1, 2, 4 or 8 bytes in the host's order.
[[nodiscard]] uint64_t unsigned_number(std::span<const std::byte> bytes);

// The label's text; nothing when the label is left out (see tags.bpf.h). `key` is the whole key. Not for kWorkload
// and kTextOf, which the caller looks up by unsigned_number().
[[nodiscard]] std::optional<std::string> decode_label(const KeyLabel& label, std::span<const std::byte> key);

// `text` with every byte that is not part of valid UTF-8 replaced by U+FFFD.
[[nodiscard]] std::string valid_utf8(std::string_view text);

} // namespace limpet
