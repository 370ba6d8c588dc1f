# SPDX-License-Identifier: Apache-2.0
"""Starting an agent that must refuse to run: the exit code and what it says."""

import subprocess

from . import places

USAGE, BAD_CONFIG, CANNOT_RUN_HERE, RUNTIME_FAILURE = 2, 3, 4, 1


class RefusalCases:
    """Mixed into an EndToEndCase."""

    def assert_refuses(self, exit_code, *patterns, **arguments):
        """The agent ends with this code and its log matches every pattern (upper and lower case are alike)."""
        agent = self.launch_agent(**arguments)
        code = agent.wait(10)
        self.assertEqual(code, exit_code, agent.log())
        self.assert_says(agent.log(), *patterns)
        self.assertNotRegex(agent.log(), r"(?i)terminate called|core dumped|assertion|what\(\)")
        return agent

    def assert_says(self, text, *patterns):
        for pattern in patterns:
            self.assertRegex(text, "(?i)" + pattern)


def run_limpet(*arguments):
    """A command of limpet other than `run`: (exit code, stdout, stderr)."""
    done = subprocess.run([str(places.agent_binary()), *map(str, arguments)], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr
