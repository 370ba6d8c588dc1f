// SPDX-License-Identifier: Apache-2.0
#include "probe.hpp"

#include <algorithm>
#include <sys/stat.h>

#include "host_checks.hpp"
#include "log.hpp"
#include "network_namespaces.hpp"
#include "plugin_directory.hpp"
#include "probe_object.hpp"
#include "series_shares.hpp"
#include "thread_time.hpp"

namespace limpet {
namespace {

constexpr const char* kRing = "limpet_events";

std::string joined(const std::vector<ConfigProblem>& problems)
{
    std::string text;
    for (const ConfigProblem& problem : problems)
        text += (text.empty() ? "" : "\n") + to_string(problem);
    return text;
}

} // namespace

const char* to_string(ProbeState state)
{
    switch (state) {
    case ProbeState::kActive:
        return "active";
    case ProbeState::kDegraded:
        return "degraded";
    case ProbeState::kUnsupported:
        return "unsupported";
    case ProbeState::kFailed:
        return "failed";
    case ProbeState::kQuarantined:
        return "quarantined";
    }
    return "failed";
}

std::string identity_of_file(const std::filesystem::path& path)
{
    struct stat status{};
    if (::stat(path.c_str(), &status))
        return "";
    std::string identity;
    for (const auto part : {static_cast<uint64_t>(status.st_dev), static_cast<uint64_t>(status.st_ino),
                            static_cast<uint64_t>(status.st_size), static_cast<uint64_t>(status.st_ctim.tv_sec),
                            static_cast<uint64_t>(status.st_ctim.tv_nsec)})
        identity += std::to_string(part) + ":";
    return identity;
}

void Probe::start(const ProbeSurroundings& surroundings)
{
    const Done up = bring_up(surroundings);
    if (up) {
        is_running_ = true;
        reason_at_start_ = reason_;
        state_ = reason_.empty() ? ProbeState::kActive : ProbeState::kDegraded;
        return;
    }
    take_down();
    state_ = up.error().error_number == EOPNOTSUPP ? ProbeState::kUnsupported : ProbeState::kFailed;
    reason_ = up.error().text;
}

// The order matters: nothing of the probe runs before its file, manifest, metrics and configuration have been checked.
Done Probe::bring_up(const ProbeSurroundings& surroundings)
{
    reason_.clear();
    thrown_.reset();
    tap_ = &surroundings.tap;
    const Result<PluginFile> file = read_file(surroundings);
    if (!file)
        return file.error();
    if (const Done read = read_declarations(*file); !read)
        return read;
    if (const Done checked = check_metric_names(surroundings.taken_metrics); !checked)
        return checked;
    if (const Done made = make_instance(*file); !made)
        return made;
    if (!file->bpf_object.empty())
        if (const Done loaded = load_object(*file, surroundings); !loaded)
            return loaded;
    if (const Done started = instance_->start(loaded_ ? &loaded_->object : nullptr); !started)
        return started;
    note_missing_programs();
    warn_of_programs_without_lease();
    return done();
}

Result<PluginFile> Probe::read_file(const ProbeSurroundings& surroundings)
{
    Result<PluginFile> file = open_configured_plugin(surroundings.agent, config_);
    if (!file)
        return file;
    file_identity_ = identity_of_file(file->path);
    manifest_ = file->manifest;
    for (const Error& lack : check_host(read_host_facts(surroundings.agent.cgroup_root), manifest_.capabilities))
        return Error{EOPNOTSUPP, lack.text};
    if (const auto problems = check_probe_config(config_, manifest_); !problems.empty())
        return Error{0, joined(problems)};
    return file;
}

Done Probe::read_declarations(const PluginFile& file)
{
    Result<BpfMetrics> declared = read_bpf_metrics(file.bpf_object);
    if (!declared)
        return Error{0, file.path.string() + ": " + declared.error().text};
    declared_ = std::move(*declared);
    Result<BoundsByVariable> bounds = read_bounds(declared_, config_.values);
    if (!bounds)
        return bounds.error();
    bounds_ = std::move(*bounds);
    return done();
}

Done Probe::check_metric_names(const std::vector<std::string>& taken) const
{
    for (const std::string& metric : metric_names())
        if (std::find(taken.begin(), taken.end(), metric) != taken.end())
            return Error{0, "metric " + metric + " is exported by another probe already; disable one of the two"};
    return done();
}

Done Probe::make_instance(const PluginFile& file)
{
    Result<PluginLibrary> library = load_plugin(file);
    if (!library)
        return library.error();
    const limpet_plugin* plugin = keep_mapped(std::move(*library));
    auto host = std::make_unique<PluginHost>(manifest_, config_.values, gauge_limit(),
                                             [tap = tap_](const uint8_t* address) { return tap->name_of(address); });
    instance_ = std::make_unique<PluginInstance>(plugin, std::move(host));
    if (const Done created = instance_->create(); !created)
        return created;
    return instance_->configure();
}

uint32_t Probe::shards() const
{
    return std::min(shards_for(possible_cpus()), manifest_.shards);
}

Done Probe::load_object(const PluginFile& file, const ProbeSurroundings& surroundings)
{
    parser_number_ = tap_->free_parser_number();
    const ObjectSettings settings{declared_,
                                  config_.values,
                                  bounds_,
                                  rows_of_table(config_, manifest_),
                                  config_.granted_rows,
                                  config_.workload_share,
                                  shards(),
                                  parser_number_,
                                  instance_->host().variables(),
                                  *tap_};
    BpfPlan plan;
    plan.name = config_.name;
    plan.bytes = file.bpf_object;
    plan.programs = manifest_.programs;
    plan.prepare = [&](BpfObject& object) -> Done {
        if (const Done fits = check_map_budget(object, declared_, manifest_); !fits)
            return Error{0, file.path.string() + ": " + fits.error().text};
        if (const Done prepared = prepare_object(object, settings); !prepared)
            return prepared;
        return check_kernel_memory(bytes_of_maps(object, possible_cpus()), surroundings.kernel_memory, config_);
    };
    plan.cgroup_fd = surroundings.cgroup_fd;
    Result<LoadedBpf> loaded = load_bpf(plan);
    if (!loaded)
        return loaded.error();
    loaded_ = std::make_unique<LoadedBpf>(std::move(*loaded));
    kernel_memory_bytes_ = loaded_->object.kernel_memory_bytes(); // with the programs
    if (const Done fits = check_kernel_memory(kernel_memory_bytes_, surroundings.kernel_memory, config_); !fits)
        return fits;
    resting_ = RestingPrograms::in(loaded_->object);
    cgroup_fd_ = surroundings.cgroup_fd;
    Result<KernelStats> stats = KernelStats::open(loaded_->object);
    if (!stats)
        return stats.error();
    stats_ = std::move(*stats);
    drop_switched_off(declared_, loaded_->object);
    if (const Done opened = open_tables(); !opened)
        return opened;
    return enter_parsers();
}

void Probe::note_missing_programs()
{
    if (!loaded_)
        return;
    for (const MissingProgram& replaced : loaded_->replaced)
        log(LogLevel::kInfo, config_.name,
            "program " + replaced.name + " is replaced by an alternative: " + replaced.reason);
    for (const MissingProgram& missing : loaded_->missing) {
        log(LogLevel::kWarn, config_.name, "works without program " + missing.name + ": " + missing.reason);
        reason_ += (reason_.empty() ? "" : "; ") + missing.name + " is missing" +
                   (missing.needs.empty() ? "" : ": needs " + missing.needs);
    }
}

// Programs of third parties, or of probes from before there was a lease.
void Probe::warn_of_programs_without_lease() const
{
    if (!loaded_)
        return;
    for (const std::string& program : loaded_->object.program_names())
        if (!loaded_->object.is_tail_called(program) && !loaded_->object.knows_lease(program))
            log(LogLevel::kWarn, config_.name,
                "program " + program + " does not begin with LIMPET_BEGIN: it goes on while the agent hangs");
}

void Probe::stop()
{
    if (!is_running_)
        return;
    take_down();
    state_ = ProbeState::kFailed;
    reason_ = "stopped";
}

// The reverse of bring_up: first nobody calls the probe's programs any more, then its code ends, then its maps go.
void Probe::take_down()
{
    is_running_ = false;
    if (parser_number_)
        tap_->clear_parser(std::exchange(parser_number_, 0));
    if (datagram_parser_number_)
        tap_->clear_datagram_parser(std::exchange(datagram_parser_number_, 0));
    instance_.reset();
    tables_.clear();
    stats_ = KernelStats();
    resting_ = RestingPrograms();
    loaded_.reset();
    kernel_memory_bytes_ = 0;
}

void Probe::quarantine(const Error& error)
{
    log(LogLevel::kError, config_.name, "is quarantined until the next start: " + error.text);
    take_down();
    state_ = ProbeState::kQuarantined;
    reason_ = error.text;
}

bool Probe::reconfigure(const ProbeConfig& config)
{
    ProbeConfig checked = config;
    if (!is_running_ || !instance_->can_reconfigure() || !check_probe_config(checked, manifest_).empty())
        return false;
    for (const ManifestKey& key : manifest_.keys)
        if (!key.reloadable && checked.values[key.key] != config_.values[key.key])
            return false;
    if (const Done taken = instance_->reconfigure(checked.values); !taken) {
        if (instance_->has_thrown())
            quarantine(taken.error());
        else
            log(LogLevel::kError, config_.name, "keeps its old configuration: " + taken.error().text);
    }
    config_ = std::move(checked);
    return true;
}

void Probe::on_event(const void* data, size_t size_bytes)
{
    if (!is_running_)
        return;
    if (const Done taken = instance_->on_event(data, size_bytes); !taken && instance_->has_thrown())
        thrown_ = taken.error();
}

void Probe::settle()
{
    if (const std::optional<Error> thrown = std::exchange(thrown_, std::nullopt))
        quarantine(*thrown);
}

void Probe::follow_level(uint32_t level)
{
    if (!is_running_ || !loaded_)
        return;
    const Done followed = resting_.follow(level, loaded_->object, cgroup_fd_);
    std::string reason = reason_at_start_;
    if (!followed)
        reason += (reason.empty() ? "" : "; ") + followed.error().text + ", which had rested; it is tried again";
    if (reason == reason_)
        return;
    reason_ = std::move(reason);
    state_ = reason_.empty() ? ProbeState::kActive : ProbeState::kDegraded;
    log(followed ? LogLevel::kInfo : LogLevel::kError, config_.name,
        to_string(state_) + (followed ? std::string(": its programs are all attached again") : ": " + reason_));
}

// Kind and help of every metric, so that what there is can be read before the first request.
void Probe::add_empty_families(Families& families) const
{
    for (const SeriesLayout& layout : declared_.tables)
        for (const RowMetric& metric : layout.metrics)
            families.family(metric.name, metric.kind, metric.help);
    for (const ManifestMetric& metric : manifest_.metrics)
        families.family(metric.name, metric.kind == "counter" ? MetricKind::kCounter : MetricKind::kGauge, metric.help);
}

Done Probe::run_iterator(const ManifestProgram& program)
{
    BpfObject& object = loaded_->object;
    if (const Done ran = object.run_iterator(program.name); !ran || !program.sees_one_namespace)
        return ran;
    return run_in_other_network_namespaces(kMostNetworkNamespaces, [&] { return object.run_iterator(program.name); });
}

void Probe::run_iterators()
{
    if (!is_running_ || !loaded_)
        return;
    for (const ManifestProgram& program : manifest_.programs) {
        if (!program.at_scrape || !loaded_->object.is_attached(program.name))
            continue;
        if (const Done ran = run_iterator(program); !ran && !std::exchange(has_iterator_complaint_, true))
            log(LogLevel::kWarn, config_.name, ran.error().text + "; its figures may stand still");
    }
}

void Probe::collect(const Workloads& workloads, Families& families)
{
    if (!is_running_)
        return;
    const ThreadTime time(user_seconds_);
    run_iterators();
    tick();
    add_empty_families(families);
    for (SeriesTable& table : tables_)
        if (const Done collected = table.collect(workloads, families); !collected)
            log(LogLevel::kError, config_.name, collected.error().text);
    const Done collected = instance_->collect(workloads, families);
    if (!collected && instance_->has_thrown())
        quarantine(collected.error());
}

bool Probe::is_healthy() const
{
    return state_ == ProbeState::kActive ||
           std::find(config_.accept.begin(), config_.accept.end(), to_string(state_)) != config_.accept.end();
}

std::string Probe::program_in(const std::string& section) const
{
    return loaded_ ? loaded_->object.program_in_section(section) : "";
}

uint32_t Probe::ring_bytes() const
{
    return loaded_ && loaded_->object.has_map(kRing) ? loaded_->object.map_entries(kRing) : 0;
}

int Probe::ring_fd() const
{
    return is_running_ && loaded_ ? loaded_->object.map_fd(kRing) : -1;
}

std::vector<std::string> Probe::metric_names() const
{
    std::vector<std::string> names;
    for (const SeriesLayout& layout : declared_.tables)
        for (const RowMetric& metric : layout.metrics)
            names.push_back(metric.name);
    for (const ManifestMetric& metric : manifest_.metrics)
        names.push_back(metric.name);
    return names;
}

} // namespace limpet
