// SPDX-License-Identifier: Apache-2.0
//
// The operator's configuration: TOML text in, typed values out, every mistake reported at once.
//
// Owner: Agent; values, freely copied. Single-threaded use. The probes' own keys are declared in their manifests, so
// loading has two steps: parse_config() checks the file and the agent's tables and keeps [plugins.*] raw with
// positions; check_probe_config() then holds one probe's table against its manifest.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace limpet {

struct Manifest;

// Where a value stands: for messages "file:line:column". Lines and columns count from 1; 0 means "not in a file".
struct SourcePosition {
    std::string file;
    uint32_t line = 0;
    uint32_t column = 0;
};

// One mistake in the configuration: the dotted key, what is wrong, and the fix ("did you mean …").
struct ConfigProblem {
    SourcePosition position;
    std::string key;
    std::string text;
};

// "file:line:column: key: text".
[[nodiscard]] std::string to_string(const ConfigProblem& problem);

// A value of a probe's key, as the manifest types it. Durations are in seconds (double).
using ConfigValue = std::variant<int64_t, double, bool, std::string, std::vector<std::string>, std::vector<double>>;

struct AgentConfig {
    std::string listen = "127.0.0.1:9465";     // address:port or [address]:port
    std::filesystem::path plugin_dir;          // empty: beside the executable (plugins/), else the installed one
    std::optional<std::vector<uint32_t>> cpus; // empty optional: "auto"
    int nice = 0;                              // -20…19
    std::string log_level = "info";            // debug, info, warn, error
    std::chrono::milliseconds drain_interval{100};
    std::chrono::milliseconds forget_after{600'000}; // 0: never
    std::filesystem::path cgroup_root;               // empty: found through /proc/self/mountinfo
};

// A number that is not to be passed, and where it stands.
struct Limit {
    uint64_t value = 0; // 0: there is no limit
    SourcePosition position;
};

// [limits]: what limpet may cost.
struct LimitsConfig {
    double agent_cpu = 0;                    // share of one core, 0.002…100; 0: no limit
    double kernel_cpu = 0;                   // share of one core, 0.001…100; 0: no limit
    bool may_pause = false;                  // where sampling does not suffice
    Limit memory;                            // bytes, of the agent
    Limit kernel_memory;                     // bytes, of its BPF maps and programs
    Limit series;                            // rows of all tables
    double series_per_workload = 0.75;       // part of a table's rows, 0.01…1
    std::chrono::milliseconds lease{10'000}; // 2 s…10 min
};

// [plugins.<name>.limits]: the same for one probe.
struct ProbeLimits {
    Limit kernel_memory;
    Limit series;
};

// [names]: who is asked for the names of containers. An empty path: nobody is.
struct NamesConfig {
    std::filesystem::path docker_socket = "/run/docker.sock";
    std::filesystem::path podman_socket = "/run/podman/podman.sock";
    std::filesystem::path podman_storage = "/var/lib/containers/storage";
    std::filesystem::path kubernetes_logs = "/var/log/containers";
    std::chrono::milliseconds refresh{10'000};

    bool operator==(const NamesConfig&) const = default;
};

// [[workloads]]: the service_name of the workloads that it fits. Globs as of fnmatch(3), '*' crosses slashes; empty: fits all.
struct WorkloadRule {
    std::string container_id;
    std::string executable;
    std::string service_name;

    bool operator==(const WorkloadRule&) const = default;
};

// Rows that can be used, by series table; the overflow row is not counted. "" stands for gauges that a probe's code reports.
using TableRows = std::map<std::string, uint32_t>;

// [plugins.<name>]: the keys that every probe has, and the rest as written.
struct ProbeConfig {
    std::string name;
    SourcePosition position;
    bool enabled = false;
    std::filesystem::path path;      // empty: <plugin_dir>/<name>.so
    std::string sha256;              // empty: not checked; else 64 lower-case hex digits
    std::vector<std::string> accept; // states besides "active" that /healthz takes as healthy
    std::optional<uint32_t> series;  // rows per series table; empty: what the probe declares
    ProbeLimits limits;
    double workload_share = 1; // limits.series_per_workload
    TableRows granted_rows;    // after share_series(): where a limit leaves less than is wanted
    struct RawValue {
        SourcePosition position;
        ConfigValue value;
        std::string toml_type;       // "integer", "float", "boolean", "string", "array of …" for messages
        SourcePosition key_position; // of the key, as `position` is of the value
    };
    std::map<std::string, RawValue> raw;       // the probe's own keys, unchecked
    std::map<std::string, ConfigValue> values; // after check_probe_config(): every declared key, defaults included
};

struct Config {
    AgentConfig agent;
    LimitsConfig limits;
    NamesConfig names;
    std::vector<WorkloadRule> workloads; // in the order of the files; the first that fits decides
    std::vector<ProbeConfig> probes;     // in the order of the file
    std::vector<std::filesystem::path> files;
};

struct ParsedConfig {
    Config config;
    std::vector<ConfigProblem> problems; // empty: the config can be used
};

// Reads `file` and then `<directory of file>/conf.d/*.toml` in name order; later values win, a table may be spread over
// several. Unknown keys, wrong types and values out of range are problems, with a suggestion where one is near.
// A file that cannot be read is a problem too.
[[nodiscard]] ParsedConfig parse_config(const std::filesystem::path& file);

// Every key that parse_config() knows, dotted: "agent.listen", "workloads.container_id", "plugins.<name>.enabled", ….
[[nodiscard]] std::vector<std::string> known_config_keys();

// Fills probe.values from probe.raw, by the manifest's keys; returns what is wrong, all at once.
[[nodiscard]] std::vector<ConfigProblem> check_probe_config(ProbeConfig& probe, const Manifest& manifest);

} // namespace limpet
