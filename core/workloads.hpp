// SPDX-License-Identifier: Apache-2.0
//
// Who is behind a workload's number: the labels container_id and service_name.
//
// Owner: Agent. refresh() runs on the drain timer and does all the looking up; name() only reads the cache, so a scrape never
// waits for /proc. Names of containers come later, from ContainerNames, which never makes it wait. At most 1024 workloads, as
// many as the kernel side hands out. Guarded by the agent's mutex.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cgroup_paths.hpp"
#include "config.hpp"
#include "mapped_map.hpp"
#include "owned_fd.hpp"
#include "result.hpp"

namespace limpet {

class ContainerNames;

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

// What is known of a workload from the kernel: its cgroup and its executable ("unknown" when the kernel could not say).
struct WorkloadIdentity {
    CgroupIdentity cgroup;
    std::string executable;
};

// `path` is its cgroup's; without one, the cgroup is told by its number.
[[nodiscard]] WorkloadIdentity identity_of_workload(const WorkloadRecord& record,
                                                    const std::optional<std::string>& path);

// The labels: the first rule that fits names the service, else the container or unit does, else the executable. `container` is
// what the container's runtime says, where it has said something.
[[nodiscard]] WorkloadName name_of_workload(const WorkloadIdentity& workload,
                                            const std::optional<CgroupIdentity>& container,
                                            const std::vector<WorkloadRule>& rules);

class Workloads {
public:
    // `records` is the mapped array.
    Workloads(CgroupPaths paths, MappedMap records);

    // Before the first refresh(). `names` must outlive this; without it containers keep their ids.
    void set_container_names(ContainerNames& names) { container_names_ = &names; }
    void set_rules(std::vector<WorkloadRule> rules);

    // Looks up the workloads that are new, and takes over what has become known of containers.
    void refresh();

    // Number 0, and one that refresh() has not met yet, is "/" and "unknown".
    [[nodiscard]] const WorkloadName& name(uint32_t number) const;
    // Changes whenever a name has: labels made earlier are out of date.
    [[nodiscard]] uint64_t version() const { return version_; }
    [[nodiscard]] std::vector<WorkloadName> all() const;

private:
    struct Known {
        WorkloadIdentity identity;
        WorkloadName name;
    };
    void find_new_workloads();
    void rename_all();
    [[nodiscard]] WorkloadName name_of(const WorkloadIdentity& identity) const;

    CgroupPaths paths_;
    MappedMap records_;
    std::vector<std::optional<Known>> known_; // by number
    uint64_t version_ = 1;
    ContainerNames* container_names_ = nullptr;
    uint64_t container_names_version_ = 0; // taken over so far
    std::vector<WorkloadRule> rules_;
};

} // namespace limpet
