// SPDX-License-Identifier: Apache-2.0
#include "host_checks.hpp"

#include <charconv>
#include <sstream>

#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "capability.hpp"
#include "suggestion.hpp"
#include "text_file.hpp"

namespace limpet {
namespace {

// include/linux/proc_ns.h: PROC_CGROUP_INIT_INO and PROC_PID_INIT_INO. The host's namespaces always have these numbers.
constexpr const char* kHostCgroupNamespace = "cgroup:[4026531835]";
constexpr const char* kHostPidNamespace = "pid:[4026531836]";
constexpr uint64_t kRootCgroupInode = 1;
constexpr size_t kLargestProcFileBytes = 8 << 20;
constexpr const char* kContainerHint = "in a container: docker run --pid=host --cgroupns=host --privileged";

// The kernel writes space, tab, newline and backslash in paths as \ooo.
std::string unescaped(const std::string& text)
{
    std::string result;
    for (size_t at = 0; at < text.size(); ++at) {
        unsigned value = 0;
        const char* const digits = text.data() + at + 1;
        if (text[at] == '\\' && at + 3 < text.size() &&
            std::from_chars(digits, digits + 3, value, 8).ptr == digits + 3 && value < 256) {
            result += static_cast<char>(value);
            at += 3;
        } else {
            result += text[at];
        }
    }
    return result;
}

uint64_t effective_capabilities(const std::string& status)
{
    constexpr std::string_view kLine = "\nCapEff:";
    const size_t line = status.find(kLine);
    if (line == std::string::npos)
        return 0;
    const size_t begin = status.find_first_not_of(" \t", line + kLine.size());
    uint64_t bits = 0;
    if (begin != std::string::npos)
        std::from_chars(status.data() + begin, status.data() + status.size(), bits, 16);
    return bits;
}

std::string link_text(const std::filesystem::path& path)
{
    std::error_code error;
    return std::filesystem::read_symlink(path, error).string();
}

bool has(const HostFacts& facts, const std::string& capability)
{
    const auto bit = [&](std::string_view name) {
        const std::optional<unsigned> number = capability_number(name);
        return number && (facts.effective_capabilities >> *number & 1) != 0;
    };
    const bool is_part_of_sys_admin = capability == "CAP_BPF" || capability == "CAP_PERFMON";
    return bit(capability) || (is_part_of_sys_admin && bit("CAP_SYS_ADMIN"));
}

void check_privileges(const HostFacts& facts, const std::vector<std::string>& needed, std::vector<Error>& errors)
{
    std::vector<std::string> missing;
    for (const std::string& capability : needed)
        if (!has(facts, capability))
            missing.push_back(capability);
    if (missing.empty())
        return;
    const std::string why = "the kernel loads and attaches BPF programs for nobody else; ";
    if (!facts.is_root)
        errors.push_back({0, "not root, and without " + joined(missing) + ": " + why +
                                 "run it as root (sudo limpet run), or give it these capabilities"});
    else
        errors.push_back({0, "root, but without " + joined(missing) + ": " + why + kContainerHint});
}

void check_cgroup_root(const HostFacts& facts, std::vector<Error>& errors)
{
    if (facts.cgroup_root.empty()) {
        errors.push_back({0,
                          "no cgroup2 mount in /proc/self/mountinfo: limpet watches packets at the root of the cgroup2 "
                          "hierarchy; mount it with: mount -t cgroup2 none /sys/fs/cgroup (or, beside cgroup v1, "
                          "/sys/fs/cgroup/unified), or name it in agent.cgroup_root"});
        return;
    }
    const std::string root = facts.cgroup_root.string();
    if (!facts.cgroup_root_is_cgroup2) {
        errors.push_back({0, root + " is not a cgroup2 file system: limpet watches packets at the root of the cgroup2 "
                                    "hierarchy; correct agent.cgroup_root, or leave it out to have it found"});
        return;
    }
    const bool is_private = !facts.cgroup_namespace.empty() && facts.cgroup_namespace != kHostCgroupNamespace;
    if (facts.cgroup_root_inode == kRootCgroupInode && !is_private)
        return;
    const std::string evidence = is_private ? "a private cgroup namespace (" + facts.cgroup_namespace + ")"
                                            : root + " is not the root of the cgroup2 hierarchy (inode " +
                                                  std::to_string(facts.cgroup_root_inode) + " instead of 1)";
    errors.push_back(
        {0, evidence +
                ": limpet would see only the traffic below this cgroup, and no other workload's name; run it "
                "in the host's cgroup namespace (" +
                kContainerHint + ")"});
}

} // namespace

std::filesystem::path find_cgroup2_mount(const std::string& mountinfo)
{
    std::filesystem::path found;
    std::istringstream lines(mountinfo);
    for (std::string line; std::getline(lines, line);) {
        // "36 35 98:0 /root /mount/point options… - type source options", proc_pid_mountinfo(5)
        std::istringstream fields(line);
        std::string id, parent, device, root, mount_point;
        fields >> id >> parent >> device >> root >> mount_point;
        const size_t separator = line.find(" - ");
        if (!fields || separator == std::string::npos || line.compare(separator, 11, " - cgroup2 ") != 0)
            continue;
        if (root == "/")
            return unescaped(mount_point);
        if (found.empty())
            found = unescaped(mount_point);
    }
    return found;
}

HostFacts read_host_facts(const std::filesystem::path& configured_cgroup_root, const std::filesystem::path& root)
{
    HostFacts facts;
    const auto read = [&](const char* path) {
        const Result<std::string> text = read_text_file(root / path, kLargestProcFileBytes);
        return text ? *text : std::string();
    };
    std::error_code error;
    facts.is_root = ::geteuid() == 0;
    facts.effective_capabilities = effective_capabilities(read("proc/self/status"));
    facts.has_kernel_btf = std::filesystem::exists(root / "sys/kernel/btf/vmlinux", error);
    facts.cgroup_namespace = link_text(root / "proc/self/ns/cgroup");
    facts.pid_namespace = link_text(root / "proc/self/ns/pid");
    facts.cgroup_root =
        configured_cgroup_root.empty() ? find_cgroup2_mount(read("proc/self/mountinfo")) : configured_cgroup_root;

    const std::filesystem::path seen = root / facts.cgroup_root.relative_path();
    struct statfs file_system{};
    facts.cgroup_root_is_cgroup2 =
        ::statfs(seen.c_str(), &file_system) == 0 && file_system.f_type == CGROUP2_SUPER_MAGIC;
    struct stat status{};
    if (::stat(seen.c_str(), &status) == 0)
        facts.cgroup_root_inode = status.st_ino;
    return facts;
}

std::vector<std::string> core_capabilities()
{
    return {"CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"};
}

std::vector<Error> check_host(const HostFacts& facts, const std::vector<std::string>& needed_capabilities)
{
    std::vector<Error> errors;
    check_privileges(facts, needed_capabilities, errors);
    if (!facts.has_kernel_btf)
        errors.push_back(
            {0, "no /sys/kernel/btf/vmlinux: limpet's programs adapt to the kernel by its type information; use a "
                "kernel built with CONFIG_DEBUG_INFO_BTF=y (Debian, Ubuntu, Fedora and RHEL kernels are), and "
                "see that /sys is mounted"});
    check_cgroup_root(facts, errors);
    if (!facts.pid_namespace.empty() && facts.pid_namespace != kHostPidNamespace)
        errors.push_back(
            {0, "a private pid namespace (" + facts.pid_namespace +
                    "): the kernel names processes by the "
                    "host's numbers, which cannot be looked up from here; run it in the host's pid namespace (" +
                    kContainerHint + ")"});
    return errors;
}

} // namespace limpet
