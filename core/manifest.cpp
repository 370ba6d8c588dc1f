// SPDX-License-Identifier: Apache-2.0
#include "manifest.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <limits>
#include <set>

#include "capability.hpp"
#include "config_agent.hpp"
#include "duration.hpp"
#include "limpet/abi.h"
#include "metric_names.hpp"
#include "probe_value.hpp"
#include "suggestion.hpp"
#include "table_reader.hpp"

namespace limpet {
namespace {

constexpr int64_t kLargestMapBytes = int64_t{1} << 30;
constexpr int64_t kMostSeries = 100'000;
const std::vector<std::string> kMetricKinds{"gauge", "counter"};

// [a-z_][a-z0-9_]*: what Prometheus takes as a name, in lower case.
bool is_metric_word(const std::string& name)
{
    const bool begins_well = !name.empty() && ((name[0] >= 'a' && name[0] <= 'z') || name[0] == '_');
    return begins_well && name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

// "1.2.3", with "-rc.1" and "+build" allowed behind it (semver.org).
bool is_semantic_version(const std::string& text)
{
    const char* at = text.data();
    const char* const end = at + text.size();
    for (int part = 0; part < 3; ++part) {
        uint32_t number = 0;
        const auto [rest, error] = std::from_chars(at, end, number);
        if (error != std::errc{} || (part < 2 && (rest == end || *rest != '.')))
            return false;
        at = part < 2 ? rest + 1 : rest;
    }
    if (at == end)
        return true;
    const std::string_view tail(at + 1, static_cast<size_t>(end - at - 1));
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.+";
    return (*at == '-' || *at == '+') && !tail.empty() && tail.find_first_not_of(kAllowed) == std::string_view::npos;
}

class ManifestReader {
public:
    explicit ManifestReader(std::vector<ConfigProblem>& problems) : problems_(&problems) {}
    void read(const TomlTable& root);
    Manifest take() { return std::move(manifest_); }

private:
    std::string required_text(TableReader& table, const std::string& key);
    void read_identity(TableReader& root);
    void read_abi(TableReader& root);
    void read_kernel(TableReader& root);
    void read_limits(TableReader& root);
    void read_key(TableReader& table);
    void read_bound(TableReader& table, const ManifestKey& key, const std::string& name, std::optional<double>& bound);
    void read_default(TableReader& table, ManifestKey& key);
    void read_program(TableReader& table);
    void read_metric(TableReader& table);
    void read_each(TableReader& root, const std::string& name, void (ManifestReader::*read_one)(TableReader&));

    Manifest manifest_;
    std::vector<ConfigProblem>* problems_;
    std::set<std::string> names_; // of the keys, programs and metrics so far, each with its kind in front
};

std::string ManifestReader::required_text(TableReader& table, const std::string& key)
{
    const size_t before = problems_->size();
    std::string text = table.text(key).value_or("");
    if (text.empty() && problems_->size() == before)
        table.problem(key, "is missing; write " + key + " = \"…\"");
    return text;
}

void ManifestReader::read_abi(TableReader& root)
{
    const std::string text = required_text(root, "abi");
    if (text.empty())
        return;
    const char* const end = text.data() + text.size();
    const auto major = std::from_chars(text.data(), end, manifest_.abi_major);
    const bool has_minor = major.ec == std::errc{} && major.ptr != end && *major.ptr == '.';
    const auto minor = has_minor ? std::from_chars(major.ptr + 1, end, manifest_.abi_minor) : major;
    if (has_minor && minor.ec == std::errc{} && minor.ptr == end)
        return;
    manifest_.abi_major = manifest_.abi_minor = 0;
    root.problem("abi", "\"" + text + "\" is not an ABI version; write \"" + std::to_string(LIMPET_ABI_MAJOR) + "." +
                            std::to_string(LIMPET_ABI_MINOR) + "\"");
}

void ManifestReader::read_identity(TableReader& root)
{
    manifest_.name = required_text(root, "name");
    if (!manifest_.name.empty() && !is_probe_name(manifest_.name))
        root.problem("name",
                     "\"" + manifest_.name +
                         "\" is not a probe's name: a lower-case letter, then letters, digits and '_', 32 at most");
    manifest_.version = required_text(root, "version");
    if (!manifest_.version.empty() && !is_semantic_version(manifest_.version))
        root.problem("version", "\"" + manifest_.version + "\" is not a semantic version such as \"1.0.0\"");
    read_abi(root);
}

void ManifestReader::read_kernel(TableReader& root)
{
    const TomlTable* const table = root.table("kernel");
    if (table == nullptr)
        return;
    TableReader kernel(*table, "kernel", *problems_);
    manifest_.capabilities = kernel.texts("capabilities").value_or(std::vector<std::string>{});
    const std::vector<std::string> known(capability_names().begin(), capability_names().end());
    for (const std::string& name : manifest_.capabilities) {
        if (capability_number(name))
            continue;
        const std::string nearest = nearest_name(name, known);
        kernel.problem("capabilities",
                       "unknown capability \"" + name + "\"" +
                           (nearest.empty() ? "; see capabilities(7)" : "; did you mean '" + nearest + "'?"));
    }
    kernel.report_unknown();
}

void ManifestReader::read_limits(TableReader& root)
{
    const TomlTable* const table = root.table("limits");
    if (table == nullptr)
        return;
    TableReader limits(*table, "limits", *problems_);
    manifest_.map_bytes = static_cast<uint64_t>(limits.integer("map_bytes", 0, kLargestMapBytes).value_or(0));
    manifest_.series = static_cast<uint32_t>(limits.integer("series", 2, kMostSeries).value_or(0));
    manifest_.shards = static_cast<uint32_t>(limits.integer("shards", 1, kMostShards).value_or(kMostShards));
    if (!std::has_single_bit(manifest_.shards))
        limits.problem("shards", "must be 1, 2, 4 or 8");
    limits.report_unknown();
}

// A bound of a duration is a duration; all others are numbers.
void ManifestReader::read_bound(TableReader& table, const ManifestKey& key, const std::string& name,
                                std::optional<double>& bound)
{
    const TomlEntry* const entry = table.entry(name);
    if (entry == nullptr)
        return;
    const bool is_ordered =
        key.type == "integer" || key.type == "number" || key.type == "duration" || key.type == "list of number";
    if (!is_ordered)
        return table.problem(name, "has no meaning for the type '" + key.type + "'; leave it out");
    ManifestKey bound_key;
    bound_key.type = key.type == "duration" ? "duration" : "number";
    const Result<ProbeConfig::RawValue> raw = raw_value(entry->value);
    const Result<ConfigValue> value = raw ? typed_value(bound_key, *raw) : Result<ConfigValue>(raw.error());
    if (!value)
        return table.problem(name, value.error().text);
    bound = std::get<double>(*value);
}

void ManifestReader::read_default(TableReader& table, ManifestKey& key)
{
    const TomlEntry* const entry = table.entry("default");
    if (entry == nullptr)
        return table.problem("default", "is missing; every key has a default");
    const Result<ProbeConfig::RawValue> raw = raw_value(entry->value);
    Result<ConfigValue> value = raw ? typed_value(key, *raw) : Result<ConfigValue>(raw.error());
    if (value)
        key.default_value = std::move(*value);
    else
        table.problem("default", value.error().text);
}

void ManifestReader::read_key(TableReader& table)
{
    ManifestKey key;
    key.key = required_text(table, "key");
    const std::vector<std::string> taken = common_probe_keys();
    if (std::find(taken.begin(), taken.end(), key.key) != taken.end())
        table.problem("key", "'" + key.key + "' is a key that every probe has; choose another name");
    else if (!key.key.empty() && !is_metric_word(key.key))
        table.problem("key", "\"" + key.key + "\" is not a key: use lower-case letters, digits and '_'");
    else if (!key.key.empty() && !names_.insert("key " + key.key).second)
        table.problem("key", "'" + key.key + "' is declared twice");

    key.type = required_text(table, "type");
    const std::vector<std::string>& types = manifest_types();
    const bool is_known_type = std::find(types.begin(), types.end(), key.type) != types.end();
    if (!key.type.empty() && !is_known_type)
        table.problem("type", "unknown type \"" + key.type + "\"" + suggestion(key.type, types));

    key.values = table.texts("values").value_or(std::vector<std::string>{});
    key.reloadable = table.boolean("reloadable").value_or(false);
    key.help = required_text(table, "help");
    if (is_known_type) {
        read_bound(table, key, "min", key.minimum);
        read_bound(table, key, "max", key.maximum);
        read_default(table, key);
    } else {
        for (const char* unread : {"min", "max", "default"})
            (void)table.entry(unread);
    }
    table.report_unknown();
    manifest_.keys.push_back(std::move(key));
}

void ManifestReader::read_program(TableReader& table)
{
    ManifestProgram program;
    program.name = required_text(table, "name");
    if (!program.name.empty() && !names_.insert("program " + program.name).second)
        table.problem("name", "'" + program.name + "' is listed twice");
    program.optional = table.boolean("optional").value_or(false);
    program.group = table.text("group").value_or("");
    program.needs = table.text("needs").value_or("");
    program.at_scrape = table.boolean("at_scrape").value_or(false);
    program.sees_one_namespace = table.boolean("sees_one_namespace").value_or(false);
    table.report_unknown();
    manifest_.programs.push_back(std::move(program));
}

void ManifestReader::read_metric(TableReader& table)
{
    ManifestMetric metric;
    metric.name = required_text(table, "name");
    if (!metric.name.empty() && !is_metric_word(metric.name))
        table.problem("name", "\"" + metric.name + "\" is not a metric's name: use lower-case letters, digits and '_'");
    else if (!metric.name.empty() && !names_.insert("metric " + metric.name).second)
        table.problem("name", "'" + metric.name + "' is declared twice");
    metric.kind = required_text(table, "kind");
    const bool is_known_kind = std::find(kMetricKinds.begin(), kMetricKinds.end(), metric.kind) != kMetricKinds.end();
    if (!metric.kind.empty() && !is_known_kind)
        table.problem("kind", "unknown kind \"" + metric.kind + "\"" + suggestion(metric.kind, kMetricKinds));
    metric.unit = table.text("unit").value_or("");
    const std::string wrong = metric_name_mistake(metric.name, metric.kind, metric.unit.empty() ? "1" : metric.unit);
    if (is_metric_word(metric.name) && is_known_kind && !wrong.empty())
        table.problem("name", wrong);
    metric.help = required_text(table, "help");
    if (metric.help.find('\n') != std::string::npos)
        table.problem("help", "must be one line");
    metric.labels = table.texts("labels").value_or(std::vector<std::string>{});
    for (const std::string& label : metric.labels) {
        if (label == "container_id" || label == "service_name")
            table.problem("labels", "'" + label + "' is added by the agent; leave it out");
        else if (!is_metric_word(label) || !is_label_name(label))
            table.problem("labels", "\"" + label + "\" cannot be a label's name");
        else if (std::count(metric.labels.begin(), metric.labels.end(), label) > 1)
            table.problem("labels", "'" + label + "' is listed more than once");
    }
    table.report_unknown();
    manifest_.metrics.push_back(std::move(metric));
}

void ManifestReader::read_each(TableReader& root, const std::string& name,
                               void (ManifestReader::*read_one)(TableReader&))
{
    size_t index = 0;
    for (const TomlTable* const table : root.tables(name)) {
        TableReader reader(*table, name + "[" + std::to_string(index++) + "]", *problems_);
        (this->*read_one)(reader);
    }
}

void ManifestReader::read(const TomlTable& root)
{
    TableReader table(root, "", *problems_);
    read_identity(table);
    // What another ABI puts into its manifests is not ours to judge: its name and version are enough to refuse it.
    const bool is_other_abi =
        manifest_.abi_major != 0 && (manifest_.abi_major != LIMPET_ABI_MAJOR || manifest_.abi_minor > LIMPET_ABI_MINOR);
    if (is_other_abi)
        return;
    manifest_.license = required_text(table, "license");
    manifest_.description = table.text("description").value_or("");
    read_kernel(table);
    read_limits(table);
    read_each(table, "config", &ManifestReader::read_key);
    read_each(table, "program", &ManifestReader::read_program);
    read_each(table, "metric", &ManifestReader::read_metric);
    table.report_unknown();
}

} // namespace

Result<Manifest> parse_manifest(const std::string& text, const std::string& name)
{
    TomlDocument document = parse_toml(text, name + ": manifest");
    std::vector<ConfigProblem> problems = std::move(document.problems);
    ManifestReader reader(problems);
    if (problems.empty())
        reader.read(document.root);
    if (problems.empty())
        return reader.take();
    std::string lines;
    for (const ConfigProblem& problem : problems)
        lines += (lines.empty() ? "" : "\n") + to_string(problem);
    return Error{0, lines};
}

} // namespace limpet
