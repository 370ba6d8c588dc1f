# SPDX-License-Identifier: Apache-2.0
"""Hosts that lack something which limpet can do without: it says so and goes on."""

import pathlib
import subprocess
import unittest

from support import clients, places
from support.case import EndToEndCase
from support.servers import Nginx

SOURCE = pathlib.Path(__file__).resolve().parent / "support" / "refuse_programs.c"


class RefusingCase(EndToEndCase):
    def start_refused_agent(self, variable, **arguments):
        """An agent to which the kernel refuses what this environment variable says (refuse_programs.c)."""
        library = pathlib.Path(self.directory, "refuse_programs.so")
        subprocess.run([places.tool("cc"), "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"],
                       check=True, timeout=60)
        return self.start_agent(wrapper=["/usr/bin/env", f"LD_PRELOAD={library}", variable], **arguments)


class RefusedProgramsTest(RefusingCase):
    def agent_without(self, *programs):
        return self.start_refused_agent(f"REFUSED_PROGRAMS={','.join(programs)}")

    def check_without(self, *programs):
        agent = self.agent_without(*programs)
        for program in programs:
            lines = [line for line in agent.log().splitlines() if " warning " in line and program in line]
            self.assertEqual(len(lines), 1, agent.log())
            self.assertIn("Operation not permitted", lines[0])
            self.assertIn("older", lines[0])
        server = self.start_server(Nginx)
        clients.h2load(server.url(), 500, 10)
        self.assert_counts_equal_log(agent, server)

    def test_no_iterator_over_the_sockets_of_a_namespace(self):
        self.check_without("on_tcp_socket")

    def test_no_iterator_over_files(self):
        self.check_without("on_task_file", "on_mptcp_file")

    def test_no_iterator_at_all(self):
        self.check_without("on_task_file", "on_mptcp_file", "on_tcp_socket")


class RefusedReturnTest(RefusingCase):
    """A program that has rested (LIMPET_RESTS_AT) and cannot be attached again."""

    CONFIG = '[plugins.http]\nenabled = true\n[plugins.cpu]\nenabled = true\n'

    def test_is_a_state_of_its_probe_until_it_can(self):
        refusing = pathlib.Path(self.directory, "refusing")
        agent = self.start_refused_agent(f"REFUSE_TRACING_WHILE={refusing}",
                                         config=f'[limits]\nkernel_cpu = "1%"\n{self.CONFIG}')
        server = self.start_server(Nginx)
        clients.wrk(server.url(), connections=10, seconds=4)  # too few for a sample
        self.assertGreaterEqual(agent.metrics().total("limpet_shed_level"), 5, agent.log())
        refusing.touch()
        agent.wait_until_health_is(503)
        self.assertEqual(agent.metrics().total("limpet_plugin_state", plugin="cpu", state="degraded"), 1)
        self.assertIn("cannot attach on_switch", agent.get("/healthz")[2])
        clients.h2load(server.url(), 300, 10)
        refusing.unlink()
        agent.wait_until_healthy(5)
        self.assertIn("its programs are all attached again", agent.log())
        self.assertEqual(agent.log().count("cannot attach on_switch"), 1)
        self.assert_counts_equal_log(agent, server, cut_off=10)


if __name__ == "__main__":
    unittest.main()
