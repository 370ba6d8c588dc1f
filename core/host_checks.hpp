// SPDX-License-Identifier: Apache-2.0
//
// Whether limpet can work on this host: privileges, kernel BTF, the cgroup2 mount, and the namespaces it runs in.
//
// Values; no threads. Reading the facts and judging them are two steps, so that tests can judge hosts they do not have.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "result.hpp"

namespace limpet {

// What decides whether limpet can run here. Texts and inodes as the kernel shows them.
struct HostFacts {
    bool is_root = false;                // effective uid 0
    uint64_t effective_capabilities = 0; // CapEff of /proc/self/status, bit = capability number
    bool has_kernel_btf = false;         // /sys/kernel/btf/vmlinux is there
    std::filesystem::path cgroup_root;   // the configured or found cgroup2 mount; empty: none found
    bool cgroup_root_is_cgroup2 = false; // it exists and is a cgroup2 file system
    uint64_t cgroup_root_inode = 0;      // 1 at the host's root cgroup
    std::string cgroup_namespace;        // "cgroup:[4026531835]" is the host's; empty: kernel without it
    std::string pid_namespace;           // "pid:[4026531836]" is the host's
};

// Reads the facts. `configured_cgroup_root` is agent.cgroup_root, empty for "find it". `root` is put before every path
// ("/" but in tests). What cannot be read stays at its default, which check_host() then complains about.
[[nodiscard]] HostFacts read_host_facts(const std::filesystem::path& configured_cgroup_root,
                                        const std::filesystem::path& root = "/");

// The capabilities that the core itself needs.
[[nodiscard]] std::vector<std::string> core_capabilities();

// Everything that keeps limpet from working here, each with what, why it matters and how to mend it; empty: go on.
// `needed_capabilities` are names such as "CAP_BPF"; CAP_SYS_ADMIN stands in for CAP_BPF and CAP_PERFMON.
[[nodiscard]] std::vector<Error> check_host(const HostFacts& facts,
                                            const std::vector<std::string>& needed_capabilities);

// The mount point of the cgroup2 hierarchy in the text of /proc/self/mountinfo (proc_pid_mountinfo(5)): the one that
// shows the hierarchy's root if there are several; empty when there is none.
[[nodiscard]] std::filesystem::path find_cgroup2_mount(const std::string& mountinfo);

} // namespace limpet
