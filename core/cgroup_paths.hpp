// SPDX-License-Identifier: Apache-2.0
//
// What a cgroup's path says about the workload in it. Pure functions over text; no files are read.
#pragma once

#include <string>
#include <string_view>

namespace limpet {

// Who knows a container's name. kOther: nobody that can be asked (a user's own Podman or Docker, nerdctl, CRI-O outside of
// Kubernetes).
enum class ContainerKind { kNone, kDocker, kPodman, kKubernetes, kOther };

struct ContainerKey {
    ContainerKind kind = ContainerKind::kNone;
    std::string id; // 64 hexadecimal digits; "" when it is none
};

// The two labels that a cgroup decides, and the container that it is of. An empty service_name: the executable's name
// stands in.
struct CgroupIdentity {
    std::string container_id;
    std::string service_name;
    ContainerKey container = {};
};

// Reads the path of a cgroup below its mount ("/system.slice/nginx.service"), as container runtimes and systemd lay them
// out:
//   Docker            /docker/<id>, …/docker-<id>.scope                      → /docker/<first 12 digits>
//   Podman            …/libpod-<id>.scope[/container], …/libpod_parent/libpod-<id> → /podman/<first 12 digits>
//   Kubernetes        …pod<uid>…/{cri-containerd-,crio-,docker-,}<id>[.scope] → /k8s/<pod uid>/<first 12 digits>
//   containerd        …/nerdctl-<id>.scope, …:cri-containerd:<id>            → /containerd/<first 12 digits>
//   LXC               /lxc/<name>, /lxc.payload.<name>                       → /lxc/<name>
//   systemd           the unit's path without the slices in between           → /system.slice/<unit>.service
//   users' sessions   anything below /user.slice                              → /user.slice
//   else              the path itself; "/" for the root
[[nodiscard]] CgroupIdentity identity_of_cgroup(std::string_view path);

// From the text of /proc/<pid>/cgroup: the path in the cgroup2 hierarchy ("0::/…"), or in the v1 hierarchy that has the
// memory controller when that one says more than "/". "" when neither is there.
[[nodiscard]] std::string cgroup_of_task(std::string_view proc_cgroup);

// The mount point of the v1 hierarchy with the memory controller in the text of /proc/self/mountinfo, or "".
[[nodiscard]] std::string find_memory_v1_mount(std::string_view mountinfo);

} // namespace limpet
