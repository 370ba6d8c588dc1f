# SPDX-License-Identifier: Apache-2.0
"""The agent's life: it starts fast, stops without a trace, reloads without forgetting, may be restarted under load."""

import fcntl
import os
import signal
import threading
import time
import unittest

from support import clients, compare
from support.agent import Agent
from support.case import EndToEndCase
from support.exchange import REQUEST
from support.kernel_objects import bpf_objects, remaining_after_wait
from support.servers import Nginx

HTTP_ON = "[plugins.http]\nenabled = true\n"


class NothingLeftBehindTest(EndToEndCase):
    def check_that_nothing_is_left(self, stop):
        server = self.start_server(Nginx)
        before = bpf_objects()
        agent = self.start_agent()
        clients.h2load(server.url(), 500, 10)
        own = {key: name for key, name in bpf_objects().items() if key not in before}
        self.assertGreaterEqual({kind for kind, _ in own}, {"prog", "link", "map"}, own)
        stop(agent)
        self.assertEqual(remaining_after_wait(own), {})
        clients.h2load(server.url(), 500, 10)

    def test_sigterm_leaves_no_program_link_or_map(self):
        self.check_that_nothing_is_left(lambda agent: agent.stop())

    def test_sigkill_leaves_no_program_link_or_map(self):
        self.check_that_nothing_is_left(lambda agent: agent.kill())

    def test_sigint_stops_like_sigterm(self):
        agent = self.start_agent()
        agent.process.send_signal(signal.SIGINT)
        self.assertEqual(agent.wait(), 0)

    def test_sigterm_while_a_load_runs_stops_at_once(self):
        server = self.start_server(Nginx)
        before = bpf_objects()
        agent = self.start_agent()
        load = threading.Thread(target=clients.wrk, args=(server.url(),), kwargs={"seconds": 2})
        load.start()
        self.addCleanup(load.join)
        time.sleep(0.5)
        own = {key: name for key, name in bpf_objects().items() if key not in before}
        begin = time.monotonic()
        agent.stop()
        self.assertLess(time.monotonic() - begin, 2)
        load.join()
        self.assertEqual(remaining_after_wait(own), {})


class StderrTest(EndToEndCase):
    def check_that_it_holds_nobody_up(self, output):
        agent = Agent(self.directory)
        agent.start(output)
        self.addCleanup(agent.stop)
        agent.wait_until_healthy()
        for _ in range(60):  # a line each, more than the pipe takes
            agent.reload()
            time.sleep(0.02)
        self.assertTrue(agent.metrics().select("limpet_build_info"))
        begin = time.monotonic()
        agent.stop()
        self.assertLess(time.monotonic() - begin, 2)

    def test_a_pipe_that_nobody_reads(self):
        reading, writing = os.pipe()
        self.addCleanup(os.close, reading)
        with open(writing, "wb") as pipe:
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
            self.check_that_it_holds_nobody_up(pipe)

    def test_a_pipe_whose_reader_has_gone(self):
        reading, writing = os.pipe()
        os.close(reading)
        with open(writing, "wb") as pipe:
            self.check_that_it_holds_nobody_up(pipe)

    def test_a_full_disk(self):
        with open("/dev/full", "wb") as full:
            self.check_that_it_holds_nobody_up(full)

    def test_standard_descriptors_that_are_closed(self):
        agent = self.launch_agent(wrapper=["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"]).wait_until_healthy()
        for number in range(3):
            self.assertEqual(os.readlink(f"/proc/{agent.process.pid}/fd/{number}"), "/dev/null")


class StartTest(EndToEndCase):
    def test_the_first_metric_comes_soon(self):
        # less than half a second, as the benchmark shows; here the machine may be busy
        begin = time.monotonic()
        agent = self.start_agent()
        self.assertTrue(agent.metrics().select("limpet_build_info"))
        self.assertLess(time.monotonic() - begin, 3)

    def test_one_line_says_what_it_watches_and_where_to_look(self):
        agent = self.start_agent()
        deadline = time.monotonic() + 5
        while f"watches http in all processes of this host; see http://127.0.0.1:{agent.port}/" not in agent.log():
            self.assertLess(time.monotonic(), deadline, agent.log())  # it may answer before it has said so
            time.sleep(0.01)

    def test_the_portable_tap_is_for_older_kernels_alone(self):
        agent = self.start_agent()
        with open("/proc/kallsyms", encoding="ascii") as symbols:
            is_new = any(line.split()[2] == "bpf_cast_to_kern_ctx" for line in symbols)
        self.assertEqual("the portable one takes its place" in agent.log(), not is_new, agent.log())

    def test_memory_stays_below_15_mb_under_load(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        clients.h2load(server.url(), 20_000, 100)
        for _ in range(20):
            agent.metrics()
        self.assertLess(agent.resident_bytes(), 15_000_000)

    def test_a_stopped_agent_frees_its_port_for_the_next(self):
        agent = self.start_agent()
        agent.stop()
        self.start_agent(port=agent.port)

    def test_two_agents_at_once_count_the_same(self):
        server = self.start_server(Nginx)
        agents = [self.start_agent(), self.start_agent()]
        clients.h2load(server.url(), 2000, 20)
        for agent in agents:
            self.assert_counts_equal_log(agent, server)


class HealthTest(EndToEndCase):
    def test_healthz_is_200_when_every_enabled_probe_is_active(self):
        agent = self.start_agent()
        self.assertEqual(agent.get("/healthz")[0], 200)
        self.assertEqual(agent.metrics().total("limpet_plugin_state", plugin="http", state="active"), 1)

    def test_the_status_page_names_probes_and_states(self):
        status, headers, text = self.start_agent().get("/")
        self.assertEqual(status, 200)
        self.assertIn("text/", headers["Content-Type"])
        for word in ("http", "active"):
            self.assertIn(word, text)

    def test_an_unknown_path_is_404(self):
        self.assertEqual(self.start_agent().get("/no-such-page")[0], 404)


class ReloadTest(EndToEndCase):
    def reload_with(self, agent, config, agent_keys=""):
        agent.write_config(config, agent_keys)
        log_before = agent.log()
        agent.reload()
        deadline = time.monotonic() + 3
        while agent.log() == log_before and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.3)
        self.assertIsNone(agent.process.poll(), agent.log())
        return agent.log()[len(log_before):]

    def test_sighup_without_a_change_keeps_the_counts(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        clients.h2load(server.url(), 1000, 10)
        self.reload_with(agent, HTTP_ON)
        clients.h2load(server.url(), 1000, 10)
        self.assert_counts_equal_log(agent, server)

    def test_a_new_log_level_keeps_the_counts(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        clients.h2load(server.url(), 1000, 10)
        self.reload_with(agent, HTTP_ON, 'log_level = "debug"')
        clients.h2load(server.url(), 1000, 10)
        self.assert_counts_equal_log(agent, server)

    def test_reload_under_load_loses_nothing(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        load = threading.Thread(target=clients.h2load, args=(server.url(), 60_000, 50))
        load.start()
        self.addCleanup(load.join)
        self.reload_with(agent, HTTP_ON, 'log_level = "warn"')
        load.join()
        self.assert_counts_equal_log(agent, server)

    def test_a_config_with_a_mistake_is_refused_and_the_old_one_stays(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        clients.h2load(server.url(), 500, 10)
        log = self.reload_with(agent, HTTP_ON + "enabld = true\n")
        self.assertIn("enabld", log)
        self.assertIn(agent.config_path.name, log)
        clients.h2load(server.url(), 500, 10)
        self.assert_counts_equal_log(agent, server)

    def test_a_probe_can_be_switched_off_and_on(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        self.reload_with(agent, "[plugins.http]\nenabled = false\n")
        clients.h2load(server.url(), 500, 10)
        self.assertFalse(agent.metrics().select("http_server_request_duration_seconds_count",
                                                service_name=server.service_name))
        self.assertEqual(agent.get("/healthz")[0], 200)
        before = server.log_counts()
        self.reload_with(agent, HTTP_ON)
        agent.wait_until_healthy()
        clients.h2load(server.url(), 700, 10)
        self.assert_counts_equal_log(agent, server, since=before)


    def kept_connections(self, server):
        """Keep-alive connections that have carried a request each."""
        connections = [clients.connect(server.port) for _ in range(10)]
        for connection in connections:
            self.addCleanup(connection.close)
        self.ask(connections)
        return connections

    def ask(self, connections, times=1):
        for _ in range(times):
            for connection in connections:
                connection.sendall(REQUEST)
                clients.read_response(connection)

    def test_connections_that_live_through_a_restart_of_the_probe_are_counted_from_then_on(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        clients.curl(server.url("/missing"))  # rows in another order before and after
        connections = self.kept_connections(server)
        self.reload_with(agent, HTTP_ON + "series = 100\n")
        agent.wait_until_healthy()
        before = server.log_counts()
        clients.curl(server.url("/empty"), times=2)
        self.ask(connections, 5)
        self.assert_counts_equal_log(agent, server, since=before)

    def test_connections_that_live_through_a_pause_of_the_probe_are_counted_from_then_on(self):
        server = self.start_server(Nginx)
        agent = self.start_agent()
        connections = self.kept_connections(server)
        self.reload_with(agent, "[plugins.http]\nenabled = false\n")
        self.ask(connections, 3)
        connections += self.kept_connections(server)
        self.ask(connections, 10)
        before = server.log_counts()
        self.reload_with(agent, HTTP_ON)
        agent.wait_until_healthy()
        self.ask(connections, 5)
        self.assert_counts_equal_log(agent, server, since=before)


class RestartTest(EndToEndCase):
    def test_agents_restarted_under_load_invent_nothing_and_then_count_exactly(self):
        server = self.start_server(Nginx)
        load = clients.start_constant_load(server.url(), rate=15_000, connections=50, seconds=8)
        self.addCleanup(load.wait)
        for stop in ("stop", "kill", "stop"):
            logged_before = sum(server.log_counts().values())
            agent = self.start_agent()
            time.sleep(0.3)
            counted = sum(compare.rows(agent.metrics(), "server", service_name=server.service_name).answered.values())
            self.assertGreater(counted, 0)
            self.assertLessEqual(counted, sum(server.log_counts().values()) - logged_before + 50)
            getattr(agent, stop)()
        agent = self.start_agent()
        self.assertIsNone(load.poll(), "the load has ended before the agents' restarts did")
        load.wait()
        time.sleep(compare.SETTLE_SECONDS)
        during = self.rows_of_both_sides(agent, server)
        clients.h2load(server.url(), 5000, 100)

        def problem():
            now = self.rows_of_both_sides(agent, server)
            return "\n".join(f"{side}: {now[side] - during[side]}, {now[side].failed}" for side in now
                             if (now[side] - during[side]).answered != {("GET", "200"): 5000} or now[side].failed)
        compare.wait_until_equal(problem)


if __name__ == "__main__":
    unittest.main()
