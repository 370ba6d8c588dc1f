# SPDX-License-Identifier: Apache-2.0
"""One request and its answer, written down byte for byte, and how they are cut into writes.

Tables of these are the tests of message framing; each row says in words what it is about.
"""

import dataclasses
import time

from . import clients

PAUSE_SECONDS = 0.003  # between two pieces, so that each is a segment of its own
REQUEST = b"GET / HTTP/1.1\r\nHost: e2e\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@dataclasses.dataclass(frozen=True)
class Exchange:
    """`request` and `answer` are tuples of writes. `counted` is the (method, status) that it counts as, once.

    `closes`: the server ends the connection behind the answer.
    """

    description: str
    request: tuple = (REQUEST,)
    answer: tuple = (ANSWER,)
    counted: tuple = ("GET", "200")
    closes: bool = False


def send_pieces(connection, pieces):
    for number, piece in enumerate(pieces):
        if number:
            time.sleep(PAUSE_SECONDS)
        connection.sendall(piece)


def bytes_of(pieces):
    return sum(len(piece) for piece in pieces)


def every_byte(message):
    """The message cut into single bytes."""
    return tuple(message[index:index + 1] for index in range(len(message)))


def cut(message, *places):
    """The message cut before each of these places."""
    bounds = [0, *places, len(message)]
    return tuple(message[start:end] for start, end in zip(bounds, bounds[1:]))


def serve_exchanges(exchanges):
    """A script for ScriptedServer: answers the exchanges in turn, each when its whole request has come."""
    def script(connection, _reader):
        for exchange in exchanges:
            clients.read_exactly(connection, bytes_of(exchange.request))
            send_pieces(connection, exchange.answer)
            if exchange.closes:
                return
    return script


def make_exchanges(port, exchanges, address="127.0.0.1"):
    """The client's half: all exchanges over one connection, each read to its last byte before the next begins."""
    with clients.connect(port, address) as connection:
        for exchange in exchanges:
            send_pieces(connection, exchange.request)
            clients.read_exactly(connection, bytes_of(exchange.answer))
            if exchange.closes and connection.recv(1):
                raise AssertionError(f"{exchange.description}: bytes behind the answer's end")
