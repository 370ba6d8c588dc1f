// SPDX-License-Identifier: Apache-2.0
//
// How limits.series and plugins.<name>.limits.series are kept: every series table gets a part of what there is, before it is made.
//
// Functions without state; main thread. A table cannot grow while it is in use, and none takes another's room.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "config.hpp"
#include "manifest.hpp"

namespace limpet {

inline constexpr const char* kReportedGauges = ""; // in TableRows
inline constexpr uint32_t kDeclaredGauges = 1024;  // unless config or manifest say otherwise

// Rows of each table, the overflow row included, as the config or else the manifest says; empty: as each table declares.
[[nodiscard]] std::optional<uint32_t> rows_of_table(const ProbeConfig& probe, const Manifest& manifest);

// One row for each, and of the rest of `limit` as much as is in proportion to what each wants beyond its one; what is wanted if
// that fits. REQUIRES: `limit` is at least the number of items, and each wants at least one.
[[nodiscard]] std::vector<uint32_t> shares_of(uint64_t limit, const std::vector<uint32_t>& wanted);

// Sets granted_rows of every enabled probe, and says which limits cannot hold one row for each table. After
// check_probe_config(). A probe whose file cannot be read gets nothing: it fails on its own.
[[nodiscard]] std::vector<ConfigProblem> share_series(Config& config);

} // namespace limpet
