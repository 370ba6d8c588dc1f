# SPDX-License-Identifier: Apache-2.0
"""Hosts that limpet cannot work on: it says what is missing, why that matters and how to mend it, and ends at once."""

import pathlib
import time
import unittest

from support import cgroups, places
from support.bad_start import CANNOT_RUN_HERE, RUNTIME_FAILURE, RefusalCases
from support.case import EndToEndCase
from support.exclusive_program import ExclusiveProgram
from support.kernel_objects import UNSEEN_SECONDS, bpf_objects, remaining_after_wait


def in_mount_namespace(*commands):
    """A wrapper: a mount namespace of its own in which these shell commands have run."""
    return [places.tool("unshare"), "--mount", "--propagation", "private", "/bin/sh", "-c",
            " && ".join([*commands, 'exec "$@"']), "sh"]


def unmounts_of_cgroup2():
    return [f"umount --lazy {root}" for root in reversed(cgroups.mount_points("cgroup2"))]


class BadHostTest(RefusalCases, EndToEndCase):
    def setUp(self):
        super().setUp()
        self.objects_before = bpf_objects()

    def assert_refuses_here(self, *patterns, exit_code=CANNOT_RUN_HERE, **arguments):
        agent = self.assert_refuses(exit_code, *patterns, **arguments)
        time.sleep(UNSEEN_SECONDS)
        own = {key: name for key, name in bpf_objects().items() if key not in self.objects_before}
        self.assertEqual(remaining_after_wait(own), {})
        return agent

    def test_not_root(self):
        # "everyone may pass" is not given for a checkout below a home directory, so nobody gets a copy
        copy = pathlib.Path(self.directory, "limpet")
        copy.write_bytes(places.agent_binary().read_bytes())
        copy.chmod(0o755)
        wrapper = [places.tool("setpriv"), "--reuid=65534", "--regid=65534", "--clear-groups", "--bounding-set=-all",
                   "/bin/sh", "-c", f'shift; exec {copy} "$@"', "sh"]
        self.assert_refuses_here("root", "sudo|CAP_", wrapper=wrapper,
                                 agent_keys=f'plugin_dir = "{places.plugin_dir()}"')

    def test_no_cgroup2(self):
        self.assert_refuses_here("cgroup2", "mount", wrapper=in_mount_namespace(*unmounts_of_cgroup2()))

    def test_no_btf(self):
        hide = "mount -t tmpfs none /sys/kernel/btf"
        self.assert_refuses_here("BTF", "/sys/kernel/btf/vmlinux", wrapper=in_mount_namespace(hide))

    def test_private_cgroup_namespace_with_the_hosts_mount(self):
        group = cgroups.CgroupOfOwn()
        self.addCleanup(group.close)
        self.assert_refuses_here("cgroup namespace", "--cgroupns|hostCgroup|host", wrapper=[
            *group.wrapper, places.tool("unshare"), "--cgroup"])

    def test_private_cgroup_namespace_with_a_mount_of_its_own(self):
        group = cgroups.CgroupOfOwn()
        self.addCleanup(group.close)
        root = cgroups.cgroup2_root()
        self.assert_refuses_here("cgroup namespace", "--cgroupns|host", wrapper=[
            *group.wrapper, places.tool("unshare"), "--cgroup",
            *in_mount_namespace(*unmounts_of_cgroup2(), f"mount -t cgroup2 none {root}")])

    def test_private_pid_namespace(self):
        self.assert_refuses_here("pid namespace", "--pid=?.?host|hostPID|host", wrapper=[
            places.tool("unshare"), "--pid", "--fork", "--kill-child", "--mount-proc"])

    def test_exclusive_cgroup_program_of_someone_else(self):
        exclusive = ExclusiveProgram()
        self.addCleanup(exclusive.detach)
        self.objects_before = bpf_objects()
        self.assert_refuses_here(str(cgroups.cgroup2_root()), "exclusive|another program|other program", "bpftool",
                                 exit_code=RUNTIME_FAILURE)

    def test_configured_cgroup_root_that_is_none(self):
        directory = pathlib.Path(self.directory, "not-a-cgroup")
        directory.mkdir()
        self.assert_refuses_here(str(directory), "cgroup2", agent_keys=f'cgroup_root = "{directory}"')

    def test_configured_cgroup_root_that_is_not_the_root(self):
        group = cgroups.CgroupOfOwn()
        self.addCleanup(group.close)
        self.assert_refuses_here(str(group.directories[0]), "root",
                                 agent_keys=f'cgroup_root = "{group.directories[0]}"')


if __name__ == "__main__":
    unittest.main()
