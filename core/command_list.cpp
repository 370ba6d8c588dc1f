// SPDX-License-Identifier: Apache-2.0
#include "commands.hpp"

#include <algorithm>
#include <ostream>

#include "agent.hpp"
#include "config.hpp"
#include "plugin_directory.hpp"
#include "text_table.hpp"

namespace limpet {
namespace {

using Row = std::vector<std::string>;

// The first line of a text: a row has one.
std::string first_line(const std::string& text)
{
    const size_t end = text.find('\n');
    return end == std::string::npos ? text : text.substr(0, end) + " …";
}

// "cannot be used: …" without the path, which has a column of its own.
std::string reason_of(const Error& error, const std::filesystem::path& path)
{
    const std::string prefix = path.string() + ": ";
    const std::string text = first_line(error.text);
    return "cannot be used: " + (text.starts_with(prefix) ? text.substr(prefix.size()) : text);
}

Row row_of(const AgentConfig& agent, ProbeConfig& probe, bool is_configured)
{
    const std::filesystem::path path = plugin_path(agent, probe);
    const std::string enabled = probe.enabled ? "yes" : is_configured ? "no" : "not configured";
    const Result<PluginFile> file = open_configured_plugin(agent, probe);
    if (!file)
        return {probe.name, "-", enabled, path.string(), reason_of(file.error(), path)};
    const std::vector<ConfigProblem> problems = check_probe_config(probe, file->manifest);
    const std::string state = problems.empty() ? "can be loaded" : "cannot be used: " + to_string(problems.front());
    return {probe.name, file->manifest.version, enabled, path.string(), state};
}

} // namespace

int list_command(const std::filesystem::path& config_file, std::ostream& out, std::ostream& errors)
{
    ParsedConfig parsed = parse_config(config_file);
    for (const ConfigProblem& problem : parsed.problems)
        errors << to_string(problem) << '\n';

    const AgentConfig& agent = parsed.config.agent;
    std::vector<ProbeConfig>& probes = parsed.config.probes;
    std::vector<Row> rows{{"NAME", "VERSION", "ENABLED", "FILE", "STATE"}};
    for (ProbeConfig& probe : probes)
        rows.push_back(row_of(agent, probe, true));
    for (const std::string& name : plugins_in(plugin_directory(agent))) {
        if (std::any_of(probes.begin(), probes.end(), [&](const ProbeConfig& probe) { return probe.name == name; }))
            continue;
        ProbeConfig found;
        found.name = name;
        rows.push_back(row_of(agent, found, false));
    }
    print_columns(out, rows);
    if (rows.size() == 1)
        out << "no probe is configured, and there is none in " << plugin_directory(agent).string() << '\n';
    return parsed.problems.empty() ? kExitOk : kExitBadConfig;
}

} // namespace limpet
