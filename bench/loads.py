# SPDX-License-Identifier: Apache-2.0
"""Servers and what is asked of them: a constant rate of the Go server, as much as can be of nginx."""

import contextlib
import json
import pathlib
import re
import subprocess

from machine import BUILD, LOAD_CPU, SERVER_CPU, SOURCE, answers, free_port, output_of, running, wait_until

RATE, CONNECTIONS = 10_000, 100  # of the reference load
SERVER_NAME = "limpet-bench-go"  # its service_name

NGINX = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log {directory}/nginx.log;
events {{ worker_connections 1024; }}
http {{ access_log off; keepalive_requests 100000000;
  client_body_temp_path {directory}; proxy_temp_path {directory}; fastcgi_temp_path {directory};
  uwsgi_temp_path {directory}; scgi_temp_path {directory};
  server {{ listen 127.0.0.1:{port}; location / {{ return 200 "hello from the reference benchmark, 64 bytes of text to be sent.\\n"; }} }} }}
"""


class Server:
    def __init__(self, process, port):
        self.pid, self.port, self.url = process.pid, port, f"http://127.0.0.1:{port}/"


@contextlib.contextmanager
def go_server(directory):
    """Answers 1 KiB after 5 ms."""
    program, port = pathlib.Path(directory) / SERVER_NAME, free_port()
    if not program.exists():
        subprocess.run(["go", "build", "-o", program, "."], cwd=SOURCE / "server", check=True)
    with running(program, f"127.0.0.1:{port}", cpu=SERVER_CPU, environment={"GOMAXPROCS": "1"}) as process:
        wait_until(lambda: answers(port), "the Go server")
        yield Server(process, port)


@contextlib.contextmanager
def nginx(directory):
    """Answers at once, one worker."""
    port = free_port()
    config = pathlib.Path(directory) / f"nginx-{port}.conf"
    config.write_text(NGINX.format(directory=directory, port=port))
    with running("nginx", "-c", config, "-p", directory, cpu=SERVER_CPU) as process:
        wait_until(lambda: answers(port), "nginx")
        yield Server(process, port)


def constant(server, seconds, rate=RATE):
    return ["taskset", "-c", LOAD_CPU, BUILD / "bench/constant_load", "--rate", rate, "--connections", CONNECTIONS,
            "--seconds", seconds, server.url]


def saturating(server, seconds):
    return ["taskset", "-c", LOAD_CPU, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", server.url]


def constant_report(output):
    """What constant_load printed, among the output of others."""
    return json.loads(output[output.index("{"):output.index("}}") + 2])


def answered(output):
    """Requests that a load has had answered."""
    found = re.search(r"(\d+) requests in", output)
    return int(found[1]) if found else constant_report(output)["answered"]


def requests_per_second(output):
    return float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1])


def kernel_cost(agent, load):
    """Kernel time of the agent's programs under a load, and of the empty pair beside them; what the load printed."""
    output, _ = output_of(BUILD / "bench/kernel_cost", "--agent", agent.pid, "--requests", 1, "--", *load)
    figures = {name: float(value) for name, value in re.findall(r"^(\w+_(?:ratio|ns|side)) ([\d.]+)$", output, re.M)}
    return figures, output
