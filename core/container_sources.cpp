// SPDX-License-Identifier: Apache-2.0
#include "container_sources.hpp"

#include <algorithm>

#include <sys/stat.h>

#include "log.hpp"
#include "runtime_socket.hpp"
#include "text_file.hpp"

namespace limpet {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

constexpr seconds kLongestBackOff{60};
constexpr size_t kLargestStorageBytes = 4 << 20;
constexpr size_t kMostLogs = 20'000;

// {"id":["<id>","<id>"]}, percent-encoded.
std::string target_of(const std::vector<std::string>& ids)
{
    std::string list;
    for (const std::string& id : ids)
        list += (list.empty() ? "%22" : "%2C%22") + id + "%22";
    return "/containers/json?all=1&filters=%7B%22id%22%3A%5B" + list + "%5D%7D";
}

// Changes when the file is written or replaced; "" when it cannot be seen.
std::string identity_of(const std::filesystem::path& file)
{
    struct stat status{};
    if (::stat(file.c_str(), &status) != 0)
        return "";
    return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + ":" + std::to_string(status.st_size) +
           ":" + std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec);
}

bool contains(const std::vector<std::string>& ids, const std::string& id)
{
    return std::find(ids.begin(), ids.end(), id) != ids.end();
}

} // namespace

Result<std::vector<ListedContainer>> RuntimeApi::list(const std::vector<std::string>& ids)
{
    if (steady_clock::now() < retry_at_)
        return Error{0, runtime_ + " is left alone for a while"};
    const Result<std::string> body = get_over_socket(socket_, target_of(ids), stop_fd_);
    Result<std::vector<ListedContainer>> listed = body ? read_container_list(*body) : body.error();
    if (!listed) {
        note_failure(listed.error());
        return listed;
    }
    if (failures_ > 0) // and complained about
        log(LogLevel::kInfo, "agent", runtime_ + " answers again");
    failures_ = 0;
    std::erase_if(*listed, [&](const ListedContainer& container) { return !contains(ids, container.id); });
    return listed;
}

bool RuntimeApi::is_there() const
{
    std::error_code ignored;
    return !socket_.empty() && std::filesystem::is_socket(socket_, ignored);
}

void RuntimeApi::note_failure(const Error& error)
{
    retry_at_ = steady_clock::now() + std::min(kLongestBackOff, seconds(1) * (1U << std::min(failures_, 6U)));
    if (failures_++ == 0 && error.error_number != ECANCELED)
        log(LogLevel::kWarn, "agent",
            "cannot ask " + runtime_ + " for names: " + error.text +
                "; its containers are called by their ids until it answers. Run limpet as root, or set names." +
                runtime_ + "_socket (\"\": never ask)");
}

ContainerSources::ContainerSources(const NamesConfig& config, int stop_fd)
    : config_(config), docker_("docker", config.docker_socket, stop_fd),
      podman_("podman", config.podman_socket, stop_fd)
{
}

ContainerSources::Answer ContainerSources::ask(ContainerKind kind, const std::vector<std::string>& ids)
{
    switch (kind) {
    case ContainerKind::kDocker:
        return ask_docker(ids);
    case ContainerKind::kPodman:
        return ask_podman(ids);
    case ContainerKind::kKubernetes:
        return ask_kubernetes(ids);
    case ContainerKind::kNone:
    case ContainerKind::kOther:
        break;
    }
    return {};
}

ContainerSources::Answer ContainerSources::ask_docker(const std::vector<std::string>& ids)
{
    Answer answer;
    if (config_.docker_socket.empty())
        return answer;
    const Result<std::vector<ListedContainer>> listed = docker_.list(ids);
    if (!listed) {
        answer.retry_at = docker_.retry_at();
        return answer;
    }
    for (const ListedContainer& container : *listed)
        answer.found.push_back(
            {container.id, identity_of_container(ContainerKind::kDocker, container), container.is_running});
    return answer;
}

// Podman has no daemon: a question to its socket starts one. Names come from its storage, which costs a stat() as long as
// nothing changes; the socket is asked once for the labels of each container, and for what the storage does not know.
ContainerSources::Answer ContainerSources::ask_podman(const std::vector<std::string>& ids)
{
    read_podman_storage();
    Answer answer;
    std::vector<std::string> unclear;
    for (const std::string& id : ids)
        if (!podman_names_.contains(id) || !podman_services_.contains(id))
            unclear.push_back(id);
    std::map<std::string, ListedContainer> known;
    if (!unclear.empty() && !config_.podman_socket.empty() && (podman_names_.empty() || podman_.is_there())) {
        const Result<std::vector<ListedContainer>> listed = podman_.list(unclear);
        if (!listed)
            answer.retry_at = podman_.retry_at();
        else
            for (const ListedContainer& container : *listed) {
                known[container.id] = container;
                podman_services_[container.id] = container.service;
            }
    }
    for (const std::string& id : ids) {
        ListedContainer& container = known[id];
        if (const auto name = podman_names_.find(id); name != podman_names_.end())
            container.name = name->second;
        if (const auto service = podman_services_.find(id); service != podman_services_.end())
            container.service = service->second;
        if (!container.name.empty())
            answer.found.push_back({id, identity_of_container(ContainerKind::kPodman, container)});
    }
    return answer;
}

void ContainerSources::read_podman_storage()
{
    if (config_.podman_storage.empty())
        return;
    const std::filesystem::path file = config_.podman_storage / "overlay-containers" / "containers.json";
    std::string identity = identity_of(file);
    if (identity == podman_storage_identity_)
        return;
    podman_storage_identity_ = std::move(identity);
    podman_names_.clear();
    const Result<std::string> text = read_text_file(file, kLargestStorageBytes);
    const Result<std::vector<ListedContainer>> stored = text ? read_storage_list(*text) : text.error();
    if (!stored)
        return;
    for (const ListedContainer& container : *stored)
        if (!container.name.empty())
            podman_names_[container.id] = container.name;
}

// The kubelet's links name every container, whatever the runtime; where they are missing, Docker's labels do (cri-dockerd).
ContainerSources::Answer ContainerSources::ask_kubernetes(const std::vector<std::string>& ids)
{
    Answer answer;
    const auto add = [&](const ListedContainer& container) {
        CgroupIdentity identity = identity_of_container(ContainerKind::kKubernetes, container);
        if (!identity.container_id.empty())
            answer.found.push_back({container.id, std::move(identity), false});
    };
    std::error_code error;
    std::filesystem::directory_iterator entry(config_.kubernetes_logs, error);
    for (size_t seen = 0; !error && seen < kMostLogs && entry != std::filesystem::directory_iterator();
         entry.increment(error), ++seen)
        if (const ListedContainer container = read_kubernetes_log_name(entry->path().filename().string());
            contains(ids, container.id))
            add(container);
    if (!answer.found.empty() || !docker_.is_there())
        return answer;
    const Result<std::vector<ListedContainer>> listed = docker_.list(ids);
    if (listed)
        std::for_each(listed->begin(), listed->end(), add);
    else
        answer.retry_at = docker_.retry_at();
    return answer;
}

} // namespace limpet
