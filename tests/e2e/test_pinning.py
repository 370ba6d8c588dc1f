# SPDX-License-Identifier: Apache-2.0
"""agent.cpus, held against the scheduler: a second agent with a probe of its own sees where each thread of the first runs."""

import os
import unittest

from support import clients, places
from support.case import EndToEndCase
from support.servers import Nginx


class PinningTest(EndToEndCase):
    def setUp(self):
        super().setUp()
        probe = places.test_plugin("switches")
        self.witness = self.start_agent(config=f'[plugins.switches]\nenabled = true\npath = "{probe}"\n')
        self.server = self.start_server(Nginx)

    def runs(self, agent):
        """{(thread, CPU): times that it was put there} of all threads that the agent has had."""
        return {(int(sample.label("thread")), int(sample.label("cpu"))): sample.value
                for sample in self.witness.metrics().select("switches_total", process=str(agent.process.pid))}

    def check_that_it_stays_on(self, agent, cpus):
        """The main thread reads its config wherever it was started; no other thread has ever been elsewhere, and from then
        on it has not either."""
        at_start = self.runs(agent)
        clients.h2load(self.server.url(), 5000, 20)
        for _ in range(20):
            agent.metrics(), agent.get("/"), agent.get("/healthz")
        agent.reload()
        agent.wait_until_healthy()
        at_end = self.runs(agent)
        threads = {thread for thread, _ in at_end}
        self.assertGreater(len(threads), 1, at_end)  # the server has one of its own
        self.assertEqual(threads, {*threads, *(int(task) for task in os.listdir(f"/proc/{agent.process.pid}/task"))})
        elsewhere = {place: times for place, times in at_end.items() if place[1] not in cpus}
        self.assertEqual({thread for thread, _ in elsewhere} - {agent.process.pid}, set(), elsewhere)
        self.assertEqual(elsewhere, {place: times for place, times in at_start.items() if place[1] not in cpus})
        self.assertGreater(sum(at_end.values()) - sum(at_start.values()), 40)

    def test_no_thread_ever_runs_on_another_cpu_than_those_of_the_list(self):
        for cpu in sorted(os.sched_getaffinity(0))[:2]:
            with self.subTest(cpu=cpu):
                agent = self.start_agent(agent_keys=f"cpus = [{cpu}]")
                self.check_that_it_stays_on(agent, {cpu})
                agent.stop()

    def test_auto_takes_one_cpu_that_is_not_isolated_and_says_which(self):
        agent = self.start_agent()
        cpus = os.sched_getaffinity(agent.process.pid)
        self.assertEqual(len(cpus), 1)
        self.assertRegex(agent.log(), f"runs on CPU {min(cpus)}: the least busy one that is not isolated")
        self.check_that_it_stays_on(agent, cpus)


if __name__ == "__main__":
    unittest.main()
