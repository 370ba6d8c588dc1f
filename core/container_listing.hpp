// SPDX-License-Identifier: Apache-2.0
//
// What container runtimes say about their containers, as text, and the labels that come of it. Pure functions.
//
// The text is not trusted: anything that is not as it should be is left out, nothing else of it is kept. Read are ids, names,
// whether a container runs, and the labels below; never commands, environments or mounts.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cgroup_paths.hpp"
#include "result.hpp"

namespace limpet {

// 1 to 128 bytes, no control characters: what may become a label's value.
[[nodiscard]] bool is_label_text(std::string_view text);

// One container as its runtime describes it. Empty: not said.
struct ListedContainer {
    std::string id;
    std::string name;
    std::string service; // com.docker.compose.service, com.docker.swarm.service.name or org.opencontainers.image.title
    std::string pod_namespace; // io.kubernetes.pod.namespace
    std::string pod_name;      // io.kubernetes.pod.name
    std::string pod_container; // io.kubernetes.container.name
    bool is_running = true;
};

// The answer to GET /containers/json: Docker Engine API 1.24 and later, and Podman's compatible one.
[[nodiscard]] Result<std::vector<ListedContainer>> read_container_list(std::string_view json);

// <storage>/overlay-containers/containers.json, where Podman and CRI-O keep the names of containers (containers/storage).
[[nodiscard]] Result<std::vector<ListedContainer>> read_storage_list(std::string_view json);

// A file's name in /var/log/containers, which the kubelet makes for every container of every runtime:
// "<pod>_<namespace>_<container>-<id>.log". Nothing but an id that is empty when it is another file.
[[nodiscard]] ListedContainer read_kubernetes_log_name(std::string_view file_name);

// The labels of a container: /docker/<name>, /podman/<name>, /k8s/<namespace>/<pod>/<container>; an empty container_id when
// too little is known. service_name: what its labels say, else a pod's workload (service_of_pod()) or the container's name.
[[nodiscard]] CgroupIdentity identity_of_container(ContainerKind kind, const ListedContainer& container);

// The workload that made a pod of this name: without the suffix of its ReplicaSet, DaemonSet or Job, or its number in a
// StatefulSet: "shop-7d4b9c6f5d-x2x7k", "shop-x2x7k", "shop-0" → "shop".
[[nodiscard]] std::string service_of_pod(std::string_view pod_name);

} // namespace limpet
