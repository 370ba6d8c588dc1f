# SPDX-License-Identifier: Apache-2.0
"""An HTTP/1.1 server that sends and accepts in unusual ways. Arguments: log file, port, mode.

    sendfile, splice, zerocopy   the body leaves by sendfile(2), by splice(2) through a pipe, by MSG_ZEROCOPY
    fork                         a child for each accepted connection
    reuseport                    four processes, each with a listener of its own on the same port
    mptcp                        a listener that speaks MPTCP
    dual                         one IPv6 listener, which IPv4 clients reach as ::ffff:a.b.c.d
Answers every request with 200 and 100 KiB; a line `method 200` goes to the log before the answer.
"""

import ctypes
import os
import signal
import socket
import sys
import threading

LOG = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o644)
PORT, MODE = int(sys.argv[2]), sys.argv[3]
BODY = b"0123456789abcdef" * 6400
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
IPPROTO_MPTCP = 262
SO_ZEROCOPY, MSG_ZEROCOPY = 60, 0x4000000


FILE = os.memfd_create("body")
os.write(FILE, BODY)


def send_by_sendfile(connection):
    sent = 0
    while sent < len(BODY):
        sent += os.sendfile(connection.fileno(), FILE, sent, len(BODY) - sent)


def send_by_splice(connection):
    reading, writing = os.pipe()
    offset = 0
    while offset < len(BODY):
        filled = os.splice(FILE, writing, min(65536, len(BODY) - offset), offset_src=offset)
        offset += filled
        while filled:
            filled -= os.splice(reading, connection.fileno(), filled)
    os.close(reading)
    os.close(writing)


def send_by_zerocopy(connection):
    connection.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
    sent = 0
    while sent < len(BODY):
        sent += connection.send(memoryview(BODY)[sent:], MSG_ZEROCOPY)


SENDERS = {"sendfile": send_by_sendfile, "splice": send_by_splice, "zerocopy": send_by_zerocopy}


def serve(connection):
    send = SENDERS.get(MODE, lambda connection: connection.sendall(BODY))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in received:
                piece = connection.recv(65536)
                if not piece:
                    return
                received += piece
            head, _, received = received.partition(b"\r\n\r\n")
            os.write(LOG, b"%s 200\n" % head.split()[0])
            connection.sendall(HEAD)
            send(connection)


def listener():
    family = socket.AF_INET6 if MODE == "dual" else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP if MODE == "mptcp" else 0)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if MODE == "dual":
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    if MODE == "reuseport":
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("::" if MODE == "dual" else "127.0.0.1", PORT))
    made.listen(1024)
    return made


def accept_with_children(listening):
    while True:
        connection, _ = listening.accept()
        if not os.fork():
            listening.close()
            serve(connection)
            os._exit(0)
        connection.close()


def accept_with_threads(listening):
    while True:
        connection, _ = listening.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for children
if MODE == "reuseport":
    PARENT = os.getpid()
    for _ in range(3):
        if not os.fork():
            ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
            if os.getppid() != PARENT:
                os._exit(0)
            break
(accept_with_children if MODE == "fork" else accept_with_threads)(listener())
