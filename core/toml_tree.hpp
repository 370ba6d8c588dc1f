// SPDX-License-Identifier: Apache-2.0
//
// TOML text as a plain tree with positions, in the order of the file.
//
// Keeps the parser library in one translation unit and gives the configuration and the manifests the same view of a
// document. Values; no threads.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "config.hpp"

namespace limpet {

struct TomlEntry;
struct TomlValue;

// Dates and times: TOML has them, limpet has no use for them.
struct TomlDate {};

using TomlArray = std::vector<TomlValue>;

struct TomlTable {
    SourcePosition position;        // line 0 for the document itself
    std::vector<TomlEntry> entries; // in the order of the file, each key once
    [[nodiscard]] const TomlEntry* find(const std::string& key) const;
};

struct TomlValue {
    SourcePosition position;
    std::variant<int64_t, double, bool, std::string, TomlDate, TomlArray, TomlTable> data;
};

struct TomlEntry {
    std::string key;
    SourcePosition position; // of the key
    TomlValue value;
};

struct TomlDocument {
    TomlTable root;
    std::vector<ConfigProblem> problems; // not empty: the text is not TOML, `root` is empty
};

// Never fails otherwise: any bytes give a document or a problem.
[[nodiscard]] TomlDocument parse_toml(const std::string& text, const std::string& file);

// "integer", "float", "boolean", "string", "date", "array" or "table".
[[nodiscard]] std::string type_name(const TomlValue& value);

// The type and, where it is short, the value: `integer 5`, `string "abc"`, `array`.
[[nodiscard]] std::string describe(const TomlValue& value);

} // namespace limpet
