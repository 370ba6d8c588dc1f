// SPDX-License-Identifier: Apache-2.0
#include "config_agent.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include <arpa/inet.h>

#include "config_limits.hpp"
#include "duration.hpp"
#include "suggestion.hpp"

namespace limpet {
namespace {

constexpr int64_t kHighestCpu = 8191; // CONFIG_NR_CPUS of the largest kernels is 8192
constexpr int64_t kFewestRows = 2;    // one and the overflow row
constexpr int64_t kMostRows = 100'000;
constexpr size_t kLongestProbeName = 32;

const std::vector<std::string> kLogLevels{"debug", "info", "warn", "error"};
const std::vector<std::string> kStates{"degraded", "unsupported", "failed", "quarantined"};

bool is_port(std::string_view text)
{
    unsigned port = 0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc{} && rest == text.data() + text.size() && port >= 1 && port <= 65535;
}

// "a.b.c.d:port" or "[v6]:port".
bool is_listen_address(const std::string& text)
{
    const size_t colon = text.rfind(':');
    if (colon == std::string::npos || !is_port(std::string_view(text).substr(colon + 1)))
        return false;
    const std::string host = text.substr(0, colon);
    std::array<unsigned char, sizeof(in6_addr)> address{};
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        return inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), address.data()) == 1;
    return inet_pton(AF_INET, host.c_str(), address.data()) == 1;
}

void read_listen(TableReader& table, AgentConfig& agent)
{
    const std::optional<std::string> listen = table.text("listen");
    if (!listen)
        return;
    if (is_listen_address(*listen)) {
        agent.listen = *listen;
        return;
    }
    table.problem("listen", "\"" + *listen +
                                "\" is not an address and port; write \"127.0.0.1:9465\", or \"0.0.0.0:9465\" for "
                                "every network, or \"[::1]:9465\" for IPv6");
}

void read_cpus(TableReader& table, AgentConfig& agent)
{
    const TomlEntry* const entry = table.entry("cpus");
    if (entry == nullptr)
        return;
    if (const auto* text = std::get_if<std::string>(&entry->value.data); text != nullptr && *text == "auto") {
        agent.cpus.reset();
        return;
    }
    const auto* items = std::get_if<TomlArray>(&entry->value.data);
    if (items == nullptr || items->empty()) {
        table.wrong_type("cpus", entry->value, "\"auto\" or a list of CPU numbers such as [0, 2]");
        return;
    }
    std::vector<uint32_t> cpus;
    for (const TomlValue& item : *items) {
        const auto* number = std::get_if<int64_t>(&item.data);
        if (number == nullptr)
            return table.wrong_type("cpus", item, "CPU numbers in the list, such as [0, 2]");
        if (*number < 0 || *number > kHighestCpu)
            return table.problem("cpus", std::to_string(*number) + " is not the number of a CPU; use 0 to " +
                                             std::to_string(kHighestCpu));
        cpus.push_back(static_cast<uint32_t>(*number));
    }
    std::sort(cpus.begin(), cpus.end());
    cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
    agent.cpus = std::move(cpus);
}

void read_log_level(TableReader& table, AgentConfig& agent)
{
    const std::optional<std::string> level = table.text("log_level");
    if (!level)
        return;
    if (std::find(kLogLevels.begin(), kLogLevels.end(), *level) != kLogLevels.end()) {
        agent.log_level = *level;
        return;
    }
    const std::string nearest = nearest_name(*level, kLogLevels);
    table.problem("log_level", "unknown level \"" + *level + "\"" +
                                   (nearest.empty() ? "" : "; did you mean '" + nearest + "'?") +
                                   "; use one of: " + joined(kLogLevels));
}

void read_sha256(TableReader& table, ProbeConfig& probe)
{
    std::optional<std::string> digest = table.text("sha256");
    if (!digest)
        return;
    for (char& letter : *digest)
        letter = (letter >= 'A' && letter <= 'F') ? static_cast<char>(letter - 'A' + 'a') : letter;
    const bool is_digest = digest->size() == 64 && digest->find_first_not_of("0123456789abcdef") == std::string::npos;
    if (is_digest || digest->empty())
        probe.sha256 = *digest;
    else
        table.problem("sha256", "is not a SHA-256 sum of 64 hexadecimal digits; `sha256sum FILE` prints it");
}

void read_accept(TableReader& table, ProbeConfig& probe)
{
    std::optional<std::vector<std::string>> states = table.texts("accept");
    if (!states)
        return;
    for (const std::string& state : *states)
        if (std::find(kStates.begin(), kStates.end(), state) == kStates.end())
            return table.problem("accept", "unknown state \"" + state + "\"" + suggestion(state, kStates));
    probe.accept = std::move(*states);
}

} // namespace

void read_agent(TableReader& table, const std::filesystem::path& directory, AgentConfig& agent)
{
    read_listen(table, agent);
    table.path("plugin_dir", directory, agent.plugin_dir);
    read_cpus(table, agent);
    agent.nice = static_cast<int>(table.integer("nice", -20, 19).value_or(agent.nice));
    read_log_level(table, agent);
    if (const std::optional<double> seconds = table.duration_seconds("drain_interval", 0.01, 10))
        agent.drain_interval = std::chrono::milliseconds(std::lround(*seconds * 1000));
    if (const std::optional<double> seconds = table.duration_seconds("forget_after", 0, 30 * 24 * 3600))
        agent.forget_after = std::chrono::milliseconds(std::llround(*seconds * 1000));
    table.path("cgroup_root", directory, agent.cgroup_root);
    table.report_unknown();
}

void read_common_probe_keys(TableReader& table, const std::filesystem::path& directory, ProbeConfig& probe)
{
    probe.enabled = table.boolean("enabled").value_or(probe.enabled);
    table.path("path", directory, probe.path);
    read_sha256(table, probe);
    read_accept(table, probe);
    if (const std::optional<int64_t> rows = table.integer("series", kFewestRows, kMostRows))
        probe.series = static_cast<uint32_t>(*rows);
    if (std::optional<TableReader> limits = table.below("limits"))
        read_probe_limits(*limits, probe.limits);
}

bool is_probe_name(const std::string& name)
{
    const bool has_length = !name.empty() && name.size() <= kLongestProbeName;
    return has_length && name[0] >= 'a' && name[0] <= 'z' &&
           name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

std::vector<std::string> common_probe_keys()
{
    const TomlTable nothing;
    std::vector<ConfigProblem> none;
    ProbeConfig unused;
    TableReader table(nothing, "", none);
    read_common_probe_keys(table, {}, unused);
    return table.asked();
}

} // namespace limpet
