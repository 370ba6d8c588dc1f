#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The Grafana dashboards, one for each probe and one for the agent: writes limpet-*.json beside this file.

What Grafana imports is the JSON; what people change is this file. A test holds one against the other, and runs every query
against a Prometheus that scrapes a real agent.
"""

import json
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
COLUMNS = 24  # of Grafana's grid
WINDOW = "$__rate_interval"
INSTANCE = 'instance=~"$instance"'
WORKLOAD = f'{INSTANCE},container_id=~"$container_id",service_name=~"$service_name"'


def of(metric, *matchers, scope=WORKLOAD):
    return f"{metric}{{{','.join((scope, *matchers))}}}"


def rate(metric, *matchers, by="service_name", scope=WORKLOAD):
    return f"sum by ({by}) (rate({of(metric, *matchers, scope=scope)}[{WINDOW}]))"


def quantile(share, metric, by="service_name"):
    return f"histogram_quantile({share}, {rate(metric + '_bucket', by='le, ' + by)})"


def ratio(part, whole):
    return f"{part} / {whole}"


def total(metric, *matchers, by="service_name", scope=WORKLOAD):
    return f"sum by ({by}) ({of(metric, *matchers, scope=scope)})"


def panel(title, unit, *queries, help="", width=8, stacked=False):
    """A graph. `queries`: (PromQL, legend) pairs."""
    return {"title": title, "unit": unit, "queries": queries, "help": help, "width": width, "stacked": stacked}


def http_side(side):
    duration, first_byte = f"http_{side}_request_duration_seconds", f"http_{side}_time_to_first_byte_seconds"
    count, failed = f"{duration}_count", 'http_response_status_code=~"5.."'
    peer = "service_name, server_address, server_port" if side == "client" else "service_name"
    legend = "{{service_name}} → {{server_address}}:{{server_port}}" if side == "client" else "{{service_name}}"
    return [
        panel(f"{side}: requests", "reqps", (rate(count, by=peer), legend)),
        panel(f"{side}: by status", "reqps", (rate(count, by="http_response_status_code"), "{{http_response_status_code}}"),
              stacked=True, help="Requests that no status line answered have none."),
        panel(f"{side}: 5xx of all", "percentunit", (ratio(rate(count, failed), rate(count)), "{{service_name}}")),
        panel(f"{side}: duration", "s", *((quantile(share, duration), f"{{{{service_name}}}} p{share * 100:g}")
                                          for share in (0.5, 0.9, 0.99)), help="To the last byte of the response."),
        panel(f"{side}: time to first byte, p90", "s", (quantile(0.9, first_byte), "{{service_name}}")),
        panel(f"{side}: unanswered", "reqps", (rate(count, 'error_type!=""', by="service_name, error_type"),
                                               "{{service_name}} {{error_type}}"),
              help="The connection ended before a whole response."),
        panel(f"{side}: in flight", "short", (total(f"http_{side}_active_requests"), "{{service_name}}"), width=12),
        panel(f"{side}: by method", "reqps", (rate(count, by="http_request_method"), "{{http_request_method}}"),
              width=12, stacked=True),
    ]


def tcp():
    failed, peer = 'result!="ok"', "service_name, destination"
    role, legend = "service_name, role", "{{service_name}} {{role}}"
    listener, listens = "service_name, listen_address", "{{service_name}} {{listen_address}}"
    return [
        panel("Connects", "cps", (rate("tcp_connects_total", by=peer), "{{service_name}} → {{destination}}")),
        panel("Failed connects", "cps", (rate("tcp_connects_total", failed, by=peer + ", result"),
                                         "{{service_name}} → {{destination}} {{result}}")),
        panel("Connect duration, p90", "s", (quantile(0.9, "tcp_connect_duration_seconds", by=peer),
                                             "{{service_name}} → {{destination}}")),
        panel("Accepts", "cps", (rate("tcp_accepts_total", by=listener), listens)),
        panel("Open connections", "short", (total("tcp_connections", by=role), legend)),
        panel("Round-trip time", "s", (f"avg by ({role}) ({of('tcp_rtt_seconds')})", legend),
              help="Mean of the open connections' smoothed RTT."),
        panel("Sent", "Bps", (rate("tcp_sent_bytes_total", by=role), legend)),
        panel("Received", "Bps", (rate("tcp_received_bytes_total", by=role), legend)),
        panel("Retransmitted segments", "pps", (rate("tcp_retransmitted_segments_total", by=role), legend)),
        panel("Resets", "cps", (rate("tcp_resets_total", by=role + ", direction"), legend + " {{direction}}")),
        panel("Waiting to be accepted, of the limit", "percentunit",
              (ratio(total("tcp_listen_queue_length", by=listener), total("tcp_listen_queue_limit", by=listener)), listens)),
        panel("Dropped by full queues", "cps", (rate("tcp_listen_drops_total", by=listener), listens)),
    ]


def dns():
    count, served = "dns_lookup_duration_seconds_count", "dns_server_request_duration_seconds_count"
    name = "dns_question_name"
    spent = rate("dns_lookup_duration_seconds_sum", by=name)
    return [
        panel("Lookups", "ops", (rate(count), "{{service_name}}")),
        panel("By response code", "ops", (rate(count, by="dns_response_code, error_type"),
                                          "{{dns_response_code}}{{error_type}}"), stacked=True),
        panel("Lookup duration", "s", *((quantile(share, "dns_lookup_duration_seconds"),
                                         f"{{{{service_name}}}} p{share * 100:g}") for share in (0.5, 0.99))),
        panel("Timeouts of all", "percentunit", (ratio(rate(count, 'error_type="timeout"'), rate(count)), "{{service_name}}")),
        panel("Most asked names", "ops", (f"topk(10, {rate(count, by=name)})", "{{dns_question_name}}")),
        panel("Slowest names, mean", "s", (f"topk(10, {ratio(spent, rate(count, by=name))})", "{{dns_question_name}}")),
        panel("Retries", "ops", (rate("dns_lookup_retries_total"), "{{service_name}}"), width=6),
        panel("Truncated or malformed", "ops", (rate("dns_truncated_responses_total"), "{{service_name}} truncated"),
              (rate("dns_malformed_messages_total"), "{{service_name}} malformed"), width=6),
        panel("Served, by code", "ops", (rate(served, by="service_name, dns_response_code"),
                                         "{{service_name}} {{dns_response_code}}"), width=6, stacked=True),
        panel("Served, p99", "s", (quantile(0.99, "dns_server_request_duration_seconds"), "{{service_name}}"), width=6),
    ]


def cpu():
    delay = "container_cpu_run_queue_delay_seconds"
    periods = rate("container_cpu_periods_total", by="container_id")
    return [
        panel("CPU time", "percentunit", (rate("container_cpu_time_seconds_total"), "{{service_name}}"), width=12,
              stacked=True, help="1 is one core."),
        panel("By mode", "percentunit", (rate("container_cpu_time_seconds_total", by="cpu_mode"), "{{cpu_mode}}"), width=12,
              stacked=True),
        panel("Waiting for a CPU", "percentunit", (rate(delay + "_sum"), "{{service_name}}"),
              help="Seconds that threads could run and did not, for each second."),
        panel("Run-queue delay, p99", "s", (quantile(0.99, delay), "{{service_name}}")),
        panel("Context switches", "ops", (rate("container_cpu_context_switches_total", by="switch_type"), "{{switch_type}}"),
              stacked=True),
        panel("Not on a CPU, by reason", "short", (rate("container_cpu_off_cpu_seconds_total", by="reason"), "{{reason}}"),
              stacked=True),
        panel("Throttled periods of all", "percentunit", (ratio(rate("container_cpu_throttled_periods_total", by="container_id"), periods),
                                                          "{{container_id}}")),
        panel("Throttled time", "percentunit", (rate("container_cpu_throttled_seconds_total", by="container_id"), "{{container_id}}")),
    ]


def agent():
    def own(expression):
        return expression.replace(WORKLOAD, INSTANCE)

    plugin = "plugin"
    return [
        panel("Probes that do not run", "short", (own(total("limpet_plugin_state", 'state!="active"', by="plugin, state")),
                                                  "{{plugin}} {{state}}"), help="1 for the state that a probe is in."),
        panel("CPU of the agent", "percentunit", (own(rate("process_cpu_seconds_total", by="instance")), "{{instance}}"),
              help="User space, of one core."),
        panel("CPU of its programs in the kernel", "percentunit", (own(rate("limpet_kernel_seconds_total", by="plugin, program")),
                                                                   "{{plugin}} {{program}}"), stacked=True,
              help="Of one core, paid by the programs that are watched. The tap's includes the parsers that it calls."),
        panel("Runs of its programs", "ops", (own(rate("limpet_program_runs_total", by="plugin, program")),
                                              "{{plugin}} {{program}}")),
        panel("Memory", "bytes", (own(of("process_resident_memory_bytes")), "{{instance}}")),
        panel("Kernel memory", "bytes", (own(total("limpet_kernel_memory_bytes", by=plugin)), "{{plugin}}"), stacked=True),
        panel("Use of limits", "percentunit", (own(of("limpet_limit_ratio")), "{{limit}}"), help="Above 100 % a limit is not kept."),
        panel("Left out for limits", "short", (own(of("limpet_shed_level")), "{{instance}}"),
              help="0 nothing, 1 to 5 details, 6 to 12 connections are sampled, 15 paused. Counts are exact below 6."),
        panel("Series, of the limit", "percentunit", (own(ratio(total("limpet_series", by=plugin), total("limpet_series_limit", by=plugin))),
                                                      "{{plugin}}")),
        panel("Counted in overflow rows", "ops", (own(rate("limpet_series_overflow_total", by=plugin)), "{{plugin}}")),
        panel("Not followed, by reason", "ops", (own(rate("limpet_unseen_total", by="reason")), "{{reason}}"),
              help="What limpet knows that it could not follow."),
        panel("Events lost", "ops", (own(rate("limpet_events_total", 'outcome="dropped"', by=plugin)), "{{plugin}}")),
        panel("Connections displaced", "ops", (own(rate("limpet_connections_evicted_total", by="instance")), "{{instance}}")),
        panel("Scrape duration", "s", (own(of("limpet_scrape_duration_seconds")), "{{instance}}")),
    ]


# file: (title, metric that the variables are read from, panels)
DASHBOARDS = {
    "http": ("HTTP", "http_server_request_duration_seconds_count", http_side("server") + http_side("client")),
    "tcp": ("TCP", "tcp_connections", tcp()),
    "dns": ("DNS", "dns_lookup_duration_seconds_count", dns()),
    "cpu": ("CPU", "container_cpu_time_seconds_total", cpu()),
    "agent": ("Agent", "limpet_build_info", agent()),
}


def variable(name, query):
    return {"name": name, "type": "query", "datasource": {"type": "prometheus", "uid": "${datasource}"}, "query": query,
            "definition": query, "refresh": 2, "multi": True, "includeAll": True, "allValue": ".*", "sort": 1,
            "current": {"text": "All", "value": "$__all"}}


def variables(name, metric):
    found = [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
             variable("instance", f"label_values({metric}, instance)")]
    if name != "agent":
        found += [variable("container_id", f'label_values({metric}{{{INSTANCE}}}, container_id)'),
                  variable("service_name", f'label_values({metric}{{{INSTANCE},container_id=~"$container_id"}}, service_name)')]
    return found


def grafana_panel(number, declared, x, y):
    datasource = {"type": "prometheus", "uid": "${datasource}"}
    return {
        "id": number, "type": "timeseries", "title": declared["title"], "description": declared["help"],
        "datasource": datasource, "gridPos": {"x": x, "y": y, "w": declared["width"], "h": 8},
        "fieldConfig": {"defaults": {"unit": declared["unit"], "min": 0, "custom": {
            "fillOpacity": 10, "stacking": {"mode": "normal" if declared["stacked"] else "none"}}}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}},
        "targets": [{"refId": chr(ord("A") + index), "datasource": datasource, "expr": query, "legendFormat": legend}
                    for index, (query, legend) in enumerate(declared["queries"])],
    }


def dashboard(name):
    title, metric, declared = DASHBOARDS[name]
    panels, x, y = [], 0, 0
    for number, one in enumerate(declared, 1):
        if x + one["width"] > COLUMNS:
            x, y = 0, y + 8
        panels.append(grafana_panel(number, one, x, y))
        x += one["width"]
    return {"uid": f"limpet-{name}", "title": f"limpet / {title}", "tags": ["limpet"], "schemaVersion": 38, "editable": True,
            "timezone": "browser", "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
            "links": [{"type": "dashboards", "tags": ["limpet"], "title": "limpet", "asDropdown": True, "keepTime": True}],
            "templating": {"list": variables(name, metric)}, "panels": panels}


def path_of(name):
    return HERE / f"limpet-{name}.json"


def text_of(name):
    return json.dumps(dashboard(name), indent=1, ensure_ascii=False) + "\n"


def main():
    for name in DASHBOARDS:
        path_of(name).write_text(text_of(name))


if __name__ == "__main__":
    sys.exit(main())
