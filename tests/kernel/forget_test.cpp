// SPDX-License-Identifier: Apache-2.0
//
// Rows that the agent takes back while connections still know them: the http probe's table as the agent reads it, and a real
// cgroup that goes away.
#include <array>
#include <chrono>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <catch2/catch.hpp>

#include "bpf_metrics.hpp"
#include "host_checks.hpp"
#include "http_probe.hpp"
#include "manifest.hpp"
#include "owned_fd.hpp"
#include "series_table.hpp"
#include "taken.hpp"

using namespace limpet;
using namespace limpet::test;
using namespace std::chrono_literals;

namespace {

constexpr uint32_t kRows = 1024;
constexpr uint32_t kRowNumber = 0x1ffff; // LIMPET_ROW_NUMBER

// Its tables hold what this test has counted, and nothing else.
const HttpProbe& own_probe()
{
    static const HttpProbe kProbe;
    return kProbe;
}

SeriesLayout layout_of_server_table()
{
    const std::string path = LIMPET_BUILD_DIR "/plugins/http.so";
    const OwnedFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    const PluginSections sections = taken(read_plugin_sections(file.get(), path));
    for (const SeriesLayout& layout : taken(read_bpf_metrics(sections.bpf_object)).tables)
        if (layout.table == "http_server")
            return layout;
    throw std::runtime_error("http has no table http_server");
}

std::filesystem::path cgroup2_mount()
{
    std::ifstream file("/proc/self/mountinfo");
    return find_cgroup2_mount(std::string(std::istreambuf_iterator<char>(file), {}));
}

// A cgroup of the test's own.
class Cgroup {
public:
    Cgroup() : path_(cgroup2_mount() / ("limpet-kernel-test-" + std::to_string(::getpid())))
    {
        std::filesystem::create_directory(path_);
        struct stat status{};
        REQUIRE(::stat(path_.c_str(), &status) == 0);
        id_ = status.st_ino;
    }
    Cgroup(const Cgroup&) = delete;
    Cgroup& operator=(const Cgroup&) = delete;
    ~Cgroup() { remove(); }
    void remove() { ::rmdir(path_.c_str()); }
    [[nodiscard]] uint64_t id() const { return id_; }

private:
    std::filesystem::path path_;
    uint64_t id_ = 0;
};

// The agent's view of the probe's table, with a workload number that belongs to `cgroup`.
class Agent {
public:
    Agent(const Cgroup& cgroup, uint32_t workload)
        : records_fd_(::memfd_create("limpet-test", MFD_CLOEXEC)),
          workloads_(taken(CgroupPaths::open(cgroup2_mount())), map_records(cgroup, workload)),
          table_(taken(SeriesTable::open(layout_of_server_table(), source(), {{"duration_bounds", {0.001, 1}}})))
    {
        workloads_.refresh();
    }

    void forget(std::chrono::milliseconds time)
    {
        workloads_.find_ended(SteadyTime(time));
        REQUIRE(table_.forget(workloads_, SteadyTime(time), 1000ms));
    }
    // Series of http_server_request_duration_seconds.
    size_t series()
    {
        Families families;
        REQUIRE(table_.collect(workloads_, families));
        return families.all().empty() ? 0 : families.all().front().metric.size();
    }
    uint32_t& rows_of(uint32_t workload) { return rows_of_.at(Workloads::index_of(workload)); }
    [[nodiscard]] bool has_rows(uint32_t workload) const
    {
        std::vector<bool> has_rows(Workloads::kLimit);
        table_.mark_workloads(has_rows);
        return has_rows[workload];
    }

private:
    MappedMap map_records(const Cgroup& cgroup, uint32_t workload)
    {
        const size_t bytes = Workloads::kLimit * sizeof(WorkloadRecord);
        REQUIRE(::ftruncate(records_fd_.get(), static_cast<off_t>(bytes)) == 0);
        MappedMap map = taken(MappedMap::map_writable(records_fd_.get(), bytes, "records"));
        auto* records = reinterpret_cast<WorkloadRecord*>(map.writable_data());
        records[0].used = workload;
        records[workload].cgroup_id = cgroup.id();
        records[workload].used = 1;
        return map;
    }
    SeriesSource source()
    {
        SeriesSource source{own_probe().map_fd("http_server_keys"), own_probe().map_fd("http_server_rows"), kRows, 1,
                            std::as_bytes(std::span(&kRows, 1))};
        source.index_fd = own_probe().map_fd("http_server_index");
        source.free_fd = own_probe().map_fd("http_server_free");
        source.rows_of = std::as_writable_bytes(std::span(rows_of_));
        return source;
    }

    std::array<uint32_t, Workloads::kLimit> rows_of_{}; // as the kernel side counts them
    OwnedFd records_fd_;
    Workloads workloads_;
    SeriesTable table_;
};

void serve(Connection& connection, int times)
{
    for (int i = 0; i < times; ++i) {
        connection.send(kC, kGet);
        connection.send(kS, kOk);
    }
}

// The row that the connection counted in last: the members `row` of struct http_connection, behind two heads.
uint32_t row_number(const Connection& connection)
{
    uint32_t row = 0;
    const limpet_connection state = connection.state();
    __builtin_memcpy(&row, state.known + 32, sizeof(row));
    return row & kRowNumber;
}

} // namespace

TEST_CASE("rows of an ended workload are used again from zero, and connections that knew them do not count there")
{
    Cgroup cgroup;
    Connection old(own_probe(), true);
    serve(old, 3);
    const uint32_t old_row = row_number(old);
    const uint32_t workload = old.state().head.workload;
    Agent agent(cgroup, workload);
    CHECK(agent.series() == 1);
    agent.rows_of(workload) = 1;

    agent.forget(0ms);
    agent.forget(5000ms);
    CHECK(old.counted() == "GET 200=3"); // its cgroup is there
    cgroup.remove();
    agent.forget(10'000ms);
    serve(old, 1);
    agent.forget(10'999ms);
    agent.forget(11'998ms); // a second since the end, but not since the last count
    CHECK(old.counted() == "GET 200=4");
    CHECK(agent.has_rows(workload));
    CHECK(agent.rows_of(workload) == 1);
    agent.forget(11'999ms);
    CHECK(agent.rows_of(workload) == 0); // of its share
    CHECK(old.counted().empty());
    CHECK(agent.series() == 0);
    CHECK_FALSE(agent.has_rows(workload));

    Connection early(own_probe(), true);
    serve(early, 1);
    CHECK(row_number(early) != old_row); // programs may be counting in it still
    agent.forget(12'000ms);
    Connection later(own_probe(), true);
    serve(later, 2);
    CHECK(row_number(later) == old_row);
    CHECK(later.counted() == "GET 200=2");

    serve(old, 5);
    CHECK(later.counted() == "GET 200=2");
    CHECK(early.counted() == "GET 200=1");
    CHECK(old.counted() == "GET 200=5");
    CHECK(agent.series() == 2); // nobody knows the workloads of the other two: they are called alike
}
