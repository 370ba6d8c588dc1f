# SPDX-License-Identifier: Apache-2.0
"""Node's http module: counts equal its log."""

import unittest

from support.case import EndToEndCase
from support.exactness import ExactnessCases
from support.servers import NodeServer


class NodeTest(ExactnessCases, EndToEndCase):
    server_class = NodeServer
    h2load_requests = 10_000


if __name__ == "__main__":
    unittest.main()
