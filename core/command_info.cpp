// SPDX-License-Identifier: Apache-2.0
#include "commands.hpp"

#include <ostream>

#include <fcntl.h>

#include "agent.hpp"
#include "bpf_object.hpp"
#include "duration.hpp"
#include "manifest.hpp"
#include "metric_declarations.hpp"
#include "owned_fd.hpp"
#include "plugin_file.hpp"
#include "probe_value.hpp"
#include "suggestion.hpp"
#include "text_table.hpp"

namespace limpet {
namespace {

using Rows = std::vector<std::vector<std::string>>;

std::string or_none(const std::string& text)
{
    return text.empty() ? "none" : text;
}

void print_identity(std::ostream& out, const Manifest& manifest, const std::filesystem::path& file, size_t bpf_bytes)
{
    out << manifest.name << ' ' << manifest.version << (manifest.description.empty() ? "" : ": ")
        << manifest.description << "\n\n";
    const std::string theirs = std::to_string(manifest.abi_major) + "." + std::to_string(manifest.abi_minor);
    const std::string ours = std::to_string(LIMPET_ABI_MAJOR) + "." + std::to_string(LIMPET_ABI_MINOR);
    if (!check_abi("", manifest.abi_major, manifest.abi_minor)) // nothing else is known of it then
        return print_columns(
            out, {{"file", file.string()}, {"ABI", theirs + ", does not fit this agent, which offers " + ours}});
    const std::string rows = manifest.series != 0 ? std::to_string(manifest.series) : "as declared in its BPF object";
    print_columns(out, {{"file", file.string()},
                        {"license", or_none(manifest.license)},
                        {"ABI", theirs + ", this agent offers " + ours},
                        {"capabilities", or_none(joined(manifest.capabilities))},
                        {"kernel memory", manifest.map_bytes != 0
                                              ? "at most " + std::to_string(manifest.map_bytes) + " bytes of maps"
                                              : "not declared"},
                        {"series", "rows of each table: " + rows},
                        {"BPF object", bpf_bytes != 0 ? std::to_string(bpf_bytes) + " bytes" : "none"}});
}

std::string range_of(const ManifestKey& key)
{
    const auto bound = [&](double number) {
        return key.type == "duration" ? duration_text(number) : number_text(number);
    };
    if (!key.values.empty())
        return "one of: " + joined(key.values);
    if (key.minimum && key.maximum)
        return bound(*key.minimum) + " to " + bound(*key.maximum);
    if (key.minimum)
        return bound(*key.minimum) + " or more";
    return key.maximum ? bound(*key.maximum) + " or less" : "";
}

void print_keys(std::ostream& out, const Manifest& manifest)
{
    out << "\nKeys of [plugins." << manifest.name << "], besides those of every probe\n";
    for (const ManifestKey& key : manifest.keys) {
        out << "  " << key.key << " = " << written(key, key.default_value) << '\n';
        const std::string range = range_of(key);
        out << "      " << key.type << (range.empty() ? "" : ", " + range)
            << (key.reloadable ? ", can change while it runs" : "") << '\n';
        out << "      " << key.help << '\n';
    }
    if (manifest.keys.empty())
        out << "  none\n";
}

std::string role_of(const Manifest& manifest, const std::string& program)
{
    for (const ManifestProgram& listed : manifest.programs) {
        if (listed.name != program)
            continue;
        std::string role = listed.optional ? "optional" : "required";
        if (!listed.group.empty())
            role = "one of the group " + listed.group + (listed.optional ? ", optional" : "");
        role += listed.at_scrape ? ", runs before each scrape" : "";
        return role + (listed.needs.empty() ? "" : "; needs " + listed.needs);
    }
    return "required";
}

Done print_programs(std::ostream& out, const Manifest& manifest, std::span<const std::byte> bpf_object)
{
    out << "\nBPF programs\n";
    if (bpf_object.empty()) {
        out << "  none\n";
        return done();
    }
    const Result<BpfObject> object = BpfObject::open(bpf_object, manifest.name);
    if (!object)
        return object.error();
    Rows rows;
    for (const std::string& program : object->program_names())
        rows.push_back(
            {program, role_of(manifest, program) + (object->is_tail_called(program) ? ", called by the tap" : "")});
    print_columns(out, rows, 2);
    return done();
}

Done print_metrics(std::ostream& out, const Manifest& manifest, std::span<const std::byte> bpf_object)
{
    out << "\nMetrics\n";
    Result<std::vector<MetricDeclaration>> declared = declared_metrics(bpf_object);
    if (!declared)
        return declared.error();
    for (const MetricDeclaration& metric : *declared) {
        out << "  " << metric.name << " (" << to_string(metric.kind) << ", " << metric.unit << ")\n";
        out << "      " << metric.help << '\n';
        out << "      labels: " << or_none(joined(metric.labels)) << '\n';
        if (!metric.bounds_config_key.empty())
            out << "      buckets: plugins." << manifest.name << '.' << metric.bounds_config_key << '\n';
    }
    for (const ManifestMetric& metric : manifest.metrics) {
        std::vector<std::string> labels{"container_id", "service_name"};
        labels.insert(labels.end(), metric.labels.begin(), metric.labels.end());
        out << "  " << metric.name << " (" << metric.kind << ", " << metric.unit << ")\n";
        out << "      " << metric.help << '\n';
        out << "      labels: " << joined(labels) << "; from the probe's user-space half\n";
    }
    if (declared->empty() && manifest.metrics.empty())
        out << "  none\n";
    return done();
}

} // namespace

int info_command(const std::filesystem::path& plugin_file, std::ostream& out, std::ostream& errors)
{
    const auto fail = [&](const std::string& text) {
        errors << text << '\n';
        return kExitFailure;
    };
    const std::string name = plugin_file.string();
    // Not to be held up by a FIFO, nor to start a device.
    std::error_code error;
    const std::filesystem::file_status status = std::filesystem::status(plugin_file, error);
    if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status))
        return fail(name + ": is not a regular file; a probe is a shared object built with limpet_add_probe()");
    const OwnedFd fd(::open(plugin_file.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
    if (!fd.is_open())
        return fail(errno_error(name).text);
    const Result<PluginSections> sections = read_plugin_sections(fd.get(), name);
    if (!sections)
        return fail(sections.error().text);
    const Result<Manifest> manifest = parse_manifest(sections->manifest_text, name);
    if (!manifest)
        return fail(manifest.error().text);

    print_identity(out, *manifest, plugin_file, sections->bpf_object.size());
    if (const Done abi = check_abi(name, manifest->abi_major, manifest->abi_minor); !abi)
        return fail(abi.error().text);
    print_keys(out, *manifest);
    if (const Done programs = print_programs(out, *manifest, sections->bpf_object); !programs)
        return fail(name + ": " + programs.error().text);
    if (const Done metrics = print_metrics(out, *manifest, sections->bpf_object); !metrics)
        return fail(name + ": " + metrics.error().text);
    return kExitOk;
}

} // namespace limpet
