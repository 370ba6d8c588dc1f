// SPDX-License-Identifier: Apache-2.0
#include <cstring>

#include <catch2/catch.hpp>

#include "cgroup_paths.hpp"
#include "workloads.hpp"

using namespace limpet;

namespace {

const std::string kId = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const std::string kPod = "3e61c214-bc6d-4f9b-8e2a-1a2b3c4d5e6f";
const std::string kPodInSlice = "3e61c214_bc6d_4f9b_8e2a_1a2b3c4d5e6f";

} // namespace

TEST_CASE("a cgroup's path tells container and service")
{
    struct Row {
        const char* description;
        std::string path;
        std::string container_id;
        std::string service_name;
    };
    const std::vector<Row> rows = {
        {"root", "/", "/", ""},
        {"nothing", "", "/", ""},
        {"docker, cgroupfs driver", "/docker/" + kId, "/docker/0123456789ab", "0123456789ab"},
        {"docker, a cgroup made inside the container", "/docker/" + kId + "/init", "/docker/0123456789ab",
         "0123456789ab"},
        {"docker, systemd driver", "/system.slice/docker-" + kId + ".scope", "/docker/0123456789ab", "0123456789ab"},
        {"docker, removed meanwhile", "/system.slice/docker-" + kId + ".scope (deleted)", "/docker/0123456789ab",
         "0123456789ab"},
        {"docker's own service", "/system.slice/docker.service", "/system.slice/docker.service", "docker"},
        {"podman, root", "/machine.slice/libpod-" + kId + ".scope/container", "/podman/0123456789ab", "0123456789ab"},
        {"podman, rootless", "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope",
         "/podman/0123456789ab", "0123456789ab"},
        {"podman, cgroupfs driver", "/libpod_parent/libpod-" + kId, "/podman/0123456789ab", "0123456789ab"},
        {"kubernetes, containerd, systemd driver",
         "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + kPodInSlice + ".slice/cri-containerd-" +
             kId + ".scope",
         "/k8s/" + kPod + "/0123456789ab", "0123456789ab"},
        {"kubernetes, guaranteed pod, CRI-O",
         "/kubepods.slice/kubepods-pod" + kPodInSlice + ".slice/crio-" + kId + ".scope",
         "/k8s/" + kPod + "/0123456789ab", "0123456789ab"},
        {"kubernetes, cgroupfs driver", "/kubepods/besteffort/pod" + kPod + "/" + kId, "/k8s/" + kPod + "/0123456789ab",
         "0123456789ab"},
        {"kubernetes, containerd without SystemdCgroup",
         "/system.slice/containerd.service/kubepods-besteffort-pod" + kPodInSlice + ".slice:cri-containerd:" + kId,
         "/k8s/" + kPod + "/0123456789ab", "0123456789ab"},
        {"kind: kubelet's parent",
         "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-pod" + kPodInSlice + ".slice/cri-containerd-" + kId +
             ".scope",
         "/k8s/" + kPod + "/0123456789ab", "0123456789ab"},
        {"nerdctl", "/system.slice/nerdctl-" + kId + ".scope", "/containerd/0123456789ab", "0123456789ab"},
        {"lxc", "/lxc/web/ns", "/lxc/web", "web"},
        {"lxc 4", "/lxc.payload.web/system.slice/nginx.service", "/lxc/web", "web"},
        {"a unit", "/system.slice/nginx.service", "/system.slice/nginx.service", "nginx"},
        {"a unit with a cgroup below", "/system.slice/systemd-udevd.service/udev",
         "/system.slice/systemd-udevd.service", "systemd-udevd"},
        {"a template's instance", "/system.slice/system-getty.slice/getty@tty1.service",
         "/system.slice/getty@tty1.service", "getty@tty1"},
        {"an instance per connection is folded",
         "/system.slice/system-sshd.slice/sshd@12-10.0.0.1:22-10.0.0.2:4711.service", "/system.slice/sshd@.service",
         "sshd"},
        {"systemd-run", "/system.slice/run-rf0c7a1b2e3d44c55a6b7c8d9e0f1a2b3.service", "/system.slice/run.service", ""},
        {"systemd-run, by bus name", "/system.slice/run-u42.service", "/system.slice/run.service", ""},
        {"systemd-run, since 257", "/web.slice/run-p812-i99.scope", "/web.slice/run.scope", ""},
        {"a unit that only sounds like it", "/system.slice/run-ups.service", "/system.slice/run-ups.service",
         "run-ups"},
        {"a unit in a slice of its own", "/web.slice/nginx.service", "/web.slice/nginx.service", "nginx"},
        {"a login session", "/user.slice/user-1000.slice/session-3.scope", "/user.slice", ""},
        {"a user's service", "/user.slice/user-1000.slice/user@1000.service/app.slice/dbus.service", "/user.slice", ""},
        {"systemd itself", "/init.scope", "/init.scope", ""},
        {"any other", "/process_api/2f5cbfcebdacdd08c32811f2ecf295b4", "/process_api/2f5cbfcebdacdd08c32811f2ecf295b4",
         ""},
        {"63 digits are no container id", "/docker/" + kId.substr(1), "/docker/" + kId.substr(1), ""},
        {"64 digits under a stranger's name are a path", "/jobs/" + kId, "/jobs/" + kId, ""}};
    for (const Row& row : rows) {
        INFO(row.description);
        const CgroupIdentity identity = identity_of_cgroup(row.path);
        CHECK(identity.container_id == row.container_id);
        CHECK(identity.service_name == row.service_name);
    }
}

TEST_CASE("/proc/<pid>/cgroup: the memory hierarchy when it says more than the unified one")
{
    CHECK(cgroup_of_task("0::/system.slice/nginx.service\n") == "/system.slice/nginx.service");
    CHECK(cgroup_of_task("4:memory:/docker/a\n1:cpu,cpuacct:/x\n0::/\n") == "/docker/a");
    CHECK(cgroup_of_task("4:memory,hugetlb:/docker/a\n0::/\n") == "/docker/a");
    CHECK(cgroup_of_task("4:memory:/\n0::/user.slice\n") == "/user.slice");
    CHECK(cgroup_of_task("") == "");
    CHECK(cgroup_of_task("garbage") == "");
}

TEST_CASE("the v1 memory hierarchy is found in mountinfo")
{
    CHECK(find_memory_v1_mount("35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory\n"
                               "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n") ==
          "/sys/fs/cgroup/memory");
    CHECK(find_memory_v1_mount("41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,memory_recursiveprot\n") == "");
    CHECK(find_memory_v1_mount("") == "");
}

namespace {

WorkloadName name_of(const WorkloadRecord& record, const std::optional<std::string>& path)
{
    return name_of_workload(identity_of_workload(record, path), std::nullopt, {});
}

} // namespace

TEST_CASE("a workload's name: the unit's, else the executable's; a cgroup that is gone keeps its number")
{
    WorkloadRecord record{};
    record.cgroup_id = 77;
    std::strcpy(record.executable, "python3.11");
    CHECK(name_of(record, "/system.slice/web.service").service_name == "web");
    CHECK(name_of(record, "/user.slice/user-0.slice").service_name == "python3.11");
    CHECK(name_of(record, std::nullopt).container_id == "cgroup:77");
    CHECK(name_of(record, std::nullopt).service_name == "python3.11");
    std::memset(record.executable, 'x', sizeof(record.executable)); // not terminated
    CHECK(name_of(record, "/").service_name == std::string(32, 'x'));
    CHECK(name_of(WorkloadRecord{}, "/").service_name == "unknown");
}

TEST_CASE("a workload's name: the first rule that fits, else the container's runtime")
{
    WorkloadRecord record{};
    std::strcpy(record.executable, "httpd");
    const WorkloadIdentity workload = identity_of_workload(record, "/docker/" + kId);
    const CgroupIdentity container{"/docker/web", "shop"};
    const auto service = [&](const std::vector<WorkloadRule>& rules) {
        return name_of_workload(workload, container, rules).service_name;
    };
    CHECK(name_of_workload(workload, std::nullopt, {}).container_id == "/docker/0123456789ab");
    CHECK(name_of_workload(workload, container, {}).container_id == "/docker/web");
    CHECK(service({}) == "shop");
    CHECK(service({{"/docker/w*", "", "a"}, {"*", "", "b"}}) == "a");
    CHECK(service({{"/docker/w", "", "a"}, {"*", "", "b"}}) == "b");
    CHECK(service({{"", "httpd", "a"}}) == "a");
    CHECK(service({{"/docker/*", "nginx", "a"}}) == "shop");
    CHECK(service({{"/docker/0123456789ab", "", "a"}}) == "shop"); // its name is known
    CHECK(name_of_workload(workload, std::nullopt, {{"/docker/0123456789ab", "", "a"}}).service_name == "a");
}

TEST_CASE("a cgroup's path tells who knows the container's name")
{
    CHECK(identity_of_cgroup("/docker/" + kId).container.kind == ContainerKind::kDocker);
    CHECK(identity_of_cgroup("/docker/" + kId).container.id == kId);
    CHECK(identity_of_cgroup("/machine.slice/libpod-" + kId + ".scope/container").container.kind ==
          ContainerKind::kPodman);
    CHECK(identity_of_cgroup("/kubepods/besteffort/pod" + kPod + "/" + kId).container.kind ==
          ContainerKind::kKubernetes);
    CHECK(identity_of_cgroup("/system.slice/nerdctl-" + kId + ".scope").container.kind == ContainerKind::kOther);
    CHECK(identity_of_cgroup("/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kId + ".scope")
              .container.kind == ContainerKind::kOther);
    CHECK(identity_of_cgroup("/system.slice/nginx.service").container.kind == ContainerKind::kNone);
}
