# SPDX-License-Identifier: Apache-2.0
"""Real containers: a dockerd and a Podman of the tests' own, in a network namespace of their own.

Their bridges, published ports and iptables rules are gone with that namespace; images, sockets and state lie in the test's
directory. The image is the Go server alone, which logs into that directory. Nothing is pulled.
"""

import collections
import io
import itertools
import os
import pathlib
import signal
import subprocess
import tarfile
import time

from . import cgroups, go_build, places
from .netns import NetworkNamespace
from .ports import is_listening

IMAGE = "limpet-e2e"
LIMITS = ["nofile=1024:1024", "nproc=1024:1024"]
SECONDS = 30
_numbers = itertools.count()


def _image():
    """The bytes of a tar with the server as its only file."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as tar:
        tar.add(go_build.go_program("e2e-go-server"), arcname="server")
    return content.getvalue()


class Container:
    """A running server. `port` is where it listens, in the container's network; `log_counts()` is what it answered."""

    def __init__(self, runtime, name, port, log_path, id_, published):
        self.runtime, self.name, self.port, self.log_path, self.id = runtime, name, port, log_path, id_
        self.published = published

    def url(self, path="/"):
        """Over the loopback of the runtime's namespace with host network, else at the container's own address."""
        return f"http://{self.address()}:{self.port}{path}"

    def address(self):
        if not self.published:
            return "127.0.0.1"
        return self.runtime.run("inspect", "-f", "{{.NetworkSettings.IPAddress}}", self.name).strip()

    def log_counts(self):
        lines = self.log_path.read_text().splitlines() if self.log_path.exists() else []
        return collections.Counter(tuple(line.split()[:2]) for line in lines)

    def wait_until_it_listens(self):
        deadline = time.monotonic() + SECONDS
        pid = int(self.runtime.run("inspect", "-f", "{{.State.Pid}}", self.name))
        while not is_listening(self.port, pid):
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name} does not listen: {self.runtime.run('logs', self.name)}")
            time.sleep(0.02)

    def remove(self):
        self.runtime.run("rm", *self.runtime.at_once, self.id)


class Runtime:
    """What Docker and Podman have in common: their command lines. `wrapper` runs a command in the namespace of both."""

    cgroup_parent = ""
    limits = ()
    at_once = ("-f",)  # to `rm`: without waiting for the container to end by itself

    def __init__(self, directory):
        self.directory = pathlib.Path(directory)
        self.namespace = NetworkNamespace()
        self.process = None
        hierarchies = cgroups.mount_points("cgroup") + cgroups.mount_points("cgroup2")
        parents = [root / self.cgroup_parent for root in hierarchies]
        self._new_parents = [parent for parent in parents if not parent.exists()]

    @property
    def wrapper(self):
        return self.namespace.wrapper

    def command(self):
        raise NotImplementedError

    def run(self, *arguments, stdin=None):
        command = [str(part) for part in [*self.command(), *arguments]]
        done = subprocess.run(command, input=stdin, stdin=None if stdin else subprocess.DEVNULL, capture_output=True,
                              timeout=SECONDS)
        if done.returncode:
            raise AssertionError(f"this host cannot do what containers need: {' '.join(command)}:\n"
                                 f"{done.stderr.decode()}{self.output()[-2000:]}")
        return done.stdout.decode()

    def import_image(self):
        self.run("import", "-", IMAGE, stdin=_image())

    def start_container(self, name, port=8080, labels=(), published=None, log_path=None):
        """With host network, or on the bridge with `published` as its port outside."""
        log_path = log_path or self.directory / f"container-{next(_numbers)}.log"
        network = ["-p", f"{published}:{port}"] if published else ["--network", "host"]
        label_arguments = [part for label in labels for part in ("--label", label)]
        id_ = self.run("run", "-d", "--name", name, *self.limits, *network, *label_arguments,
                       "-v", f"{self.directory}:{self.directory}", IMAGE,
                       "/server", "-log", log_path, "-listen", f":{port}").strip()
        container = Container(self, name, port, log_path, id_, published)
        container.wait_until_it_listens()
        return container

    def output(self):
        return ""

    def remove_traces(self):
        """What a runtime leaves behind: mounts, and the cgroup that its containers' were in."""
        for mounted in sorted(_mounts_below(self.directory), key=len, reverse=True):
            subprocess.run([places.tool("umount"), mounted], check=True, timeout=SECONDS)
        for parent in self._new_parents:
            if parent.exists():
                _remove_cgroups(parent)
        self.namespace.close()

    def signal_daemon(self, number):
        """To the daemon, which may be stopped (SIGSTOP) for a while."""
        self.process.send_signal(number)

    def stop_process(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(SECONDS)


def _wait_for_socket(path, process, output):
    deadline = time.monotonic() + SECONDS
    while not path.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"this host cannot run {' '.join(map(str, process.args))}:\n{output()[-3000:]}")
        time.sleep(0.05)


class Docker(Runtime):
    """A dockerd with its own socket and data."""

    cgroup_parent = "docker"

    def __init__(self, directory):
        super().__init__(directory)
        self.socket = self.directory / "docker.sock"
        self.log_path = self.directory / "dockerd.log"

    def command(self):
        return [places.tool("docker"), "--host", f"unix://{self.socket}"]

    def start(self):
        limits = [part for limit in LIMITS for part in ("--default-ulimit", limit)]
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*self.wrapper, places.tool("dockerd"), "--host", f"unix://{self.socket}", *limits,
                 "--data-root", self.directory / "docker", "--exec-root", self.directory / "docker-run",
                 "--pidfile", self.directory / "docker.pid"], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _wait_for_socket(self.socket, self.process, self.output)
        self.run("version")
        self.import_image()
        return self

    def output(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self):
        if self.process and self.process.poll() is None:
            for container in self.run("ps", "-aq").split():
                self.run("rm", *self.at_once, container)
        self.stop_process()
        self.remove_traces()


class Podman(Runtime):
    """Podman with storage of its own; serve() starts its API."""

    cgroup_parent = "libpod_parent"
    limits = [part for limit in LIMITS for part in ("--ulimit", limit)]
    at_once = ("-f", "-t", "0")

    def __init__(self, directory):
        super().__init__(directory)
        self.socket = self.directory / "podman.sock"
        self.storage = self.directory / "podman"
        self.log_path = self.directory / "podman.log"

    def command(self):
        return [*self.wrapper, places.tool("podman"), "--root", self.storage, "--runroot", self.directory / "podman-run",
                "--tmpdir", self.directory / "podman-tmp", "--runtime", places.tool("runc"), "--log-level", "error"]

    def start(self):
        self.import_image()
        return self

    def serve(self):
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(part) for part in [*self.command(), "system", "service", "--time", "0", f"unix://{self.socket}"]],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        _wait_for_socket(self.socket, self.process, self.output)

    def output(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def stop(self):
        self.stop_process()
        self.run("rm", "--all", *self.at_once)
        self.remove_traces()


def _mounts_below(directory):
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        point = line.split()[1]
        if point.startswith(f"{directory}{os.sep}"):
            yield point


def _remove_cgroups(directory):
    for child in directory.iterdir():
        if child.is_dir():
            _remove_cgroups(child)
    directory.rmdir()
