// SPDX-License-Identifier: Apache-2.0
//
// Who is behind a workload's number: the labels container_id and service_name.
//
// Owner: Agent. refresh() runs on the drain timer and does all the looking up; name() only reads the cache, so a scrape never
// waits for /proc. Names of containers come later, from ContainerNames, which never makes it wait. At most 1023 workloads at
// a time, as many as the kernel side hands out; what belongs to a cgroup that is gone is given back. Guarded by the agent's mutex.
#pragma once

#include <chrono>
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
    // True once the kernel knows one of its cgroups no more: nothing can run there again.
    [[nodiscard]] bool is_gone(const WorkloadRecord& record) const;

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

    // Before the first forget(): the maps limpet_workload_index and limpet_free_workloads. Without them numbers are kept.
    void set_maps(int index_fd, int free_fd) { index_fd_ = index_fd, free_fd_ = free_fd; }
    // Before the first refresh(). `names` must outlive this; without it containers keep their ids.
    void set_container_names(ContainerNames& names) { container_names_ = &names; }
    void set_rules(std::vector<WorkloadRule> rules);

    // Looks up the workloads that are new, and takes over what has become known of containers.
    void refresh();

    // Looks for workloads that have ended.
    void find_ended(std::chrono::steady_clock::time_point now);
    // Gives back the numbers of those that ended `after` ago and have no rows (`has_rows`, by index). They are used again after
    // the next call. REQUIRES: no program that was running at the last call is running still.
    Done forget(std::chrono::steady_clock::time_point now, std::chrono::milliseconds after,
                const std::vector<bool>& has_rows);

    [[nodiscard]] bool has_given_back() const { return !given_back_.empty(); }

    static constexpr uint32_t kLimit = 1024; // LIMPET_WORKLOAD_LIMIT
    [[nodiscard]] static constexpr uint32_t index_of(uint32_t number) { return number % kLimit; }
    // True for a workload whose cgroup is gone, and for a number that has been given back.
    [[nodiscard]] bool has_ended(uint32_t number) const;
    [[nodiscard]] bool is_forgotten(uint32_t number) const;

    // Number 0, one that has been given back, and one that refresh() has not met yet, is "/" and "unknown".
    [[nodiscard]] const WorkloadName& name(uint32_t number) const;
    // Changes whenever a name has: labels made earlier are out of date.
    [[nodiscard]] uint64_t version() const { return version_; }
    [[nodiscard]] std::vector<WorkloadName> all() const;

private:
    struct Known {
        WorkloadRecord record;
        WorkloadIdentity identity;
        WorkloadName name;
        std::optional<std::chrono::steady_clock::time_point> ended_at;
    };
    void forget_one(uint32_t index);
    [[nodiscard]] bool is_container_of_another(uint32_t index, const std::string& id) const;
    void find_new_workloads();
    void rename_all();
    [[nodiscard]] WorkloadName name_of(const WorkloadIdentity& identity) const;

    CgroupPaths paths_;
    MappedMap records_;
    std::vector<std::optional<Known>> known_; // by index
    std::vector<uint32_t> generations_;       // by index
    std::vector<uint32_t> given_back_;        // indices that are not free yet
    int index_fd_ = -1;
    int free_fd_ = -1;
    uint64_t version_ = 1;
    ContainerNames* container_names_ = nullptr;
    uint64_t container_names_version_ = 0; // taken over so far
    std::vector<WorkloadRule> rules_;
};

} // namespace limpet
