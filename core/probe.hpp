// SPDX-License-Identifier: Apache-2.0
//
// One probe, from its config table to its samples: file, manifest, code, BPF object, tables, state.
//
// Owner: Agent; guarded by its mutex. Whatever goes wrong ends in the state and its reason, never in the agent; what a
// failed start has built is taken down again. States change on the main thread only, except to quarantined, which a
// scrape may cause.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bpf_loader.hpp"
#include "bpf_metrics.hpp"
#include "config.hpp"
#include "families.hpp"
#include "kernel_stats.hpp"
#include "map_budget.hpp"
#include "plugin_file.hpp"
#include "plugin_instance.hpp"
#include "resting_programs.hpp"
#include "series_table.hpp"
#include "tap.hpp"

namespace limpet {

enum class ProbeState {
    kActive,
    kDegraded,    // works, but an optional part is missing
    kUnsupported, // the host lacks something that the probe names
    kFailed,
    kQuarantined, // its code threw while it ran; it is left alone until the next start
};

// "active", …: as metrics, logs and `accept` spell it.
[[nodiscard]] const char* to_string(ProbeState state);
inline constexpr ProbeState kProbeStates[] = {ProbeState::kActive, ProbeState::kDegraded, ProbeState::kUnsupported,
                                              ProbeState::kFailed, ProbeState::kQuarantined};

// Tells apart two versions of a file: device, inode, size and time of change; "" when there is none.
[[nodiscard]] std::string identity_of_file(const std::filesystem::path& path);

// What a probe is started into. All outlive the probe.
struct ProbeSurroundings {
    const AgentConfig& agent;
    Tap& tap;
    int cgroup_fd;
    std::vector<std::string> taken_metrics; // names that other probes export
    KernelMemoryRoom kernel_memory;
};

class Probe {
public:
    explicit Probe(ProbeConfig config) : config_(std::move(config)) {}
    Probe(const Probe&) = delete;
    Probe& operator=(const Probe&) = delete;
    ~Probe() { stop(); }

    void start(const ProbeSurroundings& surroundings);
    // Detaches and destroys; the state stays for the record. Safe to call twice.
    void stop();
    // New values of the keys that the manifest marks reloadable. False: the probe has to be started anew.
    [[nodiscard]] bool reconfigure(const ProbeConfig& config);
    void set_accepted_states(const ProbeConfig& config) { config_.accept = config.accept; }

    void on_event(const void* data, size_t size_bytes);
    // Takes the probe down when an event has made it throw. Not from within on_event: its ring is being read.
    void settle();
    // Runs what the probe does as time passes (SEC("limpet/tick")).
    void tick();
    // Attaches and detaches the programs that rest at some level (LIMPET_RESTS_AT). Degraded while one cannot be attached again; a
    // later call tries anew.
    void follow_level(uint32_t level);
    [[nodiscard]] const RestingPrograms& resting_programs() const { return resting_; }
    // Runs the iterators that the manifest wants to be run before a scrape; the owners of older sockets are known.
    void run_iterators();
    void collect(const Workloads& workloads, Families& families);
    // As of SeriesTable, for all tables.
    void forget(const Workloads& workloads, SteadyTime now, std::chrono::milliseconds after);
    [[nodiscard]] bool has_taken_rows() const;
    void mark_workloads(std::vector<bool>& has_rows) const;

    [[nodiscard]] const std::string& name() const { return config_.name; }
    [[nodiscard]] const ProbeConfig& config() const { return config_; }
    [[nodiscard]] const Manifest& manifest() const { return manifest_; } // empty when the file could not be read
    [[nodiscard]] ProbeState state() const { return state_; }
    [[nodiscard]] const std::string& reason() const { return reason_; } // empty when active
    [[nodiscard]] bool is_running() const { return is_running_; }
    // Active, or in a state that the config accepts.
    [[nodiscard]] bool is_healthy() const;
    [[nodiscard]] int ring_fd() const; // -1 when it has none or is not running
    [[nodiscard]] const std::string& file_identity() const { return file_identity_; }
    [[nodiscard]] uint32_t parser_number() const { return parser_number_; } // 0: parses no streams
    [[nodiscard]] uint32_t datagram_parser_number() const { return datagram_parser_number_; }
    // The program in a section of the object; "" when there is none.
    [[nodiscard]] std::string program_in(const std::string& section) const;
    // CPU time of the agent's threads for this probe: events, ticks, scrapes.
    [[nodiscard]] double user_seconds() const { return user_seconds_; }
    void add_user_seconds(double seconds) { user_seconds_ += seconds; }
    [[nodiscard]] uint32_t ring_bytes() const; // 0: no ring
    [[nodiscard]] const KernelStats& stats() const { return stats_; }
    [[nodiscard]] KernelStats& stats() { return stats_; }
    [[nodiscard]] uint64_t kernel_memory_bytes() const { return kernel_memory_bytes_; }
    [[nodiscard]] uint32_t series() const;
    [[nodiscard]] uint32_t series_limit() const;
    [[nodiscard]] uint64_t series_overflows() const;
    [[nodiscard]] std::vector<std::string> metric_names() const;

private:
    Done bring_up(const ProbeSurroundings& surroundings);
    Result<PluginFile> read_file(const ProbeSurroundings& surroundings);
    Done read_declarations(const PluginFile& file);
    Done check_metric_names(const std::vector<std::string>& taken) const;
    Done make_instance(const PluginFile& file);
    Done load_object(const PluginFile& file, const ProbeSurroundings& surroundings);
    Done enter_parsers();
    Done enter_stream_parser();
    Done enter_datagram_parser();
    Done open_tables();
    void note_missing_programs();
    void warn_of_programs_without_lease() const;
    void take_down();
    void quarantine(const Error& error);
    void add_empty_families(Families& families) const;
    [[nodiscard]] uint32_t table_rows(uint32_t declared) const;
    [[nodiscard]] uint32_t gauge_limit() const;
    [[nodiscard]] uint32_t shards() const;
    Done run_iterator(const ManifestProgram& program);

    ProbeConfig config_;
    ProbeState state_ = ProbeState::kFailed;
    std::string reason_ = "not started";
    std::string reason_at_start_; // of an incomplete one
    bool is_running_ = false;

    std::optional<Error> thrown_; // by on_event, until settle()
    std::string file_identity_;
    Manifest manifest_;
    BpfMetrics declared_;
    BoundsByVariable bounds_;
    Tap* tap_ = nullptr;
    uint32_t parser_number_ = 0;
    uint32_t datagram_parser_number_ = 0;
    bool has_complained_ = false;       // about a tick
    std::unique_ptr<LoadedBpf> loaded_; // null: the probe brings no BPF, or does not run
    RestingPrograms resting_;           // of loaded_
    int cgroup_fd_ = -1;
    KernelStats stats_;
    std::vector<SeriesTable> tables_;
    std::unique_ptr<PluginInstance> instance_; // after loaded_: its stop() still sees the maps
    uint64_t kernel_memory_bytes_ = 0;
    double user_seconds_ = 0;
    bool has_iterator_complaint_ = false;
};

} // namespace limpet
