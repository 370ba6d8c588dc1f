# SPDX-License-Identifier: Apache-2.0
"""Families of the http probe that can be switched off: they vanish, with their memory, and requests are counted as before."""

import unittest

from support import clients, compare
from support.case import EndToEndCase
from support.servers import GoServer

CONFIG = "[plugins.http]\nenabled = true\n"
SWITCHES = {"body_sizes": "body_size_bytes", "time_to_first_byte": "time_to_first_byte_seconds",
            "active_requests": "active_requests"}


class FamiliesTest(EndToEndCase):
    def loaded_with(self, *lines):
        """(samples by switch, kernel memory) of an agent so configured, once it has counted 20 requests at both ends."""
        server = self.start_server(GoServer)
        agent = self.start_agent(config=CONFIG + "\n".join(lines) + "\n")
        self.assertEqual(clients.go_client(server.url("/"), 20).answered, 20)
        self.assert_counts_equal_log(agent, server)
        scrape = agent.metrics()
        names = {sample.name for sample in scrape.samples if sample.name.startswith("http_")}
        agent.stop()
        return ({switch: {name for name in names if part in name} for switch, part in SWITCHES.items()},
                scrape.total("limpet_kernel_memory_bytes", plugin="http"))

    def test_what_is_off_is_not_there_and_takes_no_room(self):
        all_on, most = self.loaded_with(*(f"{switch} = true" for switch in SWITCHES))
        for switch, names in all_on.items():
            self.assertTrue(names, switch)
        all_off, least = self.loaded_with(*(f"{switch} = false" for switch in SWITCHES), 'routes = "off"')
        self.assertEqual(all_off, {switch: set() for switch in SWITCHES})
        self.assertGreater(most - least, 900_000)  # with two shards a table; more have more
        for switch in SWITCHES:
            one_off, _ = self.loaded_with(*(f"{other} = {str(other != switch).lower()}" for other in SWITCHES))
            self.assertEqual(one_off, {**all_on, switch: set()})


if __name__ == "__main__":
    unittest.main()
