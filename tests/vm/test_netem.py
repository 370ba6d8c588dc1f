# SPDX-License-Identifier: Apache-2.0
"""Links of netem that lose, duplicate and reorder packets: counts equal the servers' logs. Runs in the guest.

The tests of tests/e2e/test_packet_loss.py lose packets by iptables; netem, which duplicates and reorders as well, is a
module that not every kernel has.
"""

import sys
import unittest

sys.path.insert(0, sys.argv.pop(1))

from support import clients, places  # noqa: E402  (tests/e2e is the first argument)
from support.case import EndToEndCase  # noqa: E402
from support.netns import NetworkNamespace  # noqa: E402
from support.servers import GoServer, Nginx  # noqa: E402


class NetemTest(EndToEndCase):
    """Server and client at the two ends of a cable that does it both ways."""

    def setUp(self):
        super().setUp()
        self.server_end, self.client_end = NetworkNamespace(), NetworkNamespace()
        self.addCleanup(self.server_end.close)
        self.addCleanup(self.client_end.close)
        self.server_end.join(self.client_end, "10.213.7.1", "10.213.7.2")

    def spoil(self, *netem):
        self.netem = netem
        for end, device in ((self.server_end, "to-other"), (self.client_end, "to-first")):
            end.run(places.tool("tc"), "qdisc", "add", "dev", device, "root", "netem", *netem)

    def check(self, server_class, path, requests, keep_alive=True):
        server = self.start_server(server_class, wrapper=self.server_end.wrapper, address="10.213.7.1")
        agent = self.start_agent()
        result = clients.go_client(server.url(path), requests, 20, keep_alive=keep_alive,
                                   wrapper=self.client_end.wrapper)
        self.assertEqual((result.answered, result.failed), (requests, 0), result.output)
        self.assert_counts_equal_log(agent, server)

    def test_lost_packets(self):
        self.spoil("loss", "3%")
        self.check(Nginx, "/", 600)
        self.check(GoServer, "/?chunks=3&size=3000", 300)

    def test_duplicate_packets(self):
        self.spoil("duplicate", "30%")
        self.check(Nginx, "/", 600)
        self.check(GoServer, "/", 300, keep_alive=False)

    def test_reordered_packets(self):
        self.spoil("delay", "2ms", "reorder", "70%", "50%")
        self.check(Nginx, "/large", 200)
        self.check(GoServer, "/?chunks=3&size=3000", 300)

    def test_lost_duplicate_and_reordered_packets(self):
        self.spoil("delay", "1ms", "1ms", "loss", "2%", "duplicate", "5%", "reorder", "80%")
        self.check(Nginx, "/large", 100)
        self.check(GoServer, "/", 200, keep_alive=False)


if __name__ == "__main__":
    unittest.main(verbosity=2)
