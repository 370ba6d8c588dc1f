// SPDX-License-Identifier: Apache-2.0
#include "cgroup_paths.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <vector>

#include "split.hpp"

namespace limpet {
namespace {

constexpr size_t kShortIdLength = 12; // as `docker ps` shows it

bool is_container_id(std::string_view text)
{
    return text.size() == 64 && std::all_of(text.begin(), text.end(),
                                            [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

std::string_view without_suffix(std::string_view text, std::string_view suffix)
{
    return text.ends_with(suffix) ? text.substr(0, text.size() - suffix.size()) : text;
}

// A container's own directory: which runtime made it, and its id.
struct ContainerDirectory {
    std::string_view runtime; // "" when the name is a bare id
    std::string_view id;
};

// "<runtime>-<id>.scope", "…:cri-containerd:<id>", "<id>".
std::optional<ContainerDirectory> container_directory(std::string_view name)
{
    name = without_suffix(name, ".scope");
    if (name.size() < 64 || !is_container_id(name.substr(name.size() - 64)))
        return std::nullopt;
    std::string_view runtime = name.substr(0, name.size() - 64);
    if (!runtime.empty())
        runtime.remove_suffix(1); // '-' or ':'
    if (const size_t colon = runtime.rfind(':'); colon != std::string_view::npos)
        runtime.remove_prefix(colon + 1);
    return ContainerDirectory{runtime, name.substr(name.size() - 64)};
}

// The pod's uid in "kubepods-burstable-pod<uid>.slice", "pod<uid>", "kubepods-…-pod<uid>.slice:cri-containerd:<id>".
// systemd writes '_' for '-'.
std::string pod_uid(const std::vector<std::string>& parts)
{
    const bool is_kubernetes = std::any_of(
        parts.begin(), parts.end(), [](const std::string& part) { return part.find("kubepods") != std::string::npos; });
    for (const std::string& part : parts) {
        const size_t begin = part.rfind("pod");
        if (!is_kubernetes || begin == std::string::npos || (begin > 0 && part[begin - 1] != '-'))
            continue;
        std::string uid = part.substr(begin + 3);
        uid.resize(std::min(uid.size(), uid.find_first_of(".:")));
        std::replace(uid.begin(), uid.end(), '_', '-');
        if (uid.size() >= 32)
            return uid;
    }
    return "";
}

std::string family_of(std::string_view runtime, std::string_view parent)
{
    if (runtime == "docker" || (runtime.empty() && parent == "docker"))
        return "docker";
    if (runtime == "libpod")
        return "podman";
    if (runtime == "crio")
        return "crio";
    if (runtime == "nerdctl" || runtime == "cri-containerd")
        return "containerd";
    return "";
}

ContainerKind kind_of(std::string_view family, bool is_a_users)
{
    if (is_a_users)
        return ContainerKind::kOther;
    return family == "docker"   ? ContainerKind::kDocker
           : family == "podman" ? ContainerKind::kPodman
                                : ContainerKind::kOther;
}

std::string container_path(std::initializer_list<std::string> parts)
{
    std::string path;
    for (const std::string& part : parts)
        path.append("/").append(part);
    return path;
}

std::optional<CgroupIdentity> container_identity(const std::vector<std::string>& parts)
{
    for (size_t i = parts.size(); i-- > 0;) {
        const auto found = container_directory(parts[i]);
        if (!found)
            continue;
        const std::string short_id(found->id.substr(0, kShortIdLength));
        if (const std::string pod = pod_uid(parts); !pod.empty())
            return CgroupIdentity{
                container_path({"k8s", pod, short_id}), short_id, {ContainerKind::kKubernetes, std::string(found->id)}};
        const std::string family = family_of(found->runtime, i > 0 ? std::string_view(parts[i - 1]) : "");
        if (!family.empty())
            return CgroupIdentity{container_path({family, short_id}),
                                  short_id,
                                  {kind_of(family, parts[0] == "user.slice"), std::string(found->id)}};
    }
    return std::nullopt;
}

std::optional<CgroupIdentity> lxc_identity(const std::vector<std::string>& parts)
{
    constexpr std::string_view kPayload = "lxc.payload.";
    if (parts[0].starts_with(kPayload)) {
        const std::string name = parts[0].substr(kPayload.size());
        return CgroupIdentity{"/lxc/" + name, name};
    }
    if (parts[0] == "lxc" && parts.size() > 1)
        return CgroupIdentity{"/lxc/" + parts[1], parts[1]};
    return std::nullopt;
}

// "sshd@12-10.0.0.1:22-10.0.0.2:4711.service" is one of a kind per connection (Accept=yes, systemd.socket(5)): without
// the instance it is a bounded set.
std::string without_connection_instance(const std::string& unit)
{
    const size_t at = unit.find('@');
    if (at == std::string::npos)
        return unit;
    const size_t digits = unit.find_first_not_of("0123456789", at + 1);
    if (digits == at + 1 || digits == std::string::npos || unit[digits] != '-')
        return unit;
    return unit.substr(0, at + 1) + ".service";
}

// "run-r<hex>.service", "run-u12.scope", "run-p7-i8.service": a unit that systemd-run names after nothing. Each is another
// one, so that all of a slice are one container, told apart by executable.
std::optional<CgroupIdentity> transient_identity(const std::vector<std::string>& parts)
{
    for (const std::string& part : parts) {
        if (!part.starts_with("run-") || part.size() < 6 || std::string_view("rup").find(part[4]) == std::string::npos)
            continue;
        const size_t end = part.find_first_not_of("0123456789abcdef-i", 5);
        if (end == 5 || end == std::string::npos)
            continue;
        const std::string kind = part.substr(end);
        if (kind == ".service" || kind == ".scope")
            return CgroupIdentity{"/" + parts[0] + (parts[0] == part ? "" : "/run" + kind), ""};
    }
    return std::nullopt;
}

std::optional<CgroupIdentity> service_identity(const std::vector<std::string>& parts)
{
    constexpr std::string_view kService = ".service";
    for (const std::string& part : parts) {
        if (!part.ends_with(kService))
            continue;
        const std::string unit = without_connection_instance(part);
        std::string name(without_suffix(unit, kService));
        if (name.ends_with('@'))
            name.pop_back();
        return CgroupIdentity{"/" + parts[0] + (parts[0] == part ? "" : "/" + unit), name};
    }
    return std::nullopt;
}

std::vector<std::string> parts_of(std::string_view path)
{
    std::vector<std::string> parts;
    for (std::string& part : split(path, '/'))
        if (!part.empty())
            parts.push_back(std::move(part));
    return parts;
}

} // namespace

CgroupIdentity identity_of_cgroup(std::string_view path)
{
    path = without_suffix(path, " (deleted)"); // as /proc/self/fd shows a removed directory
    const std::vector<std::string> parts = parts_of(path);
    if (parts.empty())
        return {"/", ""};
    if (auto container = container_identity(parts))
        return *container;
    if (auto container = lxc_identity(parts))
        return *container;
    if (parts[0] == "user.slice")
        return {"/user.slice", ""};
    if (auto transient = transient_identity(parts))
        return *transient;
    if (auto service = service_identity(parts))
        return *service;
    std::string whole;
    for (const std::string& part : parts)
        whole += "/" + part;
    return {whole, ""};
}

std::string cgroup_of_task(std::string_view proc_cgroup)
{
    std::string unified;
    std::string memory;
    for (const std::string& line : split(proc_cgroup, '\n')) {
        const size_t first = line.find(':');
        const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
        if (second == std::string::npos)
            continue;
        const std::string controllers = line.substr(first + 1, second - first - 1);
        if (controllers.empty() && line.starts_with("0:"))
            unified = line.substr(second + 1);
        for (const std::string& controller : split(controllers, ','))
            if (controller == "memory")
                memory = line.substr(second + 1);
    }
    return memory.size() > 1 ? memory : unified;
}

std::string find_memory_v1_mount(std::string_view mountinfo)
{
    for (const std::string& line : split(mountinfo, '\n')) {
        const size_t separator = line.find(" - ");
        if (separator == std::string::npos)
            continue;
        const std::vector<std::string> place = split(line, ' ');
        const std::vector<std::string> kind = split(std::string_view(line).substr(separator + 3), ' ');
        if (place.size() < 5 || kind.size() < 3 || kind[0] != "cgroup")
            continue;
        for (const std::string& option : split(kind[2], ','))
            if (option == "memory")
                return place[4];
    }
    return "";
}

} // namespace limpet
