# SPDX-License-Identifier: Apache-2.0
"""Cases of the corpus that run as end-to-end tests (tests/e2e), so that nothing runs twice: test → description."""

from corpus_case import Description

_SCRIPT = "the script"
_GO_LOG = "server's log"

E2E_CASES = {
    "nginx.NginxTest": Description("real", "h2load, wrk, Go net/http, curl", "nginx", "access log"),
    "go.GoTest": Description("real", "h2load, wrk, Go net/http, curl", "Go net/http", _GO_LOG),
    "node.NodeTest": Description("real", "h2load, wrk, Go net/http, curl", "Node", _GO_LOG),
    "python.PythonTest": Description("real", "h2load, wrk, Go net/http, curl", "Python http.server", _GO_LOG),
    "segmentation.SegmentationTest.test_8_pipelined_requests_in_one_write":
        Description("pipelining", "raw socket: 8 in one write", "scripted, answers in one write", _SCRIPT),
    "segmentation.SegmentationTest.test_32_pipelined_requests_in_one_write":
        Description("pipelining", "raw socket: 32 in one write", "scripted, answers in one write", _SCRIPT),
    "segmentation.SegmentationTest.test_pipelined_requests_answered_one_by_one":
        Description("pipelining", "raw socket: 8 in one write", "scripted, a write for each answer", _SCRIPT),
    "segmentation.SegmentationTest.test_pipelined_requests_with_different_answers":
        Description("pipelining", "raw socket: GET, POST, GET", "scripted", _SCRIPT),
    "segmentation.SegmentationTest.test_pipelined_requests_to_nginx":
        Description("pipelining", "raw socket: depths 2, 8, 32", "nginx", "access log"),
    "segmentation.SegmentationTest.test_each_cut_is_counted_once_and_the_next_request_as_well":
        Description("cuts", "raw socket: 21 ways to cut requests and answers, single bytes among them", "scripted", _SCRIPT),
    "segmentation.SegmentationTest.test_all_cuts_over_one_connection":
        Description("cuts", "raw socket: the same over one connection", "scripted", _SCRIPT),
    "framing.FramingTest.test_each_framing_is_counted_once_and_the_next_request_as_well":
        Description("bodiless", "raw socket", "scripted: 26 framings; HEAD, 204, 304, 1xx, chunks, lengths, bodies like HTTP",
                    _SCRIPT),
    "framing.FramingTest.test_statuses_without_a_body_between_go_and_a_keep_alive_client":
        Description("bodiless", "Go net/http", "Go net/http: 204, 304, empty bodies, HEAD", _GO_LOG),
    "framing.FramingTest.test_expect_100_continue_between_curl_and_go":
        Description("interim", "curl, `Expect: 100-continue`, 30 KB", "Go net/http", _GO_LOG),
    "framing.FramingTest.test_each_answer_that_ends_with_its_connection_is_counted_once":
        Description("until_close", "raw socket", "scripted: HTTP/1.0 and 1.1, with a length and without", _SCRIPT),
    "python.PythonHttp10Test": Description("until_close", "Go net/http, curl", "Python http.server, HTTP/1.0", _GO_LOG),
    "go.GoTest.test_chunked_answers_are_counted_once":
        Description("chunked", "h2load", "Go net/http, three chunks", _GO_LOG),
    "go.GoTest.test_uploads_of_a_megabyte_are_counted":
        Description("uploads", "Go net/http, 1 MB each", "Go net/http", _GO_LOG),
    "aborts.ServerAbortsTest.test_each_way_for_a_server_to_break_off_counts_once":
        Description("aborts", "raw socket", "scripted: closes or resets before, inside and after the answer, 11 ways", _SCRIPT),
    "aborts.ServerAbortsTest.test_go_server_that_resets_in_the_middle_of_the_body":
        Description("aborts", "Go net/http", "Go net/http, resets inside the body", _GO_LOG),
    "aborts.ClientAbortsTest.test_client_that_resets_before_the_answer":
        Description("aborts", "raw socket: resets while it waits", "scripted", _SCRIPT),
    "aborts.ClientAbortsTest.test_client_that_resets_in_the_middle_of_a_large_body":
        Description("aborts", "raw socket: resets inside a body of 20 MB", "scripted", _SCRIPT),
    "aborts.ClientAbortsTest.test_client_that_resets_after_the_whole_answer":
        Description("aborts", "raw socket: resets after its last answer", "scripted", _SCRIPT),
    "aborts.ClientAbortsTest.test_curl_that_gives_up_while_the_server_sleeps_counts_once_on_each_side":
        Description("aborts", "curl `--max-time`", "Go net/http, sleeps", _GO_LOG),
    "aborts.ClientAbortsTest.test_client_that_half_closes_still_gets_a_counted_answer":
        Description("aborts", "raw socket: closes its half behind the request", "scripted", _SCRIPT),
    "aborts.ClientAbortsTest.test_idle_connections_that_are_closed_add_nothing":
        Description("aborts", "raw socket: connects, says nothing, closes or resets", "scripted", _SCRIPT),
    "older_connections.OlderConnectionsTest.test_idle_keep_alive_connections_of_nginx":
        Description("older", "raw socket, idle when the agent starts", "nginx", "access log"),
    "older_connections.OlderConnectionsTest.test_a_request_under_way_at_the_start_disturbs_none_that_follow":
        Description("older", "raw socket, in the middle of a request when the agent starts", "Go net/http", _GO_LOG),
    "older_connections.OlderConnectionsTest.test_mptcp_listeners_in_every_network_namespace":
        Description("workers", "h2load", "Go net/http, an MPTCP listener older than the agent", _GO_LOG),
    "lifecycle.RestartTest.test_agents_restarted_under_load_invent_nothing_and_then_count_exactly":
        Description("older", "h2load, while agents come, stop and are killed", "nginx", "access log"),
    "lifecycle.ReloadTest.test_reload_under_load_loses_nothing":
        Description("older", "h2load, while the agent reloads", "nginx", "access log"),
    "network_namespaces.NetworkNamespacesTest.test_four_servers_on_the_same_loopback_port_of_four_namespaces":
        Description("network", "h2load, curl", "Go net/http, the same address and port in four network namespaces", _GO_LOG),
    "packet_loss.PacketLossTest":
        Description("network", "h2load, Go net/http; 3 % of the packets lost each way", "nginx, Go net/http", "both logs"),
    "packet_loss.LossyLoopbackTest":
        Description("network", "h2load; 3 % lost on the loopback device", "Go net/http", _GO_LOG),
    "short_connections.ShortConnectionsTest":
        Description("scale", "raw sockets, Go net/http: 2,000 to 5,000 connections with a request each", "nginx, Go net/http",
                    "both logs"),
    "durations.DurationsTest":
        Description("durations", "h2load, slow reader", "Go net/http, nginx: bounds of sleeps, streams, slow readers",
                    "the sleeps"),
    "routes.RoutesTest.test_identifiers_are_folded":
        Description("routes", "h2load: 600 targets with numbers, UUIDs, hashes and queries", "nginx", "access log, route by route"),
    "routes.RoutesTest.test_templates_take_names":
        Description("routes", "h2load: 304 targets, two templates", "nginx", "access log, route by route"),
    "routes.RoutesTest.test_beyond_the_limit_is_other":
        Description("routes", "h2load: 100 paths, room for 10", "nginx", "the number sent"),
}
