# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the config and on the command line: refused at once, each named with its file, line and fix."""

import pathlib
import socket
import subprocess
import unittest

from support import places
from support.bad_start import BAD_CONFIG, RUNTIME_FAILURE, USAGE, RefusalCases, run_limpet
from support.case import EndToEndCase
from support.ports import free_port

HTTP_ON = "[plugins.http]\nenabled = true\n"


class BadConfigTest(RefusalCases, EndToEndCase):
    def place(self, line, column=r"\d+"):
        return rf"limpet-\d+\.toml:{line}:{column}"

    def test_unknown_key_of_the_agent(self):
        self.assert_refuses(BAD_CONFIG, self.place(3), "agent.log_levl", "log_level", agent_keys='log_levl = "info"')

    def test_unknown_table(self):
        self.assert_refuses(BAD_CONFIG, self.place(r"\d+"), "plugin\\b", "did you mean.*plugins",
                            config="[plugin.http]\nenabled = true\n")

    def test_unknown_key_of_a_probe(self):
        self.assert_refuses(BAD_CONFIG, self.place(6), "plugins.http.enabld", "did you mean.*enabled",
                            config=HTTP_ON + "enabld = true\n")

    def test_wrong_type(self):
        self.assert_refuses(BAD_CONFIG, self.place(5), "plugins.http.enabled", "boolean|true or false", "string",
                            config='[plugins.http]\nenabled = "yes"\n')

    def test_value_out_of_range(self):
        self.assert_refuses(BAD_CONFIG, self.place(3), "agent.nice", "19", agent_keys="nice = 50")

    def test_value_that_is_none_of_the_allowed(self):
        self.assert_refuses(BAD_CONFIG, self.place(3), "agent.log_level", "loud", "debug",
                            agent_keys='log_level = "loud"')

    def test_listen_without_a_port(self):
        self.assert_refuses(BAD_CONFIG, self.place(2), "agent.listen", "9465", listen="127.0.0.1")

    def test_text_that_is_not_toml(self):
        self.assert_refuses(BAD_CONFIG, self.place(r"\d+"), config="[plugins.http\nenabled = true\n")

    def test_all_mistakes_are_reported_at_once(self):
        self.assert_refuses(BAD_CONFIG, "agent.nicee", "plugins.http.enabld", "plugins.http.enabled",
                            agent_keys="nicee = 1", config='[plugins.http]\nenabled = 1\nenabld = true\n')

    def test_mistake_in_a_fragment_names_the_fragment(self):
        fragments = pathlib.Path(self.directory, "conf.d")
        fragments.mkdir()
        (fragments / "10-mine.toml").write_text("[agent]\ncpuss = [0]\n")
        self.assert_refuses(BAD_CONFIG, r"10-mine\.toml:2:\d+", "agent.cpuss", "did you mean.*cpus")

    def test_config_file_that_does_not_exist(self):
        code, _, errors = run_limpet("run", "--config", f"{self.directory}/none.toml")
        self.assertEqual(code, BAD_CONFIG)
        self.assert_says(errors, r"none\.toml", "no such file")

    def test_config_that_is_a_directory(self):
        code, _, errors = run_limpet("run", "--config", self.directory)
        self.assertEqual(code, BAD_CONFIG)
        self.assert_says(errors, self.directory, "directory")

    def test_check_finds_the_same_mistakes_without_loading_anything(self):
        config = pathlib.Path(self.directory, "c.toml")
        config.write_text("[agent]\nnicee = 1\n")
        code, out, errors = run_limpet("check", "--config", config)
        self.assertEqual(code, BAD_CONFIG)
        self.assert_says(out + errors, r"c\.toml:2:1", "agent.nicee", "did you mean.*nice")

    def test_check_passes_a_good_config(self):
        config = pathlib.Path(self.directory, "c.toml")
        config.write_text(HTTP_ON)
        code, out, errors = run_limpet("check", "--config", config)
        self.assertEqual(code, 0, out + errors)

    def test_check_with_load_tries_the_kernel_and_leaves_nothing(self):
        config = pathlib.Path(self.directory, "c.toml")
        config.write_text(f'[agent]\nlisten = "127.0.0.1:{free_port()}"\n' + HTTP_ON)
        code, out, errors = run_limpet("check", "--load", "--config", config)
        self.assertEqual(code, 0, out + errors)

    def test_port_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.assert_refuses(RUNTIME_FAILURE, rf"127\.0\.0\.1:{port}", "in use", "listen", port=port)

    def test_address_that_is_not_of_this_host(self):
        self.assert_refuses(RUNTIME_FAILURE, r"203\.0\.113\.7:9465", "listen",
                            listen="203.0.113.7:9465")


class CommandLineTest(RefusalCases, EndToEndCase):
    def test_unknown_command(self):
        code, out, errors = run_limpet("rum")
        self.assertEqual(code, USAGE)
        self.assert_says(out + errors, "rum", "help")

    def test_unknown_option(self):
        code, out, errors = run_limpet("run", "--confg", "/etc/limpet.toml")
        self.assertEqual(code, USAGE)
        self.assert_says(out + errors, "unknown option.*--confg", "did you mean.*--config")
        code, out, errors = run_limpet("check", "--laod")
        self.assertEqual(code, USAGE)
        self.assert_says(out + errors, "unknown option.*--laod", "did you mean.*--load")
        code, out, errors = run_limpet("--version")
        self.assertEqual(code, USAGE)
        self.assert_says(out + errors, "did you mean 'version'")

    def test_output_that_cannot_be_written_is_no_success(self):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([places.agent_binary(), "version"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, RUNTIME_FAILURE)
        self.assert_says(done.stderr.decode(), "stdout")

    def test_no_command_explains(self):
        code, out, errors = run_limpet()
        self.assertEqual(code, USAGE)
        self.assert_says(out + errors, "run", "check", "plugin")

    def test_help_names_commands_and_exit_codes(self):
        code, out, _ = run_limpet("--help")
        self.assertEqual(code, 0)
        self.assert_says(out, "run", "check", "plugin", "version", "exit")

    def test_version(self):
        code, out, _ = run_limpet("version")
        self.assertEqual(code, 0)
        self.assert_says(out, r"limpet \d+\.\d+\.\d+")


if __name__ == "__main__":
    unittest.main()
