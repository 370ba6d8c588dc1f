// SPDX-License-Identifier: Apache-2.0
#include "plugin_directory.hpp"

#include <algorithm>

#include "config_agent.hpp"
#include "suggestion.hpp"

namespace limpet {
namespace {

constexpr const char* kSuffix = ".so";

Error missing_file(const std::filesystem::path& path, const ProbeConfig& probe)
{
    const std::vector<std::string> present = plugins_in(path.parent_path());
    std::string text = path.string() + ": no such file";
    if (const std::string nearest = nearest_name(probe.name, present); !nearest.empty() && nearest != probe.name)
        text += "; did you mean [plugins." + nearest + "]?";
    else if (!present.empty())
        text += "; probes in that directory: " + joined(present);
    else
        text += "; there is no probe in that directory";
    return {ENOENT, text + " (agent.plugin_dir and plugins." + probe.name + ".path say where to look)"};
}

} // namespace

std::filesystem::path plugin_directory(const AgentConfig& agent)
{
    std::error_code error;
    if (!agent.plugin_dir.empty())
        return std::filesystem::absolute(agent.plugin_dir, error).lexically_normal();
    const std::filesystem::path beside = std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
    if (std::filesystem::is_directory(beside / "plugins", error))
        return beside / "plugins";
    return (beside.parent_path() / "lib" / "limpet" / "plugins").lexically_normal();
}

std::filesystem::path plugin_path(const AgentConfig& agent, const ProbeConfig& probe)
{
    std::error_code error;
    if (!probe.path.empty())
        return std::filesystem::absolute(probe.path, error).lexically_normal();
    return plugin_directory(agent) / (probe.name + kSuffix);
}

std::vector<std::string> plugins_in(const std::filesystem::path& directory)
{
    std::vector<std::string> names;
    std::error_code error;
    std::filesystem::directory_iterator entry(directory, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const std::filesystem::path& path = entry->path();
        if (path.extension() == kSuffix && is_probe_name(path.stem().string()))
            names.push_back(path.stem().string());
    }
    std::sort(names.begin(), names.end());
    return names;
}

Result<PluginFile> open_configured_plugin(const AgentConfig& agent, const ProbeConfig& probe)
{
    const std::filesystem::path path = plugin_path(agent, probe);
    Result<PluginFile> file = open_plugin(path, probe.sha256);
    if (!file && file.error().error_number == ENOENT)
        return missing_file(path, probe);
    if (file && file->manifest.name != probe.name)
        return Error{0, path.string() + ": is the probe '" + file->manifest.name +
                            "', but the configuration uses it in [plugins." + probe.name +
                            "]; rename the table to [plugins." + file->manifest.name + "]"};
    return file;
}

} // namespace limpet
