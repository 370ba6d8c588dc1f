// SPDX-License-Identifier: Apache-2.0
#include "workloads.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <sstream>

#include "cgroup_paths.hpp"

namespace limpet {
namespace {

constexpr int kKernfsHandle = 0xfe; // FILEID_KERNFS, include/linux/exportfs.h
constexpr uint32_t kWorkloadLimit = 1024;

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

WorkloadName name_of_workload(const WorkloadRecord& record, const std::optional<std::string>& path)
{
    if (!path) {
        const uint64_t id = record.cgroup_v1_id ? record.cgroup_v1_id : record.cgroup_id;
        return {"cgroup:" + std::to_string(id), executable_of(record)};
    }
    CgroupIdentity identity = identity_of_cgroup(*path);
    return {identity.container_id, identity.service_name.empty() ? executable_of(record) : identity.service_name};
}

Workloads::Workloads(CgroupPaths paths, MappedMap records)
    : paths_(std::move(paths)), records_(std::move(records)), names_(1)
{
}

void Workloads::refresh()
{
    const auto highest = read_once<uint32_t>(records_.data() + offsetof(WorkloadRecord, used));
    const uint32_t count = std::min(highest + 1, kWorkloadLimit);
    names_.resize(std::max<size_t>(names_.size(), count));
    for (uint32_t number = 1; number < count; ++number) {
        const std::byte* place = records_.data() + number * sizeof(WorkloadRecord);
        const bool is_whole = __atomic_load_n(reinterpret_cast<const uint32_t*>(place + offsetof(WorkloadRecord, used)),
                                              __ATOMIC_ACQUIRE);
        if (names_[number] || !is_whole)
            continue;
        WorkloadRecord record{};
        std::memcpy(&record, place, sizeof(record));
        names_[number] = name_of_workload(record, paths_.path_of(record));
        ++version_;
    }
}

const WorkloadName& Workloads::name(uint32_t number) const
{
    if (number >= names_.size())
        return unknown_workload();
    const std::optional<WorkloadName>& known = names_[number];
    return known ? *known : unknown_workload();
}

std::vector<WorkloadName> Workloads::all() const
{
    std::vector<WorkloadName> names;
    for (const std::optional<WorkloadName>& name : names_)
        if (name)
            names.push_back(*name);
    return names;
}

} // namespace limpet
