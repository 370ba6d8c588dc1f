# SPDX-License-Identifier: Apache-2.0
"""Hosts that lack something which limpet can do without: it says so and goes on."""

import pathlib
import subprocess
import unittest

from support import clients, places
from support.case import EndToEndCase
from support.servers import Nginx

SOURCE = pathlib.Path(__file__).resolve().parent / "support" / "refuse_programs.c"


class RefusedProgramsTest(EndToEndCase):
    def agent_without(self, *programs):
        library = pathlib.Path(self.directory, "refuse_programs.so")
        subprocess.run([places.tool("cc"), "-shared", "-fPIC", "-Wall", "-Werror", "-o", library, SOURCE, "-ldl"],
                       check=True, timeout=60)
        return self.start_agent(wrapper=["/usr/bin/env", f"LD_PRELOAD={library}",
                                         f"REFUSED_PROGRAMS={','.join(programs)}"])

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


if __name__ == "__main__":
    unittest.main()
