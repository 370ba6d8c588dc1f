// SPDX-License-Identifier: Apache-2.0
//
// The manifest of a probe: what its shared object says about itself, read without running any of its code.
//
// Values; owned by whoever reads them. The text is TOML in the ELF section ".limpet.manifest"; the keys are described
// in docs/writing-a-probe.md. Single-threaded use.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config.hpp"
#include "result.hpp"

namespace limpet {

// [[config]]: one key of [plugins.<name>].
struct ManifestKey {
    std::string key;
    std::string type; // integer, number, boolean, text, duration, list of text, list of number
    ConfigValue default_value;
    std::optional<double> minimum; // "min" and "max": for integer, number, duration and the items of a number list
    std::optional<double> maximum;
    std::vector<std::string> values; // for text: the allowed ones; empty: any
    bool reloadable = false;
    std::string help;
};

// [[program]]: how a program of the BPF object is treated when it cannot be loaded or attached, and when it runs.
// A program that is not listed is required.
struct ManifestProgram {
    std::string name;
    bool optional = false;
    std::string group; // alternatives: of the programs with the same group name the first that loads is used
    std::string needs; // shown when it is missing: what the host lacks, what is lost
    // Iterators: run before each scrape, and at start once the owners of older sockets are known; else once, when attached.
    bool at_scrape = false;
    bool sees_one_namespace = false; // … then in every network namespace of the host
};

// [[metric]]: a metric that the probe's user-space half reports with host->sample.
struct ManifestMetric {
    std::string name;
    std::string kind; // gauge, counter
    std::string unit;
    std::string help;
    std::vector<std::string> labels; // besides container_id and service_name
};

inline constexpr uint32_t kMostShards = 8;

struct Manifest {
    std::string name;    // [a-z][a-z0-9_]{0,31}
    std::string version; // semantic version
    uint16_t abi_major = 0;
    uint16_t abi_minor = 0;
    std::string license;
    std::string description;
    std::vector<std::string> capabilities; // kernel.capabilities: CAP_BPF, …
    uint64_t map_bytes = 0;        // limits.map_bytes: the budget of all maps together on a host of 8 CPUs or more
    uint32_t series = 0;           // limits.series: default rows per series table
    uint32_t shards = kMostShards; // limits.shards: into how many shards rows are split at most
    std::vector<ManifestKey> keys;
    std::vector<ManifestProgram> programs;
    std::vector<ManifestMetric> metrics;
};

// What a probe's file holds besides code.
struct PluginSections {
    std::string manifest_text;
    std::vector<std::byte> bpf_object; // empty: the probe brings no BPF
};

// Reads both sections from an open ELF file with libelf. `name` is for messages. Messages tell apart: not an ELF file
// (a text file, say), an ELF file cut short, another architecture, no manifest section ("not a limpet probe").
[[nodiscard]] Result<PluginSections> read_plugin_sections(int fd, const std::string& name);

// Parses and checks manifest text. All mistakes in one Error, one per line.
[[nodiscard]] Result<Manifest> parse_manifest(const std::string& text, const std::string& name);

} // namespace limpet
