# SPDX-License-Identifier: Apache-2.0
"""Bytes of bodies, at both ends: as many as nginx logs, as curl counts, or as a script has sent."""

import collections
import email.utils
import subprocess

from corpus_case import CorpusCase, Seen, case, seen
from corpus_servers import CorpusNginx, UpgradeServer
from support import clients, compare, places
from support.exchange import Exchange, make_exchanges, serve_exchanges
from support.scripted_server import own_service_names
from support.servers import GoServer

CONFIG = "[plugins.http]\nenabled = true\n"
CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PARTS = ("request_body_size_bytes_count", "request_body_size_bytes_sum", "response_body_size_bytes_count",
         "response_body_size_bytes_sum")


def post(size):
    return b"POST / HTTP/1.1\r\nHost: e2e\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


def answer(size):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size


def sizes(scrape, side, service_names):
    """(method, status) → (requests, their bytes, answers, their bytes), as limpet says."""
    result = collections.defaultdict(lambda: [0] * len(PARTS))
    for place, part in enumerate(PARTS):
        for sample in scrape.select(f"http_{side}_{part}", service_name=set(service_names)):
            key = sample.label("http_request_method"), sample.label("http_response_status_code")
            result[key][place] += int(sample.value)
    return {key: tuple(numbers) for key, numbers in result.items() if any(numbers)}


def logged(server):
    """The same, as nginx says."""
    result = collections.defaultdict(lambda: (0, 0, 0, 0))
    for line in server.log_path.read_text().splitlines():
        method, status, _, sent, got = line.split()
        row = result[method, status]
        result[method, status] = (row[0] + 1, row[1] + int(sent.replace("-", "0")), row[2] + 1, row[3] + int(got))
    return dict(result)


class SizesTest(CorpusCase):
    def start_counting(self):
        return self.start_agent(config=CONFIG + "body_sizes = true\n")

    def assert_sizes(self, agent, server_names, client_names, truth):
        """`truth()`: as sizes()."""
        def said():
            scrape = agent.metrics()
            return {"server": sizes(scrape, "server", server_names), "client": sizes(scrape, "client", client_names)}

        def problem():
            expected = truth()
            return "\n".join(f"{side}: {found}\ntruth: {expected}" for side, found in said().items() if found != expected)
        try:
            compare.wait_until_equal(problem)
        finally:
            bytes_of = ({key: row[1] + row[3] for key, row in rows.items()} for rows in (truth(), *said().values()))
            seen[self.id()].append(Seen(*bytes_of))

    def ask(self, counts, url, *options, times=1):
        """Adds to `counts` what curl says that it has sent and got."""
        wanted = "%{method} %{http_code} %{size_upload} %{size_download}"
        for _ in range(times):
            said = subprocess.run([places.tool("curl"), "-sS", "-o", "/dev/null", "-w", wanted, "--max-time", "20",
                                   "--noproxy", "*", *options, url], capture_output=True, text=True, timeout=30, check=True)
            method, status, sent, got = said.stdout.split()
            row = counts.setdefault((method, status), (0, 0, 0, 0))
            counts[method, status] = (row[0] + 1, row[1] + int(sent), row[2] + 1, row[3] + int(got))

    @case("sizes", "curl: downloads, HEAD, 304, a range, uploads; h2load", "nginx", "access log: `$content_length`, `$body_bytes_sent`")
    def test_lengths_to_nginx(self):
        server = self.start_server(CorpusNginx)
        agent = self.start_counting()
        url = server.url("/", address="127.0.0.1")
        changed = email.utils.formatdate((server.directory / "corpus-www" / "page").stat().st_mtime, usegmt=True)
        for path, *options in (("page",), ("",), ("page", "-I"), ("page", "-r", "0-99"), ("none",),
                               ("page", "-H", f"If-Modified-Since: {changed}"),
                               ("", "-d", "x" * 10), ("", "-d", ""), ("", "-d", "x" * 5000)):
            clients.curl(url + path, *options, times=3)
        clients.h2load([url, url + "page"], 3000, 10)
        self.assert_log_counts(server, 27 + 3000)
        self.assert_sizes(agent, {server.service_name}, {"curl", "h2load"}, lambda: logged(server))

    @case("sizes", "curl", "Node: 500 chunks of one byte; trailers", "client's summary")
    def test_chunks_from_node(self):
        server = self.start_server(UpgradeServer, address="127.0.0.1")
        agent = self.start_counting()
        counts = {}
        self.ask(counts, server.url("/bytes?n=500"), times=3)
        self.ask(counts, server.url("/trailers"), times=3)
        self.assert_sizes(agent, {server.service_name}, {"curl"}, lambda: counts)

    @case("sizes", "curl, some uploads chunked", "Go net/http: chunks of 5,000 bytes; 20 MB", "client's summary")
    def test_chunks_and_long_bodies_of_go(self):
        server = self.start_server(GoServer, address="127.0.0.1")
        agent = self.start_counting()
        counts = {}
        self.ask(counts, server.url("/?size=5000&chunks=7&pause=2ms"), times=3)
        self.ask(counts, server.url("/?size=20000000"), times=2)
        clients.curl(server.url("/"), "-H", "Transfer-Encoding: chunked", "-d", "x" * 7000, times=3)
        counts["POST", "200"] = (3, 21_000, 3, 3 * 1024)  # curl counts sizes of chunks that it sends
        self.assert_sizes(agent, {server.service_name}, {"curl"}, lambda: counts)

    def exchange(self, exchanges, truth):
        server = self.start_scripted_server(serve_exchanges(exchanges))
        agent = self.start_counting()
        before = agent.metrics()
        make_exchanges(server.port, exchanges)
        self.assertFalse(sizes(before, "server", own_service_names()))
        self.assert_sizes(agent, own_service_names(), own_service_names(), lambda: truth)

    @case("sizes", "raw socket: eight uploads pipelined", "scripted", "the script")
    def test_pipelined_uploads(self):
        requests, answers = b"".join(post(size) for size in range(8)), b"".join(answer(10 * size) for size in range(8))
        self.exchange([Exchange("in one write", request=(requests,), answer=(answers,))] * 5,
                      {("POST", "200"): (40, 5 * 28, 40, 5 * 280)})

    @case("sizes", "raw socket: 1 MB", "scripted: reads it, then answers", "the script")
    def test_a_long_upload(self):
        self.exchange([Exchange("long", request=(post(1_000_000),))] * 3, {("POST", "200"): (3, 3_000_000, 3, 15)})

    @case("sizes", "raw socket", "scripted: closes at the body's end", "the script")
    def test_a_body_until_close(self):
        self.exchange([Exchange("until close", answer=(b"HTTP/1.0 200 OK\r\n\r\n", b"x" * 700, b"y" * 30), closes=True)],
                      {("GET", "200"): (1, 0, 1, 730)})

    @case("sizes", "raw socket", "scripted: closes in the middle of the body, and of a chunk", "the script")
    def test_answers_that_break_off_have_the_bytes_that_came(self):
        for broken in (answer(1000)[:-300], CHUNKED_HEAD + b"3e8\r\n" + b"x" * 700):
            with self.subTest(broken[:60]):
                self.exchange([Exchange("broken off", answer=(broken,), closes=True)], {("GET", "200"): (1, 0, 1, 700)})
                self.agents.pop().stop()
