// SPDX-License-Identifier: Apache-2.0
//
// The keys that say what limpet may cost: [limits] and [plugins.<name>.limits]. Pure functions; no threads.
#pragma once

#include "config.hpp"
#include "table_reader.hpp"

namespace limpet {

// Overwrites what the table sets.
void read_limits(TableReader& table, LimitsConfig& limits);
void read_probe_limits(TableReader& table, ProbeLimits& limits);

} // namespace limpet
