# SPDX-License-Identifier: Apache-2.0
"""A client whose every request is new: path, Host header and, in turns, method and status."""

import re

from . import clients

DEPTH = 8  # requests in one write
METHODS = ("GET", "GET", "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "BREW", "M-SEARCH")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.I)


def word(number):
    """A word of letters alone, another for every number: no router's or proxy's guess makes one of two."""
    letters = ""
    while True:
        number, letter = divmod(number, 26)
        letters += chr(ord("a") + letter)
        if number == 0:
            return letters


def _request(number):
    method = METHODS[number % len(METHODS)]
    path = ("/empty?q=" if number % 7 == 0 else "/") + word(number)
    head = f"{method} {path} HTTP/1.1\r\nHost: {word(number)}.example\r\nContent-Length: 0\r\n\r\n"
    return method, head.encode()


class _Answers:
    """Reads answers that have a length, or none because of what was asked or what they say."""

    def __init__(self, connection):
        self.connection = connection
        self.received = b""

    def _fill(self, size):
        while len(self.received) < size:
            piece = self.connection.recv(1 << 16)
            if not piece:
                raise AssertionError(f"the server closed the connection after {self.received[-200:]}")
            self.received += piece

    def read(self, method):
        while (end := self.received.find(b"\r\n\r\n")) < 0:
            self._fill(len(self.received) + 1)
        length = _LENGTH.search(self.received, 0, end)
        has_body = length is not None and method != "HEAD"
        size = end + 4 + (int(length[1]) if has_body else 0)
        self._fill(size)
        self.received = self.received[size:]


def flood(port, first, count):
    """So many requests, from number `first` on, one connection after the other; every one is answered."""
    for begin in range(first, first + count, 5000):
        with clients.connect(port) as connection:
            answers = _Answers(connection)
            numbers = range(begin, min(begin + 5000, first + count))
            for start in range(numbers.start, numbers.stop, DEPTH):
                requests = [_request(number) for number in range(start, min(start + DEPTH, numbers.stop))]
                connection.sendall(b"".join(head for _, head in requests))
                for method, _ in requests:
                    answers.read(method)
