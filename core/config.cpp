// SPDX-License-Identifier: Apache-2.0
#include "config.hpp"

#include <algorithm>
#include <sstream>
#include <tuple>

#include "config_agent.hpp"
#include "config_limits.hpp"
#include "config_names.hpp"
#include "manifest.hpp"
#include "probe_value.hpp"
#include "suggestion.hpp"
#include "table_reader.hpp"
#include "text_file.hpp"

namespace limpet {
namespace {

constexpr size_t kLargestFileBytes = 1 << 20;
constexpr const char* kProbeNameRule = "a lower-case letter, then letters, digits and '_', 32 at most";
constexpr const char* kMissingHint =
    "; --config FILE names another, and config/limpet.toml in limpet's source is one with every key";

// Each file is laid over what the earlier ones set.
class ConfigBuilder {
public:
    void add_file(const std::filesystem::path& file);
    void problem(const std::filesystem::path& file, const std::string& text)
    {
        parsed_.problems.push_back({{file.string(), 0, 0}, "", text});
    }
    ParsedConfig take();

private:
    void add_plugins(const TomlTable& plugins, const std::filesystem::path& directory);
    void add_probe(const TomlEntry& entry, const TomlTable& keys, const std::filesystem::path& directory);
    ProbeConfig& probe_named(const std::string& name, const SourcePosition& position);

    ParsedConfig parsed_;
};

void ConfigBuilder::add_file(const std::filesystem::path& file)
{
    const Result<std::string> text = read_text_file(file, kLargestFileBytes);
    if (!text) {
        const bool is_missing = text.error().error_number == ENOENT;
        problem(file, text.error().text + (is_missing ? kMissingHint : ""));
        return;
    }
    parsed_.config.files.push_back(file);
    const TomlDocument document = parse_toml(*text, file.string());
    parsed_.problems.insert(parsed_.problems.end(), document.problems.begin(), document.problems.end());

    const std::filesystem::path directory = std::filesystem::absolute(file).parent_path();
    TableReader root(document.root, "", parsed_.problems);
    if (const TomlTable* const agent = root.table("agent")) {
        TableReader reader(*agent, "agent", parsed_.problems);
        read_agent(reader, directory, parsed_.config.agent);
    }
    if (const TomlTable* const limits = root.table("limits")) {
        TableReader reader(*limits, "limits", parsed_.problems);
        read_limits(reader, parsed_.config.limits);
    }
    if (const TomlTable* const names = root.table("names")) {
        TableReader reader(*names, "names", parsed_.problems);
        read_names(reader, directory, parsed_.config.names);
    }
    for (const TomlTable* const rule : root.tables("workloads")) {
        TableReader reader(*rule, "workloads", parsed_.problems);
        if (std::optional<WorkloadRule> read = read_workload_rule(reader))
            parsed_.config.workloads.push_back(std::move(*read));
    }
    if (const TomlTable* const plugins = root.table("plugins"))
        add_plugins(*plugins, directory);
    if (document.problems.empty())
        root.report_unknown("table or key");
}

// The problems of one file in the order of its lines, whatever the order in which they were found.
ParsedConfig ConfigBuilder::take()
{
    const auto rank = [&](const ConfigProblem& problem) {
        const auto& files = parsed_.config.files;
        const auto file = std::find(files.begin(), files.end(), problem.position.file);
        return std::tuple(file - files.begin(), problem.position.line, problem.position.column, problem.text);
    };
    std::sort(parsed_.problems.begin(), parsed_.problems.end(),
              [&](const ConfigProblem& a, const ConfigProblem& b) { return rank(a) < rank(b); });
    for (ProbeConfig& probe : parsed_.config.probes)
        probe.workload_share = parsed_.config.limits.series_per_workload;
    return std::move(parsed_);
}

void ConfigBuilder::add_plugins(const TomlTable& plugins, const std::filesystem::path& directory)
{
    for (const TomlEntry& entry : plugins.entries) {
        const std::string key = "plugins." + entry.key;
        const auto* keys = std::get_if<TomlTable>(&entry.value.data);
        if (keys == nullptr)
            parsed_.problems.push_back(
                {entry.value.position, key, "expected table, written [" + key + "], found " + describe(entry.value)});
        else if (!is_probe_name(entry.key))
            parsed_.problems.push_back(
                {entry.position, key, std::string("is not the name of a probe (") + kProbeNameRule + ")"});
        else
            add_probe(entry, *keys, directory);
    }
}

void ConfigBuilder::add_probe(const TomlEntry& entry, const TomlTable& keys, const std::filesystem::path& directory)
{
    ProbeConfig& probe = probe_named(entry.key, entry.position);
    TableReader reader(keys, "plugins." + entry.key, parsed_.problems);
    read_common_probe_keys(reader, directory, probe);
    const std::vector<std::string> common = reader.asked();
    for (const TomlEntry& own : keys.entries) {
        if (std::find(common.begin(), common.end(), own.key) != common.end())
            continue;
        Result<ProbeConfig::RawValue> raw = raw_value(own.value);
        if (!raw) {
            parsed_.problems.push_back({own.value.position, reader.dotted(own.key), raw.error().text});
            continue;
        }
        raw->key_position = own.position;
        probe.raw.insert_or_assign(own.key, std::move(*raw));
    }
}

ProbeConfig& ConfigBuilder::probe_named(const std::string& name, const SourcePosition& position)
{
    std::vector<ProbeConfig>& probes = parsed_.config.probes;
    const auto known =
        std::find_if(probes.begin(), probes.end(), [&](const ProbeConfig& probe) { return probe.name == name; });
    if (known != probes.end())
        return *known;
    ProbeConfig& probe = probes.emplace_back();
    probe.name = name;
    probe.position = position;
    return probe;
}

// <directory of file>/conf.d/*.toml by name. Files that begin with a dot are editors' and package managers' leftovers.
Result<std::vector<std::filesystem::path>> fragments_beside(const std::filesystem::path& file)
{
    std::vector<std::filesystem::path> fragments;
    const std::filesystem::path directory = file.parent_path() / "conf.d";
    std::error_code error;
    if (!std::filesystem::exists(directory, error))
        return fragments;
    std::filesystem::directory_iterator entry(directory, error);
    for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
        const std::string name = entry->path().filename().string();
        if (name.front() != '.' && name.ends_with(".toml"))
            fragments.push_back(entry->path());
    }
    if (error)
        return Error{error.value(), "cannot read the directory " + directory.string() + ": " + error.message()};
    std::sort(fragments.begin(), fragments.end());
    return fragments;
}

} // namespace

std::string to_string(const ConfigProblem& problem)
{
    std::ostringstream out;
    if (!problem.position.file.empty())
        out << problem.position.file << ':';
    if (problem.position.line != 0)
        out << problem.position.line << ':' << problem.position.column << ':';
    if (!problem.position.file.empty() || problem.position.line != 0)
        out << ' ';
    if (!problem.key.empty())
        out << problem.key << ": ";
    out << problem.text;
    return out.str();
}

ParsedConfig parse_config(const std::filesystem::path& file)
{
    ConfigBuilder builder;
    builder.add_file(file);
    const Result<std::vector<std::filesystem::path>> fragments = fragments_beside(file);
    if (!fragments) {
        builder.problem(file, fragments.error().text);
        return builder.take();
    }
    for (const std::filesystem::path& fragment : *fragments)
        builder.add_file(fragment);
    return builder.take();
}

std::vector<std::string> known_config_keys()
{
    const TomlTable nothing;
    std::vector<ConfigProblem> none;
    Config unused;
    TableReader agent(nothing, "agent", none);
    read_agent(agent, {}, unused.agent);
    TableReader limits(nothing, "limits", none);
    read_limits(limits, unused.limits);
    TableReader names(nothing, "names", none);
    read_names(names, {}, unused.names);
    TableReader rule(nothing, "workloads", none);
    (void)read_workload_rule(rule);
    std::vector<std::string> keys;
    for (const TableReader* table : {&agent, &limits, &names, &rule})
        for (const std::string& key : table->asked())
            keys.push_back(table->dotted(key));
    for (const std::string& key : common_probe_keys())
        keys.push_back("plugins.<name>." + key);
    TableReader of_probe(nothing, "plugins.<name>.limits", none);
    ProbeLimits unused_limits;
    read_probe_limits(of_probe, unused_limits);
    for (const std::string& key : of_probe.asked())
        keys.push_back(of_probe.dotted(key));
    return keys;
}

std::vector<ConfigProblem> check_probe_config(ProbeConfig& probe, const Manifest& manifest)
{
    std::vector<ConfigProblem> problems;
    std::vector<std::string> known = common_probe_keys();
    probe.values.clear();
    for (const ManifestKey& key : manifest.keys) {
        known.push_back(key.key);
        probe.values[key.key] = key.default_value;
        const auto raw = probe.raw.find(key.key);
        if (raw == probe.raw.end())
            continue;
        Result<ConfigValue> value = typed_value(key, raw->second);
        if (value)
            probe.values[key.key] = std::move(*value);
        else
            problems.push_back({raw->second.position, "plugins." + probe.name + "." + key.key, value.error().text});
    }
    for (const auto& [key, raw] : probe.raw)
        if (std::find(known.begin(), known.end(), key) == known.end())
            problems.push_back(
                {raw.key_position, "plugins." + probe.name + "." + key, "unknown key" + suggestion(key, known)});
    return problems;
}

} // namespace limpet
