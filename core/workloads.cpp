// SPDX-License-Identifier: Apache-2.0
#include "workloads.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fnmatch.h>
#include <fstream>
#include <sstream>

#include "container_names.hpp"

namespace limpet {
namespace {

constexpr int kKernfsHandle = 0xfe; // FILEID_KERNFS, include/linux/exportfs.h

const WorkloadName& unknown_workload()
{
    static const WorkloadName kUnknown{"/", "unknown"};
    return kUnknown;
}

std::string contents_of(const std::string& path)
{
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

OwnedFd open_by_id(int mount_fd, uint64_t id)
{
    alignas(file_handle) std::array<std::byte, sizeof(file_handle) + sizeof(id)> buffer{};
    auto* handle = reinterpret_cast<file_handle*>(buffer.data());
    handle->handle_bytes = sizeof(id);
    handle->handle_type = kKernfsHandle;
    std::memcpy(buffer.data() + sizeof(file_handle), &id, sizeof(id));
    return OwnedFd(::open_by_handle_at(mount_fd, handle, O_PATH | O_CLOEXEC));
}

std::string target_of_fd(int fd)
{
    std::array<char, 4096> target{};
    const ssize_t length =
        ::readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), target.data(), target.size() - 1);
    return length > 0 ? std::string(target.data(), static_cast<size_t>(length)) : "";
}

std::string executable_of(const WorkloadRecord& record)
{
    const std::string name(record.executable, strnlen(record.executable, sizeof(record.executable)));
    return name.empty() ? "unknown" : name;
}

bool fits(const std::string& glob, const std::string& text)
{
    return glob.empty() || ::fnmatch(glob.c_str(), text.c_str(), 0) == 0;
}

} // namespace

Result<CgroupPaths> CgroupPaths::open(const std::filesystem::path& cgroup2_mount)
{
    CgroupPaths paths;
    paths.unified_ = {OwnedFd(::open(cgroup2_mount.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), cgroup2_mount};
    if (!paths.unified_.directory.is_open())
        return errno_error("cannot open the cgroup2 mount " + cgroup2_mount.string());
    const std::string memory = find_memory_v1_mount(contents_of("/proc/self/mountinfo"));
    if (!memory.empty())
        paths.memory_v1_ = {OwnedFd(::open(memory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)), memory};
    return paths;
}

bool CgroupPaths::is_gone(const WorkloadRecord& record) const
{
    const auto is_stale = [](const Mount& mount, uint64_t id) {
        if (id == 0 || !mount.directory.is_open() || open_by_id(mount.directory.get(), id).is_open())
            return false;
        return errno == ESTALE || errno == ENOENT;
    };
    return is_stale(unified_, record.cgroup_id) || is_stale(memory_v1_, record.cgroup_v1_id);
}

std::optional<std::string> CgroupPaths::path_in(const Mount& mount, uint64_t id)
{
    if (!mount.directory.is_open() || id == 0)
        return std::nullopt;
    const OwnedFd directory = open_by_id(mount.directory.get(), id);
    const std::string target = directory.is_open() ? target_of_fd(directory.get()) : "";
    if (!target.starts_with(mount.path))
        return std::nullopt;
    const std::string path = target.substr(mount.path.size());
    return path.empty() ? "/" : path;
}

std::optional<std::string> CgroupPaths::path_of(const WorkloadRecord& record) const
{
    std::optional<std::string> in_v1 = path_in(memory_v1_, record.cgroup_v1_id);
    if (in_v1 && *in_v1 != "/")
        return in_v1;
    if (std::optional<std::string> in_v2 = path_in(unified_, record.cgroup_id))
        return in_v2;
    const std::string path = cgroup_of_task(contents_of("/proc/" + std::to_string(record.tgid) + "/cgroup"));
    return path.empty() ? std::nullopt : std::optional(path);
}

WorkloadIdentity identity_of_workload(const WorkloadRecord& record, const std::optional<std::string>& path)
{
    if (path)
        return {identity_of_cgroup(*path), executable_of(record)};
    const uint64_t id = record.cgroup_v1_id ? record.cgroup_v1_id : record.cgroup_id;
    return {{"cgroup:" + std::to_string(id), ""}, executable_of(record)};
}

WorkloadName name_of_workload(const WorkloadIdentity& workload, const std::optional<CgroupIdentity>& container,
                              const std::vector<WorkloadRule>& rules)
{
    const CgroupIdentity& known = container ? *container : workload.cgroup;
    WorkloadName name{known.container_id, known.service_name.empty() ? workload.executable : known.service_name};
    for (const WorkloadRule& rule : rules) {
        if (!fits(rule.container_id, name.container_id) || !fits(rule.executable, workload.executable))
            continue;
        name.service_name = rule.service_name;
        break;
    }
    return name;
}

Workloads::Workloads(CgroupPaths paths, MappedMap records)
    : paths_(std::move(paths)), records_(std::move(records)), known_(1), generations_(kLimit)
{
}

void Workloads::set_rules(std::vector<WorkloadRule> rules)
{
    rules_ = std::move(rules);
    rename_all();
}

void Workloads::refresh()
{
    find_new_workloads();
    const uint64_t version = container_names_ ? container_names_->version() : 0;
    if (version == container_names_version_)
        return;
    container_names_version_ = version; // read before the names: what changes meanwhile is taken over next time
    rename_all();
}

void Workloads::find_new_workloads()
{
    const auto highest = read_once<uint32_t>(records_.data() + offsetof(WorkloadRecord, used));
    const uint32_t count = std::min(highest + 1, kLimit);
    known_.resize(std::max<size_t>(known_.size(), count));
    for (uint32_t index = 1; index < count; ++index) {
        if (known_[index])
            continue;
        const std::byte* place = records_.data() + index * sizeof(WorkloadRecord);
        const bool is_whole = __atomic_load_n(reinterpret_cast<const uint32_t*>(place + offsetof(WorkloadRecord, used)),
                                              __ATOMIC_ACQUIRE);
        if (!is_whole)
            continue;
        WorkloadRecord record{};
        std::memcpy(&record, place, sizeof(record));
        WorkloadIdentity identity = identity_of_workload(record, paths_.path_of(record));
        if (container_names_)
            container_names_->want(identity.cgroup.container);
        WorkloadName name = name_of(identity);
        known_[index] = {record, std::move(identity), std::move(name), std::nullopt};
        ++version_;
    }
}

void Workloads::rename_all()
{
    for (std::optional<Known>& known : known_) {
        if (!known)
            continue;
        WorkloadName name = name_of(known->identity);
        if (name.container_id == known->name.container_id && name.service_name == known->name.service_name)
            continue;
        known->name = std::move(name);
        ++version_;
    }
}

WorkloadName Workloads::name_of(const WorkloadIdentity& identity) const
{
    const bool can_have_one = container_names_ && !identity.cgroup.container.id.empty();
    return name_of_workload(identity,
                            can_have_one ? container_names_->find(identity.cgroup.container.id) : std::nullopt, rules_);
}

const WorkloadName& Workloads::name(uint32_t number) const
{
    const uint32_t index = index_of(number);
    const bool is_known = index < known_.size() && known_[index] && !is_forgotten(number);
    return is_known ? known_[index]->name : unknown_workload();
}

std::vector<WorkloadName> Workloads::all() const
{
    std::vector<WorkloadName> names;
    for (const std::optional<Known>& known : known_)
        if (known)
            names.push_back(known->name);
    return names;
}

} // namespace limpet
