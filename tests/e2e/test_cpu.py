# SPDX-License-Identifier: Apache-2.0
"""CPU time, waits and switches against /proc, rusage and cpu.stat.

Processes are frozen when figures are compared, so that both sides speak of the same moment.
"""

import os
import resource
import subprocess
import time
import unittest

from support import cgroups, compare, places
from support.case import EndToEndCase
from support.tasks import CpuUse, cpu_stat, cpu_use, freeze, thaw

CONFIG = "[plugins.cpu]\nenabled = true\n"
SPIN = "while :; do :; done"
SECONDS = 10
NAMED_SECONDS = 0.5  # a new workload has its labels by then


class CpuCase(EndToEndCase):
    def setUp(self):
        super().setUp()
        self.agent = None

    def program(self, name, source="dash"):
        """A copy of a program with a service_name of its own."""
        return str(places.private_executable(source, f"e2e-cpu-{name}"))

    def run_process(self, *command, wrapper=()):
        process = subprocess.Popen([*wrapper, *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def counted(self, service_name, **labels):
        """The agent's CpuUse of a workload."""
        exposition = self.agent.metrics()
        labels["service_name"] = service_name
        mode = lambda mode: exposition.total("container_cpu_time_seconds_total", cpu_mode=mode, **labels)
        switches = lambda kind: exposition.total("container_cpu_context_switches_total", switch_type=kind, **labels)
        return CpuUse(mode("user") + mode("system"),
                      exposition.histogram("container_cpu_run_queue_delay_seconds", **labels).sum,
                      mode("user"), mode("system"), switches("voluntary"), switches("involuntary"))

    def off_cpu(self, service_name):
        return {sample.label("reason"): sample.value for sample in
                self.agent.metrics().select("container_cpu_off_cpu_seconds_total", service_name=service_name)}

    def assert_close(self, counted, truth, share, least=0.0, what=""):
        """Within `share` of the truth, or `least` away from it."""
        self.assertLessEqual(abs(counted - truth), max(share * truth, least), f"{what}: counted {counted}, truth {truth}")

    def assert_same_use(self, counted, truth):
        self.assert_close(counted.run, truth.run, 0.02, 0.002, "CPU time")
        self.assert_close(counted.delay, truth.delay, 0.05, 0.002, "run-queue delay")
        self.assert_close(counted.user, truth.user, 0.02, 0.02 * truth.run + 0.02, "user time")
        self.assert_close(counted.system, truth.system, 0.02, 0.02 * truth.run + 0.02, "system time")
        self.assert_close(counted.voluntary, truth.voluntary, 0, 2, "voluntary switches")
        self.assert_close(counted.involuntary, truth.involuntary, 0, 2, "involuntary switches")

    def compare_over(self, seconds, processes, service_name):
        """Runs the processes for a time and compares what came of it on both sides. Returns both."""
        time.sleep(NAMED_SECONDS)
        freeze(processes)
        pids = [process.pid for process in processes]
        truth, counted = cpu_use(pids), self.counted(service_name)
        thaw(processes)
        time.sleep(seconds)
        freeze(processes)
        truth, counted = cpu_use(pids) - truth, self.counted(service_name) - counted
        self.assert_same_use(counted, truth)
        return counted, truth


class BusyProcessesTest(CpuCase):
    def test_three_busy_processes_on_one_cpu(self):
        self.agent = self.start_agent(config=CONFIG)
        busy = self.program("busy")
        processes = [self.run_process("taskset", "-c", "0", busy, "-c", SPIN) for _ in range(3)]
        time.sleep(NAMED_SECONDS)
        before = self.agent.metrics().histogram("container_cpu_run_queue_delay_seconds", service_name="e2e-cpu-busy")
        counted, truth = self.compare_over(SECONDS, processes, "e2e-cpu-busy")
        self.assertGreater(truth.delay, SECONDS)  # two of three wait at any time
        after = self.agent.metrics().histogram("container_cpu_run_queue_delay_seconds", service_name="e2e-cpu-busy")
        arrivals = after.count - before.count
        self.assertGreaterEqual(arrivals, truth.voluntary + truth.involuntary - 3)
        self.assertLess(arrivals, 1.2 * (truth.voluntary + truth.involuntary) + 10 * len(processes))

    def test_system_time_is_told_apart(self):
        self.agent = self.start_agent(config=CONFIG)
        copying = self.program("dd", "dd")
        processes = [self.run_process(copying, "if=/dev/zero", "of=/dev/null", "bs=64k", "status=none")]
        counted, truth = self.compare_over(SECONDS, processes, "e2e-cpu-dd")
        self.assertGreater(truth.system, truth.user)

    def test_processes_and_threads_that_are_older_than_the_agent(self):
        old = self.program("old", os.path.realpath("/usr/bin/python3"))
        code = "import threading, time\ndef spin():\n while True: pass\nthreading.Thread(target=spin).start()\nspin()"
        processes = [self.run_process(old, "-c", code)]
        time.sleep(1.5)
        freeze(processes)
        past = cpu_use([processes[0].pid])
        self.agent = self.start_agent(config=CONFIG)
        counted = self.counted("e2e-cpu-old")
        self.assertLess(counted.run, 0.1, f"a past of {past} is not the agent's to count")
        self.assertLess(counted.delay, 0.1)
        _, truth = self.compare_over(5, processes, "e2e-cpu-old")
        self.assertGreater(truth.run, 0.5)

    def test_a_sleeping_process_waits_while_it_still_sleeps(self):
        sleeping = self.program("sleep", "sleep")
        old = [self.run_process(sleeping, "1000") for _ in range(2)]
        self.agent = self.start_agent(config=CONFIG)
        new = self.run_process(self.program("sleep2", "sleep"), "1000")
        time.sleep(0.5)
        began, first = time.monotonic(), [self.off_cpu(name) for name in ("e2e-cpu-sleep", "e2e-cpu-sleep2")]
        time.sleep(3)
        passed, then = time.monotonic() - began, [self.off_cpu(name) for name in ("e2e-cpu-sleep", "e2e-cpu-sleep2")]
        self.assert_close(then[0]["sleep"] - first[0]["sleep"], len(old) * passed, 0.02, 0.02, "two that are older")
        self.assert_close(then[1]["sleep"] - first[1]["sleep"], passed, 0.02, 0.02, "one that is younger")
        new.kill()

    def test_time_on_and_off_the_cpu_add_up_to_the_clock(self):
        self.agent = self.start_agent(config=CONFIG)
        mixed = self.program("mixed", os.path.realpath("/usr/bin/python3"))
        code = "import time\nwhile True:\n end = time.monotonic() + .005\n while time.monotonic() < end: pass\n time.sleep(.01)"
        processes = [self.run_process(mixed, "-c", code)]
        time.sleep(0.5)
        freeze(processes)
        stopped_before = self.off_cpu("e2e-cpu-mixed")
        began, before = time.monotonic(), self.counted("e2e-cpu-mixed")
        thaw(processes)
        time.sleep(4)
        freeze(processes)
        off, used = self.off_cpu("e2e-cpu-mixed"), self.counted("e2e-cpu-mixed") - before
        passed = time.monotonic() - began
        off = {reason: off[reason] - stopped_before[reason] for reason in off}
        self.assert_close(used.run + sum(off.values()), passed, 0.02, 0.02, f"CPU {used.run} and {off}")
        self.assertGreater(off["sleep"], 0.3 * passed)


class ShortLivedTest(CpuCase):
    def test_200_short_lived_processes(self):
        self.agent = self.start_agent(config=CONFIG)
        short = self.program("short")
        script = "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done"
        before, truth = resource.getrusage(resource.RUSAGE_CHILDREN), CpuUse()
        for _ in range(50):
            batch = [os.posix_spawn(short, [short, "-c", script], {}) for _ in range(4)]
            for pid in batch:
                os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
                truth += cpu_use([pid])
                os.waitpid(pid, 0)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        rusage = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

        def problem():
            counted = self.counted("e2e-cpu-short")
            wrong = [f"{what}: counted {now}, truth {then}" for what, now, then, share in (
                ("CPU time by schedstat", counted.run, truth.run, 0.02),
                ("CPU time by rusage", counted.run, rusage, 0.02),
                ("run-queue delay", counted.delay, truth.delay, 0.05),
                ("voluntary switches", counted.voluntary, truth.voluntary, 0.02)) if abs(now - then) > share * then]
            return "\n".join(wrong)
        compare.wait_until_equal(problem)
        histogram = self.agent.metrics().histogram("container_cpu_run_queue_delay_seconds", service_name="e2e-cpu-short")
        self.assertGreaterEqual(histogram.count, 200)

    def test_exec_divides_a_process_between_two_workloads(self):
        self.agent = self.start_agent(config=CONFIG)
        first, second = self.program("first"), self.program("second", "sleep")
        process = self.run_process(
            first, "-c", f"i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done; exec {second} 1000")
        while os.path.basename(os.readlink(f"/proc/{process.pid}/exe")) != "e2e-cpu-second":
            time.sleep(0.05)
        time.sleep(0.2)
        truth = cpu_use([process.pid])
        self.assertGreater(truth.run, 0.2)
        self.assert_close(self.counted("e2e-cpu-first").run, truth.run, 0.02, 0.003, "before exec")
        self.assertLess(self.counted("e2e-cpu-second").run, 0.01)


class WhoTest(CpuCase):
    def test_kernel_threads_idle_and_the_agent_are_no_workloads(self):
        self.agent = self.start_agent(config=CONFIG)
        time.sleep(1)
        names = self.agent.metrics().label_values("container_cpu_time_seconds_total", "service_name")
        self.assertTrue(names)
        executable = os.path.basename(os.readlink(f"/proc/{self.agent.process.pid}/exe"))
        strange = {name for name in names if name in ("", "unknown", executable) or
                   name.startswith(("kworker", "ksoftirqd", "swapper", "rcu", "migration"))}
        self.assertFalse(strange, names)

    def test_a_cgroup_of_its_own_agrees_with_its_cpu_stat(self):
        group = cgroups.CgroupOfOwn()
        self.addCleanup(group.close)
        self.agent = self.start_agent(config=CONFIG)
        busy = self.program("grouped")
        processes = [self.run_process(busy, "-c", SPIN, wrapper=group.wrapper) for _ in range(3)]
        while {os.path.basename(os.readlink(f"/proc/{process.pid}/exe")) for process in processes} != {"e2e-cpu-grouped"}:
            time.sleep(0.01)
        freeze(processes)
        before, counted = cpu_stat(group.directories[0]), self.counted("e2e-cpu-grouped", container_id=group.path)
        thaw(processes)
        time.sleep(5)
        freeze(processes)
        after = cpu_stat(group.directories[0])
        counted = self.counted("e2e-cpu-grouped", container_id=group.path) - counted
        truth = {name: (after[f"{name}_usec"] - before[f"{name}_usec"]) / 1e6 for name in ("usage", "user", "system")}
        self.assertGreater(truth["usage"], 1)
        self.assert_close(counted.run, truth["usage"], 0.02, what="usage")
        self.assert_close(counted.user, truth["user"], 0.02, 0.02 * truth["usage"], "user")
        self.assert_close(counted.system, truth["system"], 0.02, 0.02 * truth["usage"], "system")
        for process in processes:
            process.kill()
            process.wait()

    def test_a_full_table_counts_the_rest_as_other(self):
        self.agent = self.start_agent(config=CONFIG + "series = 2\n")
        processes = [self.run_process(self.program(name), "-c", SPIN) for name in ("busy", "short")]
        time.sleep(2)
        freeze(processes)
        truth = cpu_use([process.pid for process in processes])
        self.assertGreater(self.counted("other").run, 0.98 * truth.run)
        self.assertGreater(self.agent.metrics().total("limpet_series_overflow_total", plugin="cpu"), 0)


class QuotaTest(CpuCase):
    def test_throttling_agrees_with_cpu_stat(self):
        group = cgroups.QuotaCgroup(quota_ms=20, period_ms=100)
        self.addCleanup(group.close)
        self.agent = self.start_agent(config=CONFIG)
        process = self.run_process(self.program("throttled"), "-c", SPIN, wrapper=group.wrapper)
        time.sleep(NAMED_SECONDS)
        first_truth, first_counted = self.throttling(group)
        time.sleep(5)
        truth, counted = self.throttling(group)
        self.assertGreater(truth["throttled_periods"], 20)
        for key in truth:
            self.assert_close(counted[key] - first_counted[key], truth[key] - first_truth[key], 0.02, 0.01, key)
            self.assert_close(counted[key], truth[key], 0.05, 3, f"{key} since its birth")
        process.kill()
        process.wait()

    def throttling(self, group):
        """(truth, counted) of one moment: a period has a tenth of a second in which nothing changes."""
        names = {"container_cpu_periods_total": "periods", "container_cpu_throttled_periods_total": "throttled_periods",
                 "container_cpu_throttled_seconds_total": "throttled_seconds"}
        for _ in range(50):
            truth, exposition = group.throttling(), self.agent.metrics()
            if group.throttling() == truth:
                return truth, {key: exposition.total(name, service_name="e2e-cpu-throttled")
                               for name, key in names.items()}
        raise AssertionError(f"{group.path}/cpu.stat never stood still during a scrape")

    def test_without_a_quota_there_are_no_series_of_throttling(self):
        self.agent = self.start_agent(config=CONFIG)
        process = self.run_process(self.program("busy"), "-c", SPIN)
        time.sleep(0.5)
        self.assertFalse(self.agent.metrics().select("container_cpu_periods_total", service_name="e2e-cpu-busy"))
        process.kill()


class ExpositionTest(CpuCase):
    def test_promtool_has_nothing_to_say(self):
        self.agent = self.start_agent(config=CONFIG)
        _, _, text = self.agent.get("/metrics")
        checked = subprocess.run([places.tool("promtool"), "check", "metrics"], input=text, capture_output=True,
                                 text=True, timeout=20)
        self.assertEqual((checked.returncode, checked.stdout + checked.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
