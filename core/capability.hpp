// SPDX-License-Identifier: Apache-2.0
//
// The names and numbers of Linux capabilities (include/uapi/linux/capability.h). Constant; no threads.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace limpet {

// The names in the order of their numbers: CAP_CHOWN is 0.
[[nodiscard]] std::span<const std::string_view> capability_names();

// The number of "CAP_BPF" and its like; nothing for a name that the kernel does not have.
[[nodiscard]] std::optional<unsigned> capability_number(std::string_view name);

} // namespace limpet
