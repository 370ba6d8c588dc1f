// SPDX-License-Identifier: Apache-2.0
//
// One value of a probe's key: from TOML as written, to what the manifest says it is. Pure functions; no threads.
#pragma once

#include <string>

#include "config.hpp"
#include "manifest.hpp"
#include "result.hpp"
#include "toml_tree.hpp"

namespace limpet {

// The value as written, with its type in words; an Error for what no key can hold (tables, dates, mixed or nested
// lists).
[[nodiscard]] Result<ProbeConfig::RawValue> raw_value(const TomlValue& value);

// The value as `key` types it: a duration's text becomes seconds, an integer a number where a number is wanted. Checks
// the type, the range and the allowed values; the Error says what was expected, what was found and what to write.
[[nodiscard]] Result<ConfigValue> typed_value(const ManifestKey& key, const ProbeConfig::RawValue& raw);

// A typed value as it would be written in the configuration.
[[nodiscard]] std::string written(const ManifestKey& key, const ConfigValue& value);

// The types that a manifest may name.
[[nodiscard]] const std::vector<std::string>& manifest_types();

} // namespace limpet
