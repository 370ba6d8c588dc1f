# SPDX-License-Identifier: Apache-2.0
"""Probe files that must not or cannot be loaded: each is named with what is wrong and how to mend it, and the http
probe beside it goes on counting."""

import os
import pathlib
import shutil
import tempfile
import unittest

from support import clients, places
from support.bad_start import BAD_CONFIG, RefusalCases
from support.case import EndToEndCase
from support.kernel_objects import bpf_objects, remaining_after_wait
from support.servers import Nginx


class BadPluginTest(RefusalCases, EndToEndCase):
    def setUp(self):
        super().setUp()
        # below the build directory: /tmp may be written by everyone, which alone would be a reason to refuse a probe
        self.plugins = pathlib.Path(tempfile.mkdtemp(dir=places.cache_dir(), prefix="plugins-"))
        self.addCleanup(shutil.rmtree, self.plugins)
        self.plugins.chmod(0o755)

    def copy_of(self, probe, name=None):
        path = self.plugins / (name or f"{pathlib.Path(probe).name}")
        shutil.copy(probe, path)
        path.chmod(0o644)
        return path

    def http_copy(self, name="http.so"):
        return self.copy_of(places.plugin_dir() / "http.so", name)

    def assert_only_it_fails(self, name, path, *patterns, state="failed"):
        """The probe `name` at `path` is in `state`, the log says why, /healthz is not 200, and http counts."""
        server = self.start_server(Nginx)
        agent = self.launch_agent(config="[plugins.http]\nenabled = true\n"
                                         f'[plugins.{name}]\nenabled = true\npath = "{path}"\n')
        agent.wait_until_health_is(503)
        self.assert_says(agent.log(), rf"\b{name}\b", *patterns)
        metrics = agent.metrics()
        self.assertEqual(metrics.total("limpet_plugin_state", plugin=name, state=state), 1, agent.log())
        self.assertEqual(metrics.total("limpet_plugin_state", plugin="http", state="active"), 1, agent.log())
        self.assert_says(agent.get("/healthz")[2], name)
        self.assert_says(agent.get("/")[2], name, state)
        clients.h2load(server.url(), 200, 10)
        self.assert_counts_equal_log(agent, server)
        return agent

    def test_missing_file(self):
        path = self.plugins / "other.so"
        self.assert_only_it_fails("other", path, str(path), "no such file")

    def test_text_file(self):
        path = self.plugins / "other.so"
        path.write_text("I am not a probe, but long enough to be read as an ELF header would be.\n" * 3)
        self.assert_only_it_fails("other", path, str(path), "not an ELF|text")

    def test_empty_file(self):
        path = self.plugins / "other.so"
        path.write_bytes(b"")
        self.assert_only_it_fails("other", path, str(path), "empty|not an ELF")

    def test_shared_object_that_is_no_probe(self):
        library = next(pathlib.Path("/usr/lib").glob("*-linux-gnu/libz.so.1.*"))
        path = self.copy_of(library, "other.so")
        self.assert_only_it_fails("other", path, str(path), "not a limpet probe")

    def test_world_writable_file(self):
        path = self.copy_of(places.test_plugin("exec_declarative"))
        path.chmod(0o666)
        self.assert_only_it_fails("exec_declarative", path, str(path), "writable|write", f"chmod .*{path.name}")

    def test_file_in_a_world_writable_directory(self):
        directory = self.plugins / "open"
        directory.mkdir()
        path = directory / "exec_declarative.so"
        shutil.copy(places.test_plugin("exec_declarative"), path)
        directory.chmod(0o777)
        self.assert_only_it_fails("exec_declarative", path, str(directory), "writable|write", "chmod")

    def test_file_of_another_user(self):
        path = self.copy_of(places.test_plugin("exec_declarative"))
        os.chown(path, 65534, 65534)
        self.assert_only_it_fails("exec_declarative", path, str(path), "own", "chown")

    def test_symlink(self):
        target = self.copy_of(places.test_plugin("exec_declarative"), "target.so")
        path = self.plugins / "exec_declarative.so"
        path.symlink_to(target)
        self.assert_only_it_fails("exec_declarative", path, str(path), "symbolic link|symlink")

    def test_fifo(self):
        path = self.plugins / "other.so"
        os.mkfifo(path)
        self.assert_only_it_fails("other", path, str(path), "regular file")

    def test_directory(self):
        path = self.plugins / "other.so"
        path.mkdir()
        self.assert_only_it_fails("other", path, str(path), "regular file")

    def test_truncated_elf(self):
        whole = (places.plugin_dir() / "http.so").read_bytes()
        for share in (0.05, 0.5, 0.99):
            with self.subTest(share=share):
                path = self.plugins / "other.so"
                path.write_bytes(whole[:int(len(whole) * share)])
                self.assert_only_it_fails("other", path, str(path), "cut short|truncated")

    def test_other_abi_major_in_the_manifest(self):
        path = self.copy_of(places.test_plugin("next_major"))
        self.assert_only_it_fails("next_major", path, str(path), r"ABI", r"\b2\b", r"\b1\b")

    def test_other_abi_major_only_in_the_descriptor(self):
        path = self.copy_of(places.test_plugin("lying_major"))
        self.assert_only_it_fails("lying_major", path, str(path), r"ABI", r"\b2\b")

    def test_newer_abi_minor(self):
        path = self.copy_of(places.test_plugin("newer_minor"))
        self.assert_only_it_fails("newer_minor", path, str(path), "newer (agent|limpet)")

    def test_undefined_symbol(self):
        path = self.copy_of(places.test_plugin("undefined"))
        self.assert_only_it_fails("undefined", path, str(path), "undefined symbol", r"\w+_\w+")

    def test_probe_that_throws_in_create(self):
        path = self.copy_of(places.test_plugin("throws"))
        self.assert_only_it_fails("throws", path, "this probe never comes to life")

    def test_bpf_object_that_the_verifier_rejects(self):
        path = self.copy_of(places.test_plugin("rejected"))
        before = bpf_objects()
        agent = self.assert_only_it_fails("rejected", path, "verifier|invalid|R\\d")
        own = {key: name for key, name in bpf_objects().items() if key not in before}
        agent.stop()
        self.assertEqual(remaining_after_wait(own), {})

    def test_maps_larger_than_the_manifest_says(self):
        path = self.copy_of(places.test_plugin("over_budget"))
        before = bpf_objects()
        agent = self.assert_only_it_fails("over_budget", path, str(path), r"\b65536\b", r"limits\.map_bytes",
                                          "exec_rows", "Build the probe with")
        own = {name for key, name in bpf_objects().items() if key not in before}
        self.assertEqual([name for name in own if name.startswith("exec")], [])
        agent.stop()

    def test_manifest_of_another_name(self):
        path = self.http_copy("other.so")
        self.assert_only_it_fails("other", path, str(path), "http")

    def test_wrong_checksum(self):
        path = self.copy_of(places.test_plugin("exec_declarative"))
        server = self.start_server(Nginx)
        agent = self.launch_agent(config="[plugins.http]\nenabled = true\n[plugins.exec_declarative]\nenabled = true\n"
                                         f'path = "{path}"\nsha256 = "{"0" * 64}"\n')
        agent.wait_until_health_is(503)
        self.assert_says(agent.log(), str(path), "sha256", "sha256sum")
        clients.curl(server.url(), times=5)
        self.assert_counts_equal_log(agent, server)

    def test_unknown_key_of_the_probes_own_config(self):
        self.assert_refuses(BAD_CONFIG, r"limpet-\d+\.toml:6:1", "plugins.http.dureation_bounds",
                            config="[plugins.http]\nenabled = true\ndureation_bounds = [1]\n")

    def test_failed_probe_whose_state_is_accepted_leaves_healthz_at_200(self):
        self.start_agent(config="[plugins.http]\nenabled = true\n[plugins.other]\nenabled = true\n"
                                f'path = "{self.plugins}/other.so"\naccept = ["failed"]\n')

    def test_bad_probe_that_is_switched_off_is_not_touched(self):
        path = self.plugins / "other.so"
        os.mkfifo(path)
        agent = self.start_agent(config="[plugins.http]\nenabled = true\n"
                                        f'[plugins.other]\nenabled = false\npath = "{path}"\n')
        self.assertNotIn("error", agent.log().lower())


class GoodThirdPartyPluginTest(EndToEndCase):
    def test_probes_built_by_others_run_beside_http(self):
        for name in ("exec_declarative", "exec_events", "plain_c"):
            with self.subTest(name):
                agent = self.start_agent(config="[plugins.http]\nenabled = true\n"
                                         f'[plugins.{name}]\nenabled = true\npath = "{places.test_plugin(name)}"\n')
                for probe in ("http", name):
                    state = agent.metrics().total("limpet_plugin_state", plugin=probe, state="active")
                    self.assertEqual(state, 1, agent.log())
                agent.stop()


if __name__ == "__main__":
    unittest.main()
