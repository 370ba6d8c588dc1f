// SPDX-License-Identifier: Apache-2.0
//
// Reads one TOML table key by key and notes every mistake: wrong types, values out of range, unknown keys.
//
// The keys that are asked for are the keys that exist, so that no list has to be kept beside the code. Lives on the
// stack of the function that reads the table; the table and the list of problems must outlive it. No threads.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "toml_tree.hpp"

namespace limpet {

class TableReader {
public:
    // `name` is the table's dotted name for messages ("agent"; empty for the document itself).
    TableReader(const TomlTable& table, std::string name, std::vector<ConfigProblem>& problems)
        : table_(&table), name_(std::move(name)), problems_(&problems)
    {
    }

    // The value as that type, or nothing when the key is absent or the value was a mistake (now noted).
    [[nodiscard]] std::optional<std::string> text(const std::string& key);
    [[nodiscard]] std::optional<bool> boolean(const std::string& key);
    [[nodiscard]] std::optional<int64_t> integer(const std::string& key, int64_t minimum, int64_t maximum);
    [[nodiscard]] std::optional<double> duration_seconds(const std::string& key, double minimum, double maximum);
    // "" is 0, whatever the minimum.
    [[nodiscard]] std::optional<uint64_t> size_bytes(const std::string& key, uint64_t minimum, uint64_t maximum);
    [[nodiscard]] std::optional<std::vector<std::string>> texts(const std::string& key);
    // Overwrites `value` when the key is there. A path that is not absolute is seen from `directory`; "" is an empty one.
    void path(const std::string& key, const std::filesystem::path& directory, std::filesystem::path& value);
    [[nodiscard]] const TomlTable* table(const std::string& key);
    // A reader of the table `key`, which notes its mistakes in the same list.
    [[nodiscard]] std::optional<TableReader> below(const std::string& key);
    // An array of tables, [[key]]; items that are not tables are noted and left out.
    [[nodiscard]] std::vector<const TomlTable*> tables(const std::string& key);
    // Any value, unchecked.
    [[nodiscard]] const TomlEntry* entry(const std::string& key);

    // Of the value of `key`, or of the table where there is none.
    [[nodiscard]] const SourcePosition& position_of(const std::string& key) const;

    [[nodiscard]] bool has(const std::string& key) const { return table_->find(key) != nullptr; }

    // Notes a mistake in the value of `key`, or in its absence.
    void problem(const std::string& key, const std::string& text);
    // Notes `expected …, found …`.
    void wrong_type(const std::string& key, const TomlValue& value, const std::string& expected);

    // Notes every key that was not asked for. `noun` is "key" or "table".
    void report_unknown(const std::string& noun = "key");

    [[nodiscard]] const std::vector<std::string>& asked() const { return asked_; }
    [[nodiscard]] std::string dotted(const std::string& key) const { return name_.empty() ? key : name_ + "." + key; }

private:
    const TomlTable* table_;
    std::string name_;
    std::vector<ConfigProblem>* problems_;
    std::vector<std::string> asked_;
};

} // namespace limpet
