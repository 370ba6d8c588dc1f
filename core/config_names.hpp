// SPDX-License-Identifier: Apache-2.0
//
// The keys that name workloads: [names] and [[workloads]]. Pure functions; no threads.
#pragma once

#include <filesystem>
#include <optional>

#include "config.hpp"
#include "table_reader.hpp"

namespace limpet {

// Overwrites what the table sets. Paths that are not absolute are seen from `directory`, the configuration file's own.
void read_names(TableReader& table, const std::filesystem::path& directory, NamesConfig& names);

// One [[workloads]] table; nothing when it cannot be used, which has been noted then.
[[nodiscard]] std::optional<WorkloadRule> read_workload_rule(TableReader& table);

} // namespace limpet
