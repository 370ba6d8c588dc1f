# SPDX-License-Identifier: Apache-2.0
"""An agent that hangs costs nothing: its programs rest when the lease is over, and nothing is made up when it goes on."""

import collections
import re
import signal
import subprocess
import sys
import time
import unittest

from support import clients, compare, places
from support.case import EndToEndCase
from support.exchange import REQUEST
from support.servers import Nginx

LEASE_SECONDS = 2
CONFIG = f'[limits]\nlease = "{LEASE_SECONDS}s"\n[plugins.http]\nenabled = true\n[plugins.cpu]\nenabled = true\n'


def costs_in_empty_programs(agent, url):
    """What a run of the tap and of on_switch costs, as multiples of an empty program's on the same hook in the same run."""
    def measured(pattern, *options):
        output = subprocess.run(
            [places.build_dir() / "bench/kernel_cost", "--agent", str(agent.process.pid), *options, "--",
             places.tool("h2load"), "--h1", "-n", "20000", "-c", "20", url], check=True, capture_output=True, text=True)
        return {name: float(number) for name, number in re.findall(pattern, output.stdout, re.M)}

    packets = measured(r"^(\w+) +\d+ +([\d.]+)$")
    switches = measured(r"^on_(switch)_to_empty_ratio ([\d.]+)$", "--tracepoint", "sched_switch")
    return {"tap": packets["tap"] * 2 / (packets["empty_ingress"] + packets["empty_egress"]), **switches}


class HungAgentTest(EndToEndCase):
    def hang(self, agent, seconds):
        agent.process.send_signal(signal.SIGSTOP)
        self.addCleanup(agent.process.send_signal, signal.SIGCONT)
        time.sleep(seconds)

    def wake(self, agent):
        agent.process.send_signal(signal.SIGCONT)
        deadline = time.monotonic() + 5
        while "its BPF programs have rested" not in agent.log():
            self.assertLess(time.monotonic(), deadline, agent.log())
            time.sleep(0.05)
        time.sleep(1.2)  # sockets are adopted behind the line

    def test_the_programs_of_a_hung_agent_cost_what_empty_programs_cost(self):
        server = self.start_server(Nginx)
        agent = self.start_agent(config=CONFIG)
        awake = costs_in_empty_programs(agent, server.url())
        self.hang(agent, LEASE_SECONDS + 1.5)
        costs = [costs_in_empty_programs(agent, server.url()) for _ in range(3)]
        resting = {name: min(cost[name] for cost in costs) for name in awake}
        print(f"\nin empty programs: awake {awake}, resting {resting}", file=sys.stderr)
        self.assertGreater(awake["tap"], 2.5)
        self.assertLess(resting["tap"], 1.5, costs)
        self.assertLess(resting["switch"], 2, costs)  # of a few ns

    def test_requests_that_nobody_saw_are_not_made_up_and_later_ones_are_exact(self):
        server = self.start_server(Nginx)
        agent = self.start_agent(config=CONFIG)
        connections = [clients.connect(server.port) for _ in range(20)]
        self.addCleanup(lambda: [connection.close() for connection in connections])
        self.ask(connections, 10)
        half_asked = connections[:5]
        for connection in half_asked:  # under way when the programs begin to rest
            connection.sendall(REQUEST[:20])
        self.assert_counts_equal_log(agent, server)
        self.hang(agent, LEASE_SECONDS + 1.5)
        for connection in half_asked:
            connection.sendall(REQUEST[20:])
            clients.read_response(connection)
        self.ask(connections, 10)
        fresh = [clients.connect(server.port) for _ in range(5)]
        self.addCleanup(lambda: [connection.close() for connection in fresh])
        self.ask(fresh, 3)
        self.wake(agent)
        unseen = server.log_counts()
        paused = agent.metrics().total("limpet_unseen_total", reason="paused")
        self.assertGreaterEqual(paused, 20)
        self.ask(connections + fresh, 10)
        clients.h2load(server.url(), 2000, 20)

        def problem():
            seen = server.log_counts()
            seen.subtract(unseen)
            seen.update({("GET", "200"): 200})  # before
            rows = self.rows_of_both_sides(agent, server)
            return "\n".join(filter(None, (compare.differences(side, counted, +seen, collections.Counter())
                                           for side, counted in rows.items())))
        compare.wait_until_equal(problem)

    def test_what_was_under_way_and_breaks_off_afterwards_is_no_error(self):
        server = self.start_server(Nginx)
        agent = self.start_agent(config=CONFIG)
        connections = [clients.connect(server.port) for _ in range(5)]
        for connection in connections:
            connection.sendall(REQUEST[:20])
        self.hang(agent, LEASE_SECONDS + 1.5)
        self.wake(agent)
        for connection in connections:
            connection.close()
        clients.h2load(server.url(), 100, 5)
        compare.wait_until_equal(lambda: "" if all(
            sum(rows.answered.values()) == 100 for rows in self.rows_of_both_sides(agent, server).values()) else "not yet")
        for side, rows in self.rows_of_both_sides(agent, server).items():
            self.assertFalse(rows.failed, side)

    def test_a_hang_shorter_than_the_lease_loses_nothing(self):
        server = self.start_server(Nginx)
        agent = self.start_agent(config='[limits]\nlease = "10s"\n[plugins.http]\nenabled = true\n')
        self.hang(agent, 2)
        clients.h2load(server.url(), 2000, 20)
        agent.process.send_signal(signal.SIGCONT)
        self.assert_counts_equal_log(agent, server)
        self.assertNotIn("rested", agent.log())

    def ask(self, connections, times):
        for _ in range(times):
            for connection in connections:
                connection.sendall(REQUEST)
                clients.read_response(connection)


class RestingCpuTest(EndToEndCase):
    def test_no_wait_or_delay_is_made_up_of_the_time_that_nobody_watched(self):
        agent = self.start_agent(config=CONFIG)
        time.sleep(1.5)
        self.assertTrue(agent.metrics().select("container_cpu_run_queue_delay_seconds_bucket"))
        agent.process.send_signal(signal.SIGSTOP)
        self.addCleanup(agent.process.send_signal, signal.SIGCONT)
        burners = [subprocess.Popen([places.tool("taskset"), "-c", "0", places.tool("sh"), "-c",
                                     "while :; do :; done"]) for _ in range(3)]
        time.sleep(LEASE_SECONDS + 1.5)
        before = time.monotonic()
        agent.process.send_signal(signal.SIGCONT)
        time.sleep(1.5)
        for burner in burners:
            burner.kill()
            burner.wait(5)
        watched = time.monotonic() - before
        metrics = agent.metrics()
        # three threads on one CPU for seconds: a delay made of all that was missed would be longer than any real one
        within, delays = (metrics.total("container_cpu_run_queue_delay_seconds_bucket", le=bound) for bound in ("1", "+Inf"))
        self.assertGreater(delays, 0)
        self.assertEqual(delays, within, f"delays of more than a second, watched for {watched:.1f} s")


if __name__ == "__main__":
    unittest.main()
