// SPDX-License-Identifier: Apache-2.0
#include "config_names.hpp"

#include <cmath>

#include "container_listing.hpp"

namespace limpet {
namespace {

// A glob that fits no container_id is a typing mistake: each of them begins with a slash.
bool is_container_glob(const std::string& glob)
{
    return glob.starts_with('/') || glob.starts_with('*') || glob.starts_with('?') || glob.starts_with('[');
}

} // namespace

void read_names(TableReader& table, const std::filesystem::path& directory, NamesConfig& names)
{
    table.path("docker_socket", directory, names.docker_socket);
    table.path("podman_socket", directory, names.podman_socket);
    table.path("podman_storage", directory, names.podman_storage);
    table.path("kubernetes_logs", directory, names.kubernetes_logs);
    if (const std::optional<double> seconds = table.duration_seconds("refresh", 1, 3600))
        names.refresh = std::chrono::milliseconds(std::lround(*seconds * 1000));
    table.report_unknown();
}

std::optional<WorkloadRule> read_workload_rule(TableReader& table)
{
    const std::optional<std::string> container_id = table.text("container_id");
    const std::optional<std::string> executable = table.text("executable");
    const std::optional<std::string> service_name = table.text("service_name");
    table.report_unknown();
    if (!table.has("service_name"))
        table.problem("service_name", "is missing: the name that the workloads get");
    else if (service_name && !is_label_text(*service_name))
        table.problem("service_name", "use 1 to 128 bytes without control characters");
    else if (!table.has("container_id") && !table.has("executable"))
        table.problem("service_name",
                      "fits nothing yet: give container_id, executable or both beside it, globs such as "
                      "\"/docker/web-*\" and \"nginx\"");
    else if (container_id && !is_container_glob(*container_id))
        table.problem("container_id", "\"" + *container_id +
                                          "\" fits nothing: a container_id begins with a slash, such as "
                                          "\"/docker/web-*\" or \"/system.slice/*\"");
    else if (service_name && (container_id || executable))
        return WorkloadRule{container_id.value_or(""), executable.value_or(""), *service_name};
    return std::nullopt;
}

} // namespace limpet
