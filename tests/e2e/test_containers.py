# SPDX-License-Identifier: Apache-2.0
"""Containers are called by their names: real ones of Docker and Podman, on the host's network and on a bridge, with counts
held against their own logs. Needs what containers need: cgroups, overlay or vfs storage, bridges, iptables."""

import signal
import subprocess
import tempfile
import time
import unittest

from support import clients, compare, containers, go_build
from support.case import EndToEndCase
from support.ports import free_port

COUNT = "http_server_request_duration_seconds_count"
REFRESH_SECONDS = 1
HTTP = "[plugins.http]\nenabled = true\n"


class ContainerCase(EndToEndCase):
    """One runtime for all tests of a class."""

    runtime_class = None

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        directory = tempfile.TemporaryDirectory(prefix="limpet-e2e-", ignore_cleanup_errors=True)
        cls.addClassCleanup(directory.cleanup)
        cls.runtime = cls.runtime_class(directory.name)
        cls.addClassCleanup(cls.runtime.stop)
        cls.runtime.start()

    def start_named(self, name, **arguments):
        container = self.runtime.start_container(name, **arguments)
        self.addCleanup(container.remove)
        return container

    def start_naming_agent(self, rules="", **paths):
        paths = {"docker_socket": "", "podman_socket": "", "podman_storage": "", "kubernetes_logs": "", **paths}
        keys = "".join(f'{key} = "{value}"\n' for key, value in paths.items())
        names = f'[names]\n{keys}refresh = "{REFRESH_SECONDS}s"\n'
        return self.start_agent(config=names + rules + HTTP)

    def load(self, container, requests, connections=5):
        clients.h2load(container.url(), requests, connections, wrapper=self.runtime.wrapper)

    def counts(self, agent, **labels):
        return compare.rows(agent.metrics(), "server", **labels).answered

    def assert_counts(self, agent, expected, seconds=compare.SETTLE_SECONDS, **labels):
        """The series with these labels count this and nothing else, before long and from then on."""
        def problem():
            counted = self.counts(agent, **labels)
            return "" if counted == expected else f"{labels}: counted {counted}, should be {expected}"
        compare.wait_until_equal(problem, seconds)


class DockerTest(ContainerCase):
    runtime_class = containers.Docker

    def start_docker_agent(self, **arguments):
        return self.start_naming_agent(docker_socket=self.runtime.socket, **arguments)

    def test_host_network_bridge_and_compose_labels(self):
        plain = self.start_named("plain", port=free_port())
        on_bridge = self.start_named("on-bridge", published=free_port(),
                                     labels=["com.docker.compose.service=shop", "com.docker.compose.project=p"])
        agent = self.start_docker_agent()
        later = self.start_named("later", port=free_port(), labels=["org.opencontainers.image.title=Later Server"])
        for number, container in enumerate((plain, on_bridge, later), 1):
            self.load(container, 100 * number)
        for container, service in ((plain, "plain"), (on_bridge, "shop"), (later, "Later Server")):
            self.assert_counts(agent, container.log_counts(), container_id=f"/docker/{container.name}",
                               service_name=service)

    def test_a_published_port_reaches_the_container_through_dockers_own_process(self):
        published = free_port()
        container = self.start_named("published", published=published)
        agent = self.start_docker_agent()
        clients.curl(f"http://127.0.0.1:{published}/", wrapper=self.runtime.wrapper, times=20)
        self.assert_counts(agent, container.log_counts(), container_id="/docker/published")
        self.assertEqual(sum(container.log_counts().values()), 20)

    def test_a_renamed_container_goes_on_under_its_new_name_alone(self):
        container = self.start_named("before", port=free_port())
        agent = self.start_docker_agent()
        self.load(container, 300)
        self.assert_counts(agent, container.log_counts(), container_id="/docker/before")
        self.runtime.run("rename", "before", "after")
        self.assert_counts(agent, container.log_counts(), REFRESH_SECONDS + 1, container_id="/docker/after",
                           service_name="after")
        self.assertEqual(agent.metrics().select(COUNT, container_id="/docker/before"), [])
        self.load(container, 200)
        self.assert_counts(agent, container.log_counts(), container_id="/docker/after")

    def test_a_container_restarted_and_made_anew_under_load_goes_on_under_its_name(self):
        log_path, port = self.runtime.directory / "phoenix.log", free_port()
        container = self.start_named("phoenix", port=port, log_path=log_path)
        agent = self.start_docker_agent()
        with subprocess.Popen([*self.runtime.wrapper, go_build.go_program("e2e-go-client"), "-url", container.url(),
                               "-n", "1000000", "-c", "4"], stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL) as load:
            try:
                time.sleep(0.5)
                self.runtime.run("restart", "-t", "0", "phoenix")
                time.sleep(0.5)
                container.remove()
                self.start_named("phoenix", port=port, log_path=log_path)
                time.sleep(0.5)
            finally:
                load.terminate()
        logged = sum(container.log_counts().values())

        def problem():
            exposition = agent.metrics()
            series = {(sample.label("container_id"), sample.label("service_name"))
                      for sample in exposition.select(COUNT, service_name="phoenix")}
            counted = compare.rows(exposition, "server", container_id="/docker/phoenix")
            answered, failed = sum(counted.answered.values()), sum(counted.failed.values())
            # A server that is killed has answered and not logged, or the other way round: at most one of each connection.
            is_right = series == {("/docker/phoenix", "phoenix")} and abs(answered - logged) <= 12 and failed <= 12
            return "" if is_right else f"{series}, log {logged}, answered {answered}, with error_type {failed}"
        compare.wait_until_equal(problem)
        self.assertGreater(logged, 500)

    def test_a_rule_names_the_service_and_a_reload_another(self):
        container = self.start_named("ruled-1", port=free_port(), labels=["com.docker.compose.service=shop"])
        rule = '[[workloads]]\ncontainer_id = "/docker/ruled-*"\nexecutable = "server"\nservice_name = "%s"\n'
        agent = self.start_docker_agent(rules=rule % "by-rule")
        self.load(container, 100)
        self.assert_counts(agent, container.log_counts(), container_id="/docker/ruled-1", service_name="by-rule")
        agent.config_path.write_text(agent.config_path.read_text().replace("by-rule", "by-another"))
        agent.reload()
        self.assert_counts(agent, container.log_counts(), container_id="/docker/ruled-1", service_name="by-another")
        self.assertEqual(agent.metrics().select(COUNT, service_name="by-rule"), [])

    def test_a_docker_that_hangs_holds_up_neither_scrapes_nor_the_end(self):
        container = self.start_named("patient", port=free_port())
        self.runtime.signal_daemon(signal.SIGSTOP)
        try:
            agent = self.start_docker_agent()
            self.load(container, 100)
            self.assert_counts(agent, container.log_counts(), container_id=f"/docker/{container.id[:12]}")
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                begin = time.monotonic()
                agent.metrics()
                self.assertLess(time.monotonic() - begin, 0.5)
                time.sleep(0.1)
            self.assertEqual(agent.log().count("cannot ask docker for names"), 1, agent.log())
        finally:
            self.runtime.signal_daemon(signal.SIGCONT)
        self.assert_counts(agent, container.log_counts(), 10, container_id="/docker/patient")

    def test_without_a_socket_ids_stand_in_and_one_line_says_why(self):
        container = self.start_named("nameless", port=free_port())
        agent = self.start_naming_agent(docker_socket=self.runtime.directory / "nobody.sock")
        self.load(container, 100)
        short_id = container.id[:12]
        self.assert_counts(agent, container.log_counts(), container_id=f"/docker/{short_id}", service_name=short_id)
        time.sleep(2)
        self.assertEqual(agent.log().count("cannot ask docker for names"), 1, agent.log())
        self.assertIn("No such file or directory", agent.log())


class PodmanTest(ContainerCase):
    runtime_class = containers.Podman

    def test_names_come_from_its_storage_without_a_service_and_follow_a_rename(self):
        container = self.start_named("pod-before", port=free_port(), labels=["com.docker.compose.service=shop"])
        agent = self.start_naming_agent(podman_storage=self.runtime.storage, podman_socket=self.runtime.socket)
        self.load(container, 100)
        self.assert_counts(agent, container.log_counts(), container_id="/podman/pod-before", service_name="pod-before")
        self.runtime.run("rename", "pod-before", "pod-after")
        self.assert_counts(agent, container.log_counts(), REFRESH_SECONDS + 1, container_id="/podman/pod-after")
        self.assertEqual(agent.metrics().select(COUNT, container_id="/podman/pod-before"), [])
        self.assertNotIn("cannot ask podman", agent.log())

    def test_its_socket_adds_labels_and_is_enough_alone(self):
        self.runtime.serve()
        self.addCleanup(self.runtime.stop_process)
        container = self.start_named("labelled", published=free_port(), labels=["com.docker.compose.service=shop"])
        for paths in ({"podman_storage": self.runtime.storage, "podman_socket": self.runtime.socket},
                      {"podman_socket": self.runtime.socket}):
            before = container.log_counts()
            agent = self.start_naming_agent(**paths)
            self.load(container, 100)
            self.assert_counts(agent, container.log_counts() - before, container_id="/podman/labelled",
                               service_name="shop")
            agent.stop()


if __name__ == "__main__":
    unittest.main()
