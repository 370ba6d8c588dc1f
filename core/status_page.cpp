// SPDX-License-Identifier: Apache-2.0
#include "status_page.hpp"

#include <algorithm>
#include <cstdio>
#include <set>
#include <tuple>

#include "size.hpp"

namespace limpet {
namespace {

constexpr const char* kHead =
    "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>limpet</title><style>"
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;width:100%;margin:.5rem 0 1.5rem}"
    "th,td{text-align:left;padding:.3rem .8rem .3rem 0;border-bottom:1px solid #ddd;vertical-align:top}"
    "td.number,th.number{text-align:right}.active{color:#176b2c}.degraded{color:#8a5a00}"
    ".failed,.unsupported,.quarantined{color:#a11}"
    "@media(prefers-color-scheme:dark){body{background:#181818;color:#ddd}th,td{border-color:#444}a{color:#8bf}"
    ".active{color:#7c7}.degraded{color:#db6}.failed,.unsupported,.quarantined{color:#f88}}"
    "</style></head><body>";

constexpr const char* kNotMeasured = "not measured yet";

std::string formatted(const char* format, double value)
{
    char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" // the callers' literals
    std::snprintf(text, sizeof(text), format, value);
#pragma GCC diagnostic pop
    return text;
}

std::string first_line(const std::string& text)
{
    return text.substr(0, text.find('\n'));
}

std::string cell(const std::string& text)
{
    return "<td>" + html_escaped(text) + "</td>";
}

std::string number_cell(const std::string& text)
{
    return "<td class=\"number\">" + html_escaped(text) + "</td>";
}

std::string probes_table(const AgentState& state)
{
    std::string html = "<h2>Probes</h2>";
    if (state.probes.empty())
        return html +
               "<p>No probe is enabled: set <code>enabled = true</code> in a table <code>[plugins.…]</code>.</p>";
    html += "<table><tr><th>Probe</th><th>Version</th><th>State</th><th>Reason</th><th class=\"number\">Series</th>"
            "<th class=\"number\">Kernel memory</th></tr>";
    for (const auto& probe : state.probes) {
        const std::string name = to_string(probe->state());
        html += "<tr>" + cell(probe->name()) + cell(probe->manifest().version);
        html.append("<td class=\"").append(name).append("\">").append(name).append("</td>");
        html += cell(first_line(probe->reason())) +
                number_cell(std::to_string(probe->series()) + " of " + std::to_string(probe->series_limit())) +
                number_cell(formatted("%.1f MB", static_cast<double>(probe->kernel_memory_bytes()) / 1e6)) + "</tr>";
    }
    return html + "</table>";
}

std::string cost_in_words(const CostRate& rate)
{
    const std::string hooks =
        rate.hook_share > 0 ? formatted(", about %.2f %% on the way into its hooks", rate.hook_share * 100) : "";
    const std::string user = rate.user_share > 0 ? formatted(" and %.2f %% in the agent", rate.user_share * 100) : "";
    if (!rate.is_measured)
        return kNotMeasured + (" in the kernel" + user);
    return formatted("%.0f ns per event", rate.kernel_ns_per_run) + ", " +
           formatted("%.2f %% of a core in the kernel", rate.kernel_share * 100) + hooks + user;
}

// One sentence for each probe, and the tap.
std::string cost_sentences(const AgentState& state)
{
    std::string html = "<h2>Cost</h2><ul>";
    const auto add = [&](const std::string& plugin, const std::string& whose) {
        const CostRate rate = state.rates.of(plugin);
        html += "<li><b>" + html_escaped(plugin) + "</b>: " + whose + (rate.is_measured ? " costs " : " is ") +
                cost_in_words(rate) + ".</li>";
    };
    add(kCorePlugin, "the tap, which sees every packet,");
    for (const auto& probe : state.probes)
        if (probe->is_running())
            add(probe->name(), "this probe");
    html += "</ul><p>Over the last ten seconds.</p>";
    if (state.budget.limit() > 0)
        html += formatted("<p><b>limits.agent_cpu</b> is %.2f %% of a core", state.budget.limit() * 100) +
                formatted(", %.2f %% used: ", state.budget.used() * 100) + html_escaped(state.budget.description()) +
                ".</p>";
    if (state.governor.limit() <= 0)
        return html;
    return html + formatted("<p><b>limits.kernel_cpu</b> is %.2f %% of a core", state.governor.limit() * 100) +
           formatted(", %.2f %% used; level ", state.governor.used() * 100) + std::to_string(state.governor.level()) +
           ": " + html_escaped(description_of(state.governor.level())) +
           (state.governor.is_exhausted() ? ". It is not kept: nothing more can be left out.</p>" : ".</p>");
}

std::string cost_table(AgentState& state)
{
    std::string html = "<table><tr><th>Of</th><th>Program</th><th class=\"number\">Runs</th>"
                       "<th class=\"number\">ns a run</th><th class=\"number\">CPU seconds</th>"
                       "<th class=\"number\">… of its hook</th></tr>";
    for (const MeteredProgram& program : state.charge()) {
        const auto seconds = state.cost.seconds(program.plugin, program.program);
        const auto hook = state.cost.hook_seconds(program.plugin, program.program);
        const double price = state.cost.ns_per_run(program.plugin, program.program);
        html += "<tr>" + cell(program.plugin) + cell(program.program) + number_cell(std::to_string(program.runs)) +
                number_cell(seconds ? formatted("%.0f", price) : kNotMeasured) +
                number_cell(seconds ? formatted("%.3f", *seconds) : "") +
                number_cell(hook ? formatted("%.3f", *hook) : "") + "</tr>";
    }
    return html +
           "</table><p>Measured in short windows; what the way into a hook costs is an estimate. The core's maps and "
           "programs take " +
           formatted("%.1f MB", static_cast<double>(state.tap.kernel_memory_bytes()) / 1e6) + " of kernel memory.</p>";
}

std::string amount(const std::string& limit, double number)
{
    if (limit == "kernel_cpu" || limit == "agent_cpu")
        return formatted("%.2f %% of a core", number * 100);
    return limit == "series" ? formatted("%.0f", number) : size_text(static_cast<uint64_t>(number));
}

std::string limits_table(const AgentState& state)
{
    std::string html = "<h2>Limits</h2><table><tr><th>Of</th><th class=\"number\">Used</th><th "
                       "class=\"number\">Limit</th><th>State</th></tr>";
    for (const LimitUse& use : state.limit_uses()) {
        const bool is_kept = use.allowed <= 0 || use.used <= use.allowed;
        html += "<tr>" + cell(use.limit) + number_cell(amount(use.limit, use.used)) +
                number_cell(use.allowed > 0 ? amount(use.limit, use.allowed) : "none") +
                (is_kept ? cell(use.allowed > 0 ? formatted("%.0f %%", use.used / use.allowed * 100) : "")
                         : "<td class=\"failed\">not kept</td>") +
                "</tr>";
    }
    return html + "</table>";
}

std::string workloads_table(const AgentState& state)
{
    std::set<std::pair<std::string, std::string>> names;
    for (const WorkloadName& name : state.workloads.all())
        names.emplace(name.container_id, name.service_name);
    std::string html = "<h2>Workloads</h2><table><tr><th>container_id</th><th>service_name</th></tr>";
    for (const auto& [container, service] : names)
        html += "<tr>" + cell(container) + cell(service) + "</tr>";
    return html + "</table>";
}

} // namespace

std::string html_escaped(std::string_view text)
{
    std::string escaped;
    for (const char c : text) {
        if (c == '&')
            escaped += "&amp;";
        else if (c == '<')
            escaped += "&lt;";
        else if (c == '>')
            escaped += "&gt;";
        else if (c == '"')
            escaped += "&quot;";
        else
            escaped += c;
    }
    return escaped;
}

HttpPage status_page(AgentState& state)
{
    const std::lock_guard lock(state.mutex);
    std::string html = kHead;
    html += "<h1>limpet " LIMPET_VERSION "</h1><p><a href=\"/metrics\">/metrics</a> for Prometheus, "
            "<a href=\"/healthz\">/healthz</a> for health checks.</p>";
    html += probes_table(state) + cost_sentences(state) + cost_table(state) + limits_table(state) +
            workloads_table(state) + "</body></html>\n";
    return {200, "text/html; charset=utf-8", html};
}

HttpPage health_page(AgentState& state)
{
    const std::lock_guard lock(state.mutex);
    std::string unwell;
    for (const auto& probe : state.probes)
        if (!probe->is_healthy())
            unwell += probe->name() + ": " + to_string(probe->state()) + ": " + first_line(probe->reason()) + "\n";
    if (unwell.empty())
        return {200, "text/plain; charset=utf-8", "ok\n"};
    return {503, "text/plain; charset=utf-8", unwell};
}

} // namespace limpet
