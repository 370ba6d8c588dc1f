// SPDX-License-Identifier: Apache-2.0
#include "container_listing.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

namespace limpet {
namespace {

using nlohmann::json;

constexpr size_t kLongestLabel = 128;
constexpr size_t kIdLength = 64;

// The keys that are kept while the text is read; everything below another key is dropped on the way.
constexpr std::array<std::string_view, 6> kKeptKeys = {"Id", "Names", "Labels", "State", "id", "names"};

// From the one that says most to the one that says least.
constexpr std::array<const char*, 3> kServiceLabels = {"com.docker.compose.service", "com.docker.swarm.service.name",
                                                       "org.opencontainers.image.title"};

// The characters of names that Kubernetes makes up (k8s.io/apimachinery/pkg/util/rand).
constexpr std::string_view kMadeUp = "bcdfghjklmnpqrstvwxz2456789";

std::string text_at(const json& object, const char* key)
{
    const auto found = object.is_object() ? object.find(key) : object.end();
    if (found == object.end() || !found->is_string())
        return "";
    const auto& text = found->get_ref<const std::string&>();
    return is_label_text(text) ? text : "";
}

bool is_id(std::string_view text)
{
    return text.size() == kIdLength && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_path_part(std::string_view text)
{
    return is_label_text(text) && text.find('/') == std::string_view::npos;
}

// Docker writes "/name", and "/other/alias" for what links to it; Podman's storage "name".
std::string name_in(const json& object, const char* key)
{
    const auto found = object.find(key);
    if (found == object.end() || !found->is_array())
        return "";
    for (const json& item : *found) {
        if (!item.is_string())
            continue;
        std::string_view name = item.get_ref<const std::string&>();
        name.remove_prefix(name.starts_with('/') ? 1 : 0);
        if (is_path_part(name))
            return std::string(name);
    }
    return "";
}

ListedContainer read_labels(const json& object)
{
    ListedContainer container;
    const auto labels = object.find("Labels");
    if (labels == object.end())
        return container;
    for (const char* label : kServiceLabels)
        if (container.service.empty())
            container.service = text_at(*labels, label);
    container.pod_namespace = text_at(*labels, "io.kubernetes.pod.namespace");
    container.pod_name = text_at(*labels, "io.kubernetes.pod.name");
    container.pod_container = text_at(*labels, "io.kubernetes.container.name");
    return container;
}

Result<std::vector<ListedContainer>> read_list(std::string_view text, const char* id_key, const char* names_key)
{
    const auto keep = [](int depth, json::parse_event_t event, const json& parsed) {
        const bool is_field = event == json::parse_event_t::key && depth == 2;
        return !is_field ||
               std::find(kKeptKeys.begin(), kKeptKeys.end(), parsed.get_ref<const std::string&>()) != kKeptKeys.end();
    };
    const json list = json::parse(text, keep, false);
    if (!list.is_array())
        return Error{0, "the answer is not a list of containers in JSON"};
    std::vector<ListedContainer> containers;
    for (const json& object : list) {
        const std::string id = text_at(object, id_key);
        if (!is_id(id))
            continue;
        ListedContainer container = read_labels(object);
        container.id = id;
        container.name = name_in(object, names_key);
        const std::string state = text_at(object, "State");
        container.is_running = state != "exited" && state != "dead" && state != "removing";
        containers.push_back(std::move(container));
    }
    return containers;
}

// `text` without "-<suffix>" when that has `shortest` to `longest` of these characters; else as it is.
std::string_view without_part(std::string_view text, std::string_view characters, size_t shortest, size_t longest)
{
    const size_t dash = text.rfind('-');
    if (dash == std::string_view::npos || dash == 0)
        return text;
    const std::string_view part = text.substr(dash + 1);
    const bool fits = part.size() >= shortest && part.size() <= longest &&
                      part.find_first_not_of(characters) == std::string_view::npos;
    return fits ? text.substr(0, dash) : text;
}

} // namespace

bool is_label_text(std::string_view text)
{
    return !text.empty() && text.size() <= kLongestLabel &&
           std::none_of(text.begin(), text.end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; });
}

Result<std::vector<ListedContainer>> read_container_list(std::string_view json)
{
    return read_list(json, "Id", "Names");
}

Result<std::vector<ListedContainer>> read_storage_list(std::string_view json)
{
    return read_list(json, "id", "names");
}

ListedContainer read_kubernetes_log_name(std::string_view file_name)
{
    constexpr std::string_view kSuffix = ".log";
    ListedContainer container;
    const size_t first = file_name.find('_');
    const size_t second = first == std::string_view::npos ? first : file_name.find('_', first + 1);
    if (second == std::string_view::npos || !file_name.ends_with(kSuffix))
        return container;
    file_name.remove_suffix(kSuffix.size());
    const std::string_view last = file_name.substr(second + 1);
    if (last.size() < kIdLength + 2 || last[last.size() - kIdLength - 1] != '-')
        return container;
    const std::string_view id = last.substr(last.size() - kIdLength);
    if (!is_id(id))
        return container;
    container.id = id;
    container.pod_name = file_name.substr(0, first);
    container.pod_namespace = file_name.substr(first + 1, second - first - 1);
    container.pod_container = last.substr(0, last.size() - kIdLength - 1);
    return container;
}

CgroupIdentity identity_of_container(ContainerKind kind, const ListedContainer& container)
{
    const bool is_in_pod = is_path_part(container.pod_namespace) && is_path_part(container.pod_name) &&
                           is_path_part(container.pod_container);
    if (is_in_pod)
        return {"/k8s/" + container.pod_namespace + "/" + container.pod_name + "/" + container.pod_container,
                container.service.empty() ? service_of_pod(container.pod_name) : container.service};
    if (container.name.empty() || (kind != ContainerKind::kDocker && kind != ContainerKind::kPodman))
        return {"", ""};
    return {(kind == ContainerKind::kDocker ? "/docker/" : "/podman/") + container.name,
            container.service.empty() ? container.name : container.service};
}

std::string service_of_pod(std::string_view pod_name)
{
    const std::string_view without_digits = without_part(pod_name, "0123456789", 1, 4);
    if (without_digits != pod_name)
        return std::string(without_digits);
    const std::string_view without_pod = without_part(pod_name, kMadeUp, 5, 5);
    if (without_pod == pod_name)
        return std::string(pod_name);
    return std::string(without_part(without_pod, kMadeUp, 6, 10));
}

} // namespace limpet
