// SPDX-License-Identifier: Apache-2.0
//
// Who is behind a workload's number: the labels container_id and service_name.
//
// Owner: Agent. refresh() runs on the drain timer and does all the looking up; name() only reads the cache, so a scrape never
// waits for /proc. At most 1024 workloads, as many as the kernel side hands out. Guarded by the agent's mutex.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "mapped_map.hpp"
#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

struct WorkloadName {
    std::string container_id;
    std::string service_name;
};

// One element of the tap's map limpet_workloads (limpet/workload.bpf.h).
struct WorkloadRecord {
    uint64_t cgroup_id;    // on cgroup2
    uint64_t cgroup_v1_id; // in the memory controller's v1 hierarchy; 0 where that controller is on cgroup2
    char executable[32];
    uint32_t tgid; // of the first process seen
    uint32_t used; // written last; in element 0, which is no workload, the highest number in use
};
static_assert(sizeof(WorkloadRecord) == 56, "shared with the kernel side");

// Turns cgroup ids into paths below the mount, with open_by_handle_at(2): an id is the directory's kernfs handle.
class CgroupPaths {
public:
    static Result<CgroupPaths> open(const std::filesystem::path& cgroup2_mount);

    // The path of a workload's cgroup, wherever it says most: the v1 memory hierarchy, cgroup2, /proc/<tgid>/cgroup.
    // Nothing when the cgroup and the process are gone.
    [[nodiscard]] std::optional<std::string> path_of(const WorkloadRecord& record) const;

private:
    struct Mount {
        OwnedFd directory;
        std::string path;
    };
    static std::optional<std::string> path_in(const Mount& mount, uint64_t id);

    Mount unified_;
    Mount memory_v1_; // not open where there is none
};

// The labels of one workload. `path` is its cgroup's.
[[nodiscard]] WorkloadName name_of_workload(const WorkloadRecord& record, const std::optional<std::string>& path);

class Workloads {
public:
    // `records` is the mapped array.
    Workloads(CgroupPaths paths, MappedMap records);

    // Looks up the workloads that are new.
    void refresh();

    // Number 0, and one that refresh() has not met yet, is "/" and "unknown".
    [[nodiscard]] const WorkloadName& name(uint32_t number) const;
    // Changes whenever a name has: labels made earlier are out of date.
    [[nodiscard]] uint64_t version() const { return version_; }
    [[nodiscard]] std::vector<WorkloadName> all() const;

private:
    CgroupPaths paths_;
    MappedMap records_;
    std::vector<std::optional<WorkloadName>> names_; // by number
    uint64_t version_ = 1;
};

} // namespace limpet
