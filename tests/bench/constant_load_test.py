#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""bench/constant_load against a server that stalls on purpose: everyone who would have come meanwhile has waited."""

import asyncio
import json
import os
import pathlib
import subprocess
import threading
import time
import unittest

LOAD = pathlib.Path(os.environ["LIMPET_BUILD_DIR"]) / "bench" / "constant_load"
RATE, CONNECTIONS, SECONDS = 200, 4, 2
STALL_BEGINS, STALL_SECONDS = 0.7, 0.5


class Server(asyncio.Protocol):
    """Answers at once. One thread: while it sleeps, nobody is answered."""

    answers = 0
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        for _ in range(data.count(b"\r\n\r\n")):
            Server.answers += 1
            self.transport.write(self.answer)


class BadServer(Server):
    """Answers 503, except to the first two requests of a connection; then it closes."""

    def connection_made(self, transport):
        self.transport, self.left = transport, 4

    def data_received(self, data):
        self.left -= 1
        self.transport.write(self.answer if self.left > 1 else self.answer.replace(b"200 OK", b"503 No"))
        if not self.left:
            self.transport.close()


def serve(protocol, begun):
    async def run():
        server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
        begun.append((asyncio.get_running_loop(), server.sockets[0].getsockname()[1]))
        await server.serve_forever()
    try:
        asyncio.run(run())
    except asyncio.CancelledError:
        pass


class ConstantLoadTest(unittest.TestCase):
    def start(self, protocol):
        begun = []
        thread = threading.Thread(target=serve, args=(protocol, begun))
        thread.start()
        self.addCleanup(thread.join)
        while not begun:
            time.sleep(0.01)
        loop, port = begun[0]
        self.addCleanup(loop.call_soon_threadsafe, lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        return loop, port

    def load(self, port, seconds=SECONDS):
        done = subprocess.run([LOAD, "--rate", str(RATE), "--connections", str(CONNECTIONS), "--seconds", str(seconds),
                               f"http://127.0.0.1:{port}/"], capture_output=True, text=True, timeout=30, check=True)
        return json.loads(done.stdout)

    def test_a_stall_is_seen_by_all_who_would_have_come_meanwhile(self):
        loop, port = self.start(Server)
        loop.call_soon_threadsafe(loop.call_later, STALL_BEGINS, time.sleep, STALL_SECONDS)
        begin = time.monotonic()
        report = self.load(port)
        self.assertAlmostEqual(time.monotonic() - begin, SECONDS, delta=0.5)
        self.assertEqual((report["answered"], report["unanswered"]), (RATE * SECONDS, 0))
        self.assertEqual(Server.answers, RATE * SECONDS)
        # A quarter of the requests is due during the stall, and the one that is due at time t of it waits for what is left.
        # A generator that only times what it has sent would see 4 of 400: nothing at the 90th percentile.
        for share in ("0.9", "0.99", "1"):
            expected = STALL_SECONDS - (1 - float(share)) * SECONDS
            self.assertAlmostEqual(report["latency_us"][share] / 1e6, expected, delta=0.08, msg=share)
        self.assertLess(report["latency_us"]["0.5"], 50_000)

    def test_what_is_refused_or_not_answered_is_told(self):
        _, port = self.start(BadServer)
        report = self.load(port, seconds=0.5)
        self.assertEqual((report["answered"], report["refused"]), (2 * CONNECTIONS, 2 * CONNECTIONS))
        self.assertEqual(report["unanswered"], RATE / 2 - 4 * CONNECTIONS)


if __name__ == "__main__":
    unittest.main()
