# SPDX-License-Identifier: Apache-2.0
"""A request whose connection ends before its whole answer counts once, with error_type and the code if one was seen."""

import dataclasses
import time
import unittest

from support import clients, compare
from support.case import EndToEndCase
from support.exchange import ANSWER, PAUSE_SECONDS, REQUEST, send_pieces
from support.scripted_server import reset
from support.servers import GoServer

HALF_BODY = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" + b"x" * 500
HALF_HEAD = b"HTTP/1.1 503 Service Unavailable\r\nContent-Le"
HALF_STATUS_LINE = b"HTTP/1.1 2"
HALF_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
LARGE = b"HTTP/1.1 200 OK\r\nContent-Length: 20000000\r\n\r\n"


def close(connection):
    connection.close()


@dataclasses.dataclass(frozen=True)
class ServerAbort:
    """The server reads `requests`, writes `pieces`, and ends the connection by `end`."""

    description: str
    pieces: tuple
    end: object
    failed: dict
    answered: dict = dataclasses.field(default_factory=dict)
    requests: int = 1


SERVER_ABORTS = [
    ServerAbort("closed without a byte", (), close, {("GET", "", "truncated"): 1}),
    ServerAbort("reset without a byte", (), reset, {("GET", "", "reset"): 1}),
    ServerAbort("closed inside the status line", (HALF_STATUS_LINE,), close, {("GET", "", "truncated"): 1}),
    ServerAbort("closed inside the head", (HALF_HEAD,), close, {("GET", "503", "truncated"): 1}),
    ServerAbort("reset inside the head", (HALF_HEAD,), reset, {("GET", "503", "reset"): 1}),
    ServerAbort("closed inside the body", (HALF_BODY,), close, {("GET", "200", "truncated"): 1}),
    ServerAbort("reset inside the body", (HALF_BODY,), reset, {("GET", "200", "reset"): 1}),
    ServerAbort("closed before the last chunk", (HALF_CHUNKED,), close, {("GET", "200", "truncated"): 1}),
    ServerAbort("closed after one of two pipelined answers", (ANSWER,), close, {("GET", "", "truncated"): 1},
                {("GET", "200"): 1}, requests=2),
    ServerAbort("reset after a whole answer", (ANSWER,), reset, {}, {("GET", "200"): 1}),
    ServerAbort("closed after a whole answer", (ANSWER,), close, {}, {("GET", "200"): 1}),
]


def read_to_the_end(connection):
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass


class ServerAbortsTest(EndToEndCase):
    def test_each_way_for_a_server_to_break_off_counts_once(self):
        agent = self.start_agent()
        for abort in SERVER_ABORTS:
            with self.subTest(abort.description):
                self.check(agent, abort)

    def check(self, agent, abort):
        def script(connection, reader):
            for _ in range(abort.requests):
                reader.head()
            send_pieces(connection, abort.pieces)
            time.sleep(PAUSE_SECONDS * 5)  # the client has acknowledged, so that a reset loses nothing
            abort.end(connection)

        server = self.start_scripted_server(script)
        before = self.scripted_rows(agent, server.port)
        with clients.connect(server.port) as connection:
            connection.sendall(REQUEST * abort.requests)
            read_to_the_end(connection)
        self.assert_scripted_counts(agent, server.port, abort.answered, abort.failed, before)

    def test_go_server_that_resets_in_the_middle_of_the_body(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        result = clients.go_client(server.url("/?abort=1&size=4000"), 20, 4)
        self.assertEqual(result.failed, 20)
        self.assert_counts_equal_log(agent, server, failed={("GET", "200", "reset"): 20},
                                     since={("GET", "aborted"): 20})


class ClientAbortsTest(EndToEndCase):
    def test_client_that_resets_before_the_answer(self):
        agent = self.start_agent()
        server = self.start_scripted_server(lambda connection, reader: reader.head() and reader.head())
        for _ in range(10):
            connection = clients.connect(server.port)
            connection.sendall(REQUEST)
            time.sleep(PAUSE_SECONDS)
            reset(connection)
        self.assert_scripted_counts(agent, server.port, {}, {("GET", "", "reset"): 10})

    def test_client_that_resets_in_the_middle_of_a_large_body(self):
        def script(connection, reader):
            reader.head()
            connection.sendall(LARGE + b"x" * 20_000_000)

        agent = self.start_agent()
        server = self.start_scripted_server(script)
        for _ in range(5):
            connection = clients.connect(server.port)
            connection.sendall(REQUEST)
            clients.read_exactly(connection, 100_000)
            reset(connection)
        self.assert_scripted_counts(agent, server.port, {}, {("GET", "200", "reset"): 5})

    def test_client_that_resets_after_the_whole_answer(self):
        def script(connection, reader):
            while reader.head():
                connection.sendall(ANSWER)

        agent = self.start_agent()
        server = self.start_scripted_server(script)
        for _ in range(10):
            connection = clients.connect(server.port)
            for _ in range(3):
                connection.sendall(REQUEST)
                clients.read_exactly(connection, len(ANSWER))
            reset(connection)
        self.assert_scripted_counts(agent, server.port, {("GET", "200"): 30})

    def test_curl_that_gives_up_while_the_server_sleeps_counts_once_on_each_side(self):
        server = self.start_server(GoServer)
        agent = self.start_agent()
        for _ in range(5):
            with self.assertRaisesRegex(AssertionError, "ended with 28"):
                clients.curl(server.url("/?sleep=400ms"), "--max-time", "0.1")
        time.sleep(0.5)
        self.assert_log_counts(server, {("GET", "200"): 5})

        def problem():
            return "\n".join(f"{side}: {rows}" for side, rows in self.rows_of_both_sides(agent, server).items()
                             if sum(rows.answered.values()) + sum(rows.failed.values()) != 5)
        compare.wait_until_equal(problem)

    def test_client_that_half_closes_still_gets_a_counted_answer(self):
        def script(connection, reader):
            reader.head()
            time.sleep(PAUSE_SECONDS * 5)
            connection.sendall(ANSWER)

        agent = self.start_agent()
        server = self.start_scripted_server(script)
        for _ in range(10):
            with clients.connect(server.port) as connection:
                connection.sendall(REQUEST)
                connection.shutdown(1)
                self.assertEqual(clients.read_exactly(connection, len(ANSWER)), ANSWER)
                read_to_the_end(connection)
        self.assert_scripted_counts(agent, server.port, {("GET", "200"): 10})

    def test_idle_connections_that_are_closed_add_nothing(self):
        agent = self.start_agent()
        server = self.start_scripted_server(lambda connection, reader: reader.head())
        for end in (close, reset) * 10:
            end(clients.connect(server.port))
        self.assert_scripted_counts(agent, server.port, {})


if __name__ == "__main__":
    unittest.main()
