// SPDX-License-Identifier: Apache-2.0
#include "agent.hpp"

#include <csignal>
#include <cstdio>
#include <fcntl.h>
#include <malloc.h>
#include <optional>
#include <pthread.h>

#include "agent_loop.hpp"
#include "agent_state.hpp"
#include "exporter.hpp"
#include "exposition.hpp"
#include "host_checks.hpp"
#include "http_server.hpp"
#include "listen_address.hpp"
#include "log.hpp"
#include "pinning.hpp"
#include "reload.hpp"
#include "status_page.hpp"
#include "stop_signals.hpp"

namespace limpet {
namespace {

constexpr size_t kThreadStackBytes = 512 * 1024;

int give_up(const Error& error, int exit_code = kExitFailure)
{
    log(LogLevel::kError, "agent", error.text);
    return exit_code;
}

// One heap for the few threads, and large buffers given back at once.
void keep_memory_small()
{
    ::mallopt(M_ARENA_MAX, 1);
    ::mallopt(M_MMAP_THRESHOLD, 64 * 1024);
    ::mallopt(M_TRIM_THRESHOLD, 128 * 1024);
    pthread_attr_t attributes;
    if (::pthread_attr_init(&attributes))
        return;
    ::pthread_attr_setstacksize(&attributes, kThreadStackBytes);
    ::pthread_setattr_default_np(&attributes);
    ::pthread_attr_destroy(&attributes);
}

Result<std::unique_ptr<AgentState>> load_tap(const std::filesystem::path& cgroup_root, uint16_t listen_port,
                                             const Config& config)
{
    OwnedFd root(::open(cgroup_root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!root.is_open())
        return errno_error("cannot open the cgroup2 mount " + cgroup_root.string());
    Result<CgroupPaths> paths = CgroupPaths::open(cgroup_root);
    if (!paths)
        return paths.error();
    Result<Tap> tap = Tap::load(listen_port);
    if (!tap)
        return tap.error();
    Result<Workloads> workloads = tap->workloads(std::move(*paths));
    if (!workloads)
        return workloads.error();
    auto state = std::make_unique<AgentState>(std::move(*tap), std::move(*workloads), config);
    state->workloads.set_rules(config.workloads);
    state->cgroup_root = std::move(root);
    return state;
}

void start_probes(AgentState& state, const Config& config)
{
    for (const ProbeConfig& probe : config.probes)
        if (probe.enabled)
            state.probes.push_back(std::make_unique<Probe>(probe));
    for (const auto& probe : state.probes)
        state.start_probe(*probe, config.agent);
    state.reopen_rings();
}

// The tap's hooks come after the probes': of two programs on one hook the first attached runs first.
Done attach_tap(AgentState& state)
{
    const Result<std::vector<std::string>> missing = state.tap.attach_owners();
    if (!missing)
        return missing.error();
    for (const std::string& what : *missing)
        log(LogLevel::kWarn, "agent", what + "; some sockets that are older than limpet stay without an owner");
    if (const Done attached = state.tap.attach_segments(state.cgroup_root.get()); !attached)
        return attached;
    for (const auto& probe : state.probes)
        probe->run_iterators();
    state.workloads.refresh();
    return done();
}

HttpPage metrics_page(AgentState& state, const Exporter& exporter)
{
    const auto begin = std::chrono::steady_clock::now();
    HttpPage page{200, "text/plain; version=0.0.4; charset=utf-8", exposition(exporter.Collect())};
    const std::lock_guard lock(state.mutex);
    state.last_scrape = std::chrono::steady_clock::now() - begin;
    return page;
}

HttpPages pages_of(AgentState& state, const Exporter& exporter)
{
    return {{"/", [&state] { return status_page(state); }},
            {"/healthz", [&state] { return health_page(state); }},
            {"/metrics", [&state, &exporter] { return metrics_page(state, exporter); }}};
}

void log_start(const AgentState& state, const ListenAddress& listen)
{
    std::string running;
    for (const auto& probe : state.probes)
        if (probe->is_running())
            running += (running.empty() ? "" : ", ") + probe->name();
    log(LogLevel::kInfo, "agent",
        "limpet " LIMPET_VERSION " watches " + (running.empty() ? "nothing: no probe runs" : running) +
            " in all processes of this host; see " + url_of(listen) + "/ and " + url_of(listen) + "/metrics");
}

int report_probes(const AgentState& state)
{
    bool all_healthy = true;
    for (const auto& probe : state.probes) {
        const std::string reason = probe->reason().empty() ? "" : ": " + probe->reason();
        std::printf("%s: %s%s\n", probe->name().c_str(), to_string(probe->state()), reason.c_str());
        all_healthy = all_healthy && probe->is_healthy();
    }
    return all_healthy ? kExitOk : kExitFailure;
}

// The exit code when this host or the probes' keys make a start pointless; everything has been logged.
std::optional<int> reason_not_to_start(const HostFacts& facts, Config& config)
{
    const std::vector<Error> lacks = check_host(facts, core_capabilities());
    for (const Error& lack : lacks)
        log(LogLevel::kError, "agent", lack.text);
    const std::vector<ConfigProblem> problems = check_probe_configs(config);
    for (const ConfigProblem& problem : problems)
        log(LogLevel::kError, "agent", to_string(problem));
    if (!lacks.empty())
        return kExitCannotRunHere;
    return problems.empty() ? std::nullopt : std::optional(kExitBadConfig);
}

// The port and the CPU. Before any thread starts: all inherit the CPU.
Done take_place(const AgentConfig& agent, const ListenAddress& listen)
{
    if (const Done free = check_can_listen(listen); !free)
        return free;
    const Result<std::string> pinned = pin_agent(agent);
    if (!pinned)
        return pinned.error();
    log(LogLevel::kInfo, "agent", *pinned);
    return done();
}

int serve(AgentState& state, Config& config, const std::filesystem::path& config_file, const ListenAddress& listen,
          const StopSignals& signals)
{
    const Exporter exporter(state);
    const auto server = HttpServer::start(listen, pages_of(state, exporter));
    if (!server)
        return give_up(server.error());
    ::malloc_trim(0);
    log_start(state, listen);
    const int signal = run_loop(state, config, config_file, signals);
    log(LogLevel::kInfo, "agent", std::string("stops on ") + (signal == SIGINT ? "SIGINT" : "SIGTERM"));
    return kExitOk;
}

} // namespace

// Start: host, place, tap, probes, hooks, server. Stop is the reverse, by destruction: server, then probes, then tap; what is
// attached goes with its owner, and with the process if that is killed.
int run_agent(Config config, const std::filesystem::path& config_file, RunMode mode)
{
    set_log_level(config.agent.log_level);
    const StopSignals signals;
    keep_memory_small();
    const HostFacts facts = read_host_facts(config.agent.cgroup_root);
    if (const auto exit_code = reason_not_to_start(facts, config))
        return *exit_code;
    const Result<ListenAddress> listen = parse_listen_address(config.agent.listen);
    if (!listen)
        return give_up(listen.error(), kExitBadConfig);
    if (mode == RunMode::kServe)
        if (const Done placed = take_place(config.agent, *listen); !placed)
            return give_up(placed.error());

    const Result<std::unique_ptr<AgentState>> state = load_tap(facts.cgroup_root, listen->port, config);
    if (!state)
        return give_up(state.error());
    start_probes(**state, config);
    if (const Done attached = attach_tap(**state); !attached)
        return give_up(attached.error());
    if (mode == RunMode::kLoadOnly)
        return report_probes(**state);
    return serve(**state, config, config_file, *listen, signals);
}

} // namespace limpet
