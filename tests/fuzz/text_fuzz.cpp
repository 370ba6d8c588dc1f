// SPDX-License-Identifier: Apache-2.0
//
// Whatever text the agent reads that others have written, under libFuzzer: configuration, manifests of probes, answers of container
// runtimes, cgroup paths. The first byte says what the rest is. What is checked is that there is an answer, and that names that
// become label values are clean.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <unistd.h>

#include "capability.cpp"
#include "cgroup_paths.cpp"
#include "config.cpp"
#include "config_agent.cpp"
#include "config_limits.cpp"
#include "config_names.cpp"
#include "container_listing.cpp"
#include "duration.cpp"
#include "manifest.cpp"
#include "metric_names.cpp"
#include "probe_value.cpp"
#include "quantity.cpp"
#include "size.cpp"
#include "suggestion.cpp"
#include "table_reader.cpp"
#include "text_file.cpp"
#include "toml_tree.cpp"

using namespace limpet;

namespace {

// One file for all runs, gone when the fuzzer ends.
const std::filesystem::path& scratch_file()
{
    static const std::filesystem::path file =
        std::filesystem::temp_directory_path() / ("limpet-fuzz-" + std::to_string(::getpid()) + ".toml");
    static const int registered = std::atexit([] { std::filesystem::remove(file); });
    (void)registered;
    return file;
}

void read_config(const std::string& text)
{
    std::ofstream(scratch_file(), std::ios::binary) << text;
    ParsedConfig parsed = parse_config(scratch_file());
    for (const ConfigProblem& problem : parsed.problems)
        if (problem.text.empty() || to_string(problem).empty())
            std::abort();
    for (ProbeConfig& probe : parsed.config.probes)
        (void)check_probe_config(probe, Manifest{});
}

void check_list(const Result<std::vector<ListedContainer>>& list, ContainerKind kind)
{
    if (!list)
        return;
    for (const ListedContainer& container : *list) {
        const CgroupIdentity identity = identity_of_container(kind, container);
        for (const std::string& text : {identity.container_id, identity.service_name})
            if (!text.empty() && !is_label_text(text))
                std::abort();
    }
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size)
{
    if (size == 0)
        return 0;
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 8) {
    case 0:
        read_config(text);
        break;
    case 1:
        (void)parse_manifest(text, "probe.so");
        break;
    case 2:
        check_list(read_container_list(text), ContainerKind::kDocker);
        break;
    case 3:
        check_list(read_storage_list(text), ContainerKind::kPodman);
        break;
    case 4:
        (void)identity_of_cgroup(text);
        break;
    case 5:
        (void)cgroup_of_task(text);
        break;
    case 6:
        (void)identity_of_container(ContainerKind::kKubernetes, read_kubernetes_log_name(text));
        break;
    default:
        (void)find_memory_v1_mount(text);
    }
    return 0;
}
