// SPDX-License-Identifier: Apache-2.0
//
// The cpu probe's programs on the running kernel, without the agent: what a process has used stands in its row to the
// nanosecond when it is gone, wherever the thread's state is kept. Needs root.
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <sched.h>
#include <stdexcept>
#include <string>
#include <thread>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <catch2/catch.hpp>

#include "bpf_object.hpp"
#include "kernel_stats.hpp"
#include "manifest.hpp"
#include "owned_fd.hpp"
#include "probe_object.hpp"
#include "resting_programs.hpp"
#include "taken.hpp"
#include "workloads.hpp"

namespace limpet::test {
namespace {

using namespace std::chrono_literals;

constexpr uint32_t kPlaces = 4096;
constexpr uint32_t kRows = 256;

// struct cpu_row (plugins/cpu/cpu_series.bpf.h).
struct Row {
    uint64_t delay_ns;
    uint64_t buckets[23];
    uint64_t user_ns;
    uint64_t system_ns;
    uint64_t voluntary;
    uint64_t involuntary;
    uint64_t off_ns[5];
    uint64_t user_ticks_ns;
    uint64_t system_ticks_ns;
};
static_assert(sizeof(Row) == 280);

struct KeySlot {
    uint32_t workload;
    uint32_t used;
    uint32_t generation;
    uint32_t link;
};

struct Place {
    uint64_t task;
    uint64_t state[7];
};

// The probe's object, attached to the running kernel for as long as it lives.
class CpuProbe {
public:
    CpuProbe() : sections_(read_sections()), object_(taken(BpfObject::open(sections_.bpf_object, "cpu")))
    {
        const std::array<uint64_t, 32> bounds = counted_bounds({1e-5, 1e-4, 1e-3, 1e-2, 1e-1}, 1e9);
        std::memcpy(object_.variable("delay_bounds").data(), bounds.data(), sizeof(bounds));
        taken(object_.resize_map("limpet_stats", possible_cpus()));
        taken(object_.load());
    }

    // Leaves no thread a place in the table: all are kept in task storage.
    void take_all_places()
    {
        const Place foreign{2, {}};
        for (uint32_t place = 0; place < kPlaces; ++place)
            if (bpf_map_update_elem(object_.map_fd("cpu_runs"), &place, &foreign, BPF_ANY))
                throw std::runtime_error(errno_error("write cpu_runs").text);
    }

    void attach()
    {
        for (const std::string& program : object_.program_names())
            taken(object_.attach(program, -1));
        resting_ = RestingPrograms::in(object_);
        look();
    }

    void look() { taken(object_.run_iterator("on_task")); }

    // What the agent does at a change of level.
    void follow_level(uint32_t level, uint8_t era)
    {
        const uint64_t control = level | uint64_t{era} << 8;
        for (uint32_t cpu = 0; cpu < possible_cpus(); ++cpu) {
            auto words = element<std::array<uint64_t, 32>>("limpet_stats", cpu);
            words[static_cast<uint32_t>(KernelStat::kControl)] = control;
            if (bpf_map_update_elem(object_.map_fd("limpet_stats"), &cpu, &words, BPF_ANY))
                throw std::runtime_error(errno_error("write limpet_stats").text);
        }
        taken(resting_.follow(level, object_, -1));
    }

    // The row of the workload with this executable; nothing while there is none.
    [[nodiscard]] std::optional<Row> row_of(const std::string& executable) const
    {
        for (uint32_t number = 1; number < kRows; ++number) {
            const auto slot = element<KeySlot>("cpu_keys", number);
            const auto record = element<WorkloadRecord>("limpet_workloads", slot.workload);
            if (slot.used && executable == static_cast<const char*>(record.executable))
                return element<Row>("cpu_rows", number);
        }
        return std::nullopt;
    }

private:
    static PluginSections read_sections()
    {
        const std::string path = LIMPET_BUILD_DIR "/plugins/cpu.so";
        const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        return taken(read_plugin_sections(file.get(), path));
    }

    template <typename T>
    T element(const char* map, uint32_t index) const
    {
        T value{};
        if (bpf_map_lookup_elem(object_.map_fd(map), &index, &value))
            throw std::runtime_error(errno_error(std::string("read ") + map).text);
        return value;
    }

    PluginSections sections_;
    BpfObject object_;
    RestingPrograms resting_;
};

// A copy of the shell under a name of its own, which is gone with this object.
class Shell {
public:
    explicit Shell(const std::string& name) : name_(name), path_("/tmp/" + name)
    {
        std::filesystem::copy_file("/bin/sh", path_, std::filesystem::copy_options::overwrite_existing);
    }
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;
    ~Shell() { std::filesystem::remove(path_); }

    [[nodiscard]] const std::string& name() const { return name_; }

    [[nodiscard]] pid_t start(const std::string& script) const
    {
        std::string arguments[] = {"sh", "-c", script}; // busybox goes by this name
        char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
        pid_t pid = 0;
        if (::posix_spawn(&pid, path_.c_str(), nullptr, nullptr, argv, environ))
            throw std::runtime_error("cannot start " + path_);
        return pid;
    }

private:
    std::string name_;
    std::string path_;
};

// A shell that waits for another process, until the end of this object.
class Waiting {
public:
    explicit Waiting(const Shell& shell) : pid_(shell.start("sleep 2 & wait")) {}
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;
    ~Waiting()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

private:
    pid_t pid_;
};

void pin_to_one_cpu(pid_t pid)
{
    cpu_set_t first;
    CPU_ZERO(&first);
    CPU_SET(0, &first);
    if (::sched_setaffinity(pid, sizeof(first), &first))
        throw std::runtime_error("cannot pin a process");
}

// What the kernel says of a process.
struct Truth {
    uint64_t run_ns = 0;
    uint64_t delay_ns = 0;
    uint64_t arrivals = 0;
    uint64_t voluntary = 0;
    uint64_t involuntary = 0;
};

// Of one that has ended, which is then waited for.
Truth end_of(pid_t pid)
{
    siginfo_t end{};
    ::waitid(P_PID, static_cast<id_t>(pid), &end, WEXITED | WNOWAIT);
    std::this_thread::sleep_for(50ms); // its last switch, in which it leaves for ever
    const std::string directory = "/proc/" + std::to_string(pid);
    Truth truth;
    std::ifstream(directory + "/schedstat") >> truth.run_ns >> truth.delay_ns >> truth.arrivals;
    std::ifstream status(directory + "/status");
    for (std::string key; status >> key;) {
        if (key == "voluntary_ctxt_switches:")
            status >> truth.voluntary;
        if (key == "nonvoluntary_ctxt_switches:")
            status >> truth.involuntary;
    }
    ::waitpid(pid, nullptr, 0);
    return truth;
}

// The row once `run_ns` has been counted, or as it is after two seconds.
Row settled_row(CpuProbe& probe, const std::string& executable, uint64_t run_ns)
{
    const auto deadline = std::chrono::steady_clock::now() + 2s;
    for (;;) {
        const std::optional<Row> row = probe.row_of(executable);
        if ((row && row->user_ns + row->system_ns >= run_ns) || std::chrono::steady_clock::now() > deadline)
            return row.value_or(Row{});
        std::this_thread::sleep_for(10ms);
    }
}

uint64_t arrivals_in(const Row& row)
{
    uint64_t total = 0;
    for (const uint64_t bucket : row.buckets)
        total += bucket;
    return total;
}

void check_against(const Truth& truth, const Row& row, uint64_t children)
{
    CHECK(row.user_ns + row.system_ns == truth.run_ns);
    CHECK(row.delay_ns == truth.delay_ns);
    CHECK(row.off_ns[0] == truth.delay_ns);
    CHECK(row.voluntary == truth.voluntary);
    CHECK(row.involuntary == truth.involuntary);
    // arrivals that ended before a process' first exec stay with its parent's workload
    CHECK(arrivals_in(row) + 8 >= truth.arrivals);
    CHECK(arrivals_in(row) <= truth.arrivals + 10 * children);
}

const char* const kSpin = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
const char* const kStart =
    "/usr/bin/env sleep 0.05; /usr/bin/env sleep 0.05; :"; // a path is no command of busybox' own

} // namespace

TEST_CASE("what a process has used is counted to the nanosecond")
{
    struct Case {
        const char* description;
        const char* executable;
        const char* script;
        uint64_t children;
        bool has_places;
    };
    for (const Case& row :
         {Case{"it computes", "limpet-spins", kSpin, 0, true}, Case{"it ends at once", "limpet-ends", ":", 0, true},
          Case{"it sleeps and starts programs", "limpet-waits", kStart, 2, true},
          Case{"it computes; no place is free", "limpet-spins2", kSpin, 0, false},
          Case{"it waits; no place is free", "limpet-waits2", kStart, 2, false}}) {
        INFO(row.description);
        const Shell shell(row.executable);
        CpuProbe probe;
        if (!row.has_places)
            probe.take_all_places();
        probe.attach();
        const Truth truth = end_of(shell.start(row.script));
        REQUIRE(truth.run_ns > 0);
        check_against(truth, settled_row(probe, shell.name(), truth.run_ns), row.children);
    }
}

TEST_CASE("looks in between change nothing: each difference is taken once")
{
    const Shell shell("limpet-looked-at");
    CpuProbe probe;
    probe.attach();
    const pid_t pid = shell.start(kSpin);
    while (!probe.row_of(shell.name())) // before its exec it is still the parent's
        std::this_thread::sleep_for(1ms);
    for (int i = 0; i < 200; ++i)
        probe.look();
    const Truth truth = end_of(pid);
    const Row row = settled_row(probe, shell.name(), truth.run_ns);
    CHECK(row.user_ns + row.system_ns == truth.run_ns);
    CHECK(row.delay_ns == truth.delay_ns);
    CHECK(row.voluntary == truth.voluntary);
}

TEST_CASE("what a process did before the probe came is not counted")
{
    const Shell shell("limpet-older-" + std::to_string(::getpid()));
    CpuProbe probe; // loading takes longer than the process lives
    const pid_t pid = shell.start("i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done; sleep 1");
    uint64_t past_ns = 0;
    for (const auto deadline = std::chrono::steady_clock::now() + 10s;
         past_ns < 50'000'000 && std::chrono::steady_clock::now() < deadline;)
        std::ifstream("/proc/" + std::to_string(pid) + "/schedstat") >> past_ns;
    REQUIRE(past_ns >= 50'000'000);
    probe.attach();
    const Truth truth = end_of(pid);
    const Row row = settled_row(probe, shell.name(), truth.run_ns - past_ns);
    CHECK(row.user_ns + row.system_ns > 0);
    CHECK(row.user_ns + row.system_ns <= truth.run_ns - past_ns);
    CHECK(row.off_ns[1] + row.off_ns[3] >= 900'000'000); // asleep for its last second, until a child ended
}

TEST_CASE("while switches are not followed CPU time, their number and all delay are counted, and then it goes on")
{
    const Shell shell("limpet-rested");
    CpuProbe probe;
    probe.attach();
    const Shell other("limpet-rival"); // on the same CPU: both leave it, and come back, all the time
    const pid_t rival = other.start("while :; do :; done");
    const pid_t pid = shell.start("i=0; while [ $i -lt 400000 ]; do i=$((i+1)); done");
    pin_to_one_cpu(rival);
    pin_to_one_cpu(pid);
    while (!probe.row_of(shell.name())) // before its exec it is still the parent's
        std::this_thread::sleep_for(1ms);
    for (uint8_t era = 0; era < 4; ++era) {
        probe.follow_level(5, era);
        std::this_thread::sleep_for(20ms);
        probe.look();
        probe.follow_level(0, static_cast<uint8_t>(era + 1));
        std::this_thread::sleep_for(20ms);
        probe.look();
    }
    const Truth truth = end_of(pid);
    ::kill(rival, SIGKILL);
    ::waitpid(rival, nullptr, 0);
    const Row row = settled_row(probe, shell.name(), truth.run_ns);
    CHECK(row.user_ns + row.system_ns == truth.run_ns);
    CHECK(row.voluntary == truth.voluntary);
    CHECK(row.involuntary == truth.involuntary);
    CHECK(row.off_ns[0] == truth.delay_ns);
    CHECK(row.delay_ns <= truth.delay_ns); // those that are in the histogram
    CHECK(arrivals_in(row) > 0);
    CHECK(arrivals_in(row) <= truth.arrivals + 10);
}

TEST_CASE("a wait that begins before switches are left out and lasts grows no more then, and not afterwards until the "
          "next one")
{
    const Shell shell("limpet-rests");
    CpuProbe probe;
    probe.attach();
    const Waiting waiting(shell);
    std::this_thread::sleep_for(300ms);
    probe.look();
    const std::optional<Row> before = probe.row_of(shell.name());
    REQUIRE(before);
    CHECK(before->off_ns[1] > 100'000'000);
    probe.follow_level(5, 0);
    std::this_thread::sleep_for(200ms);
    probe.look();
    CHECK(probe.row_of(shell.name())->off_ns[1] == before->off_ns[1]);
    probe.follow_level(0, 1);
    std::this_thread::sleep_for(200ms);
    probe.look();
    CHECK(probe.row_of(shell.name())->off_ns[1] == before->off_ns[1]);
}

TEST_CASE("a wait is counted while it lasts, and kernel threads have no row")
{
    const Shell shell("limpet-asleep");
    CpuProbe probe;
    probe.attach();
    const Waiting waiting(shell);
    std::this_thread::sleep_for(500ms);
    probe.look();
    const std::optional<Row> asleep = probe.row_of(shell.name());
    REQUIRE(asleep);
    CHECK(asleep->off_ns[1] > 300'000'000);
    CHECK_FALSE(probe.row_of(""));
}

} // namespace limpet::test
