# SPDX-License-Identifier: Apache-2.0
"""Protocols that are not HTTP/1 though their bytes begin like it, in one direction or both: nothing is counted."""

import dataclasses

from corpus_case import CorpusCase, case
from corpus_servers import CorpusNginx
from support import clients
from support.exchange import REQUEST, bytes_of, send_pieces


@dataclasses.dataclass(frozen=True)
class Dialogue:
    """What each side says in turn, the client first; or the server first when the client's first word is empty."""

    name: str
    turns: tuple  # of (client's bytes, server's bytes)


DIALOGUES = [
    Dialogue("RTSP", ((b"OPTIONS rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\n\r\n", b"RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n"),) * 3),
    Dialogue("SIP", ((b"INVITE sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n", b"SIP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),)),
    Dialogue("memcached", ((b"get key\r\n", b"VALUE key 0 5\r\nhello\r\nEND\r\n"), (b"delete key\r\n", b"DELETED\r\n")) * 3),
    Dialogue("Redis, inline", ((b"GET key\r\n", b"$5\r\nhello\r\n"),) * 5),
    Dialogue("Redis", ((b"*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n", b"$5\r\nhello\r\n"),) * 5),
    Dialogue("SMTP", ((b"", b"220 mail ESMTP\r\n"), (b"EHLO a\r\n", b"250 mail\r\n"), (b"QUIT\r\n", b"221 bye\r\n"))),
    Dialogue("SSH", ((b"", b"SSH-2.0-OpenSSH_9.2\r\n"), (b"SSH-2.0-OpenSSH_9.2\r\n", b"\0\0\0\x0c\n\x14"))),
    Dialogue("HTTP/0.9", ((b"GET /\r\n", b"<html></html>"),)),
    Dialogue("Gopher", ((b"/menu\r\n", b"1Menu\t/\thost\t70\r\n.\r\n"),)),
    Dialogue("Icecast: HTTP asked, ICY answered", ((REQUEST, b"ICY 200 OK\r\nicy-name: a\r\n\r\n\xff\xfb"),)),
    Dialogue("HTTP asked of a mail server", ((REQUEST, b"500 unrecognized command\r\n"),)),
    Dialogue("only the answer is HTTP's", ((b"hello\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),)),
    Dialogue("a version that does not exist", ((b"GET / HTTP/3.7\r\n\r\n", b"HTTP/3.7 200 OK\r\n\r\n"),)),
    Dialogue("BitTorrent", ((b"\x13BitTorrent protocol" + b"\0" * 48, b"\x13BitTorrent protocol" + b"\0" * 48),)),
    Dialogue("PostgreSQL", ((b"\0\0\0\x08\x04\xd2\x16\x2f", b"N"), (b"\0\0\0\x10\0\x03\0\0user\0a\0\0", b"R\0\0\0\x08\0\0\0\0"))),
]


def serve(dialogue):
    def script(connection, _reader):
        for asked, answered in dialogue.turns:
            clients.read_exactly(connection, len(asked))
            send_pieces(connection, (answered,))
    return script


class ForeignTest(CorpusCase):
    def speak(self, dialogue):
        server = self.start_scripted_server(serve(dialogue))
        with clients.connect(server.port) as connection:
            for asked, answered in dialogue.turns:
                send_pieces(connection, (asked,) if asked else ())
                self.assertEqual(len(clients.read_exactly(connection, bytes_of((answered,)))), len(answered))
        return server.port

    @case("foreign", "raw socket: RTSP, SIP, memcached, Redis, SMTP, SSH, HTTP/0.9, Gopher, ICY, BitTorrent, PostgreSQL",
          "scripted, answers in the same protocol", "nothing is HTTP")
    def test_dialogues_in_other_protocols_are_not_counted(self):
        agent = self.start_agent()
        for dialogue in DIALOGUES:
            with self.subTest(dialogue.name):
                self.assert_scripted_counts(agent, self.speak(dialogue), {})

    @case("foreign", "h2load, while the dialogues go on beside it", "nginx", "access log")
    def test_they_disturb_no_http_beside_them(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_agent()
        for dialogue in DIALOGUES:
            self.speak(dialogue)
            clients.h2load(server.url(), 50, 5)
        self.assert_log_counts(server, {("GET", "200"): 50 * len(DIALOGUES)})
        self.assert_counts_equal_log(agent, server)
