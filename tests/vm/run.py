#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Boots Debian's kernels in qemu and runs limpet in them: it loads, the kernel tests pass, real traffic is counted.

    tests/vm/run.py                    Linux 6.1 and 6.12
    tests/vm/run.py 6.12               one of them
    tests/vm/run.py --only netem 6.1   only the steps whose name contains a word

Emulated in software, so that it runs on any machine: a boot takes seconds, all steps some minutes. The guest has the
host's own programs, the agent of build/release (LIMPET_BUILD_DIR names another one), and no network but its own. Kernels
are fetched once and kept in build/vm; delete it to have newer ones.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
E2E = HERE.parent / "e2e"
sys.path[:0] = [str(HERE), str(E2E)]
sys.dont_write_bytecode = True

from debian_kernel import DebianKernel  # noqa: E402
from initramfs import Initramfs  # noqa: E402
from support import go_build, places  # noqa: E402

VERSIONS = ("6.1", "6.12")
MODULES = ("veth", "sch_netem")
TOOLS = ("nginx", "h2load", "wrk", "curl", "ip", "tc", "nsenter", "unshare", "setpriv", "busybox")
E2E_SUBJECTS = ("segmentation", "framing", "aborts", "older_connections", "short_connections", "network_namespaces")
STEP_SECONDS = 300
PYTHON = "/usr/bin/python3"


def steps():
    """What the guest does, in this order."""
    agent, tests = str(places.agent_binary()), places.build_dir() / "tests" / "kernel"
    listed = [("load", [agent, "check", "--load", "--config", "/guest/limpet.toml"])]
    listed += [(f"kernel: {test.name}", [str(test)]) for test in sorted(tests.glob("*_kernel_test"))]
    listed += [("netem", [PYTHON, "/guest/test_netem.py", str(E2E)])]
    listed += [(f"e2e: {subject}", [PYTHON, str(E2E / "run.py"), subject]) for subject in E2E_SUBJECTS]
    environment = {"LIMPET_BUILD_DIR": str(places.build_dir()), "PYTHONDONTWRITEBYTECODE": "1"}
    return [{"name": name, "command": command, "environment": environment, "seconds": STEP_SECONDS}
            for name, command in listed]


def probes():
    return sorted(path.stem for path in places.plugin_dir().glob("*.so"))


def guest_files(kernel, chosen):
    """The guest's root file system, but for the archive."""
    root = Initramfs()
    for program in (PYTHON, *map(places.tool, TOOLS)):
        root.add_file(program)
    standard_library = subprocess.run([PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('stdlib'))"],
                                      check=True, capture_output=True, text=True).stdout.strip()
    root.add_tree(standard_library, without=("__pycache__", "test", "lib2to3", "idlelib", "dist-packages"))
    for file in ("/etc/passwd", "/etc/group"):
        root.add_file(file)
    for pattern in ("limpet", "plugins/*.so", "tests/plugins/*.so", "tests/kernel/*_test", "tests/kernel/*.bpf.o", "e2e-cache/e2e-go-*"):
        for path in places.build_dir().glob(pattern):
            root.add_file(path)
    root.add_tree(E2E, without=("__pycache__",))
    for name in ("guest.py", "test_netem.py"):
        root.add_bytes(f"/guest/{name}", (HERE / name).read_bytes())
    root.add_bytes("/init", (HERE / "init").read_bytes(), mode=0o755)
    root.add_bytes("/guest/steps.json", json.dumps(chosen).encode())
    root.add_bytes("/guest/limpet.toml", "".join(f"[plugins.{name}]\nenabled = true\n" for name in probes()).encode())
    for number, (name, module) in enumerate(kernel.modules(MODULES)):
        root.add_bytes(f"/modules/{number:02}-{name}.ko", module)
    root.add_directory("/var/log/nginx")
    return root


def boot(kernel, archive, console, seconds):
    """Runs the guest until it turns itself off; all that it prints goes to `console`. What went wrong, or ""."""
    # One thread for both CPUs: with two, one may go on running code that the other has patched, and the guest hangs.
    command = [places.tool("qemu-system-x86_64"), "-accel", "tcg,thread=single", "-cpu", "max", "-smp", "2", "-m", "3072",
               "-display", "none", "-serial", "stdio", "-monitor", "none", "-nic", "none", "-no-reboot",
               "-kernel", kernel.image, "-initrd", archive, "-append", "console=ttyS0 panic=-1 rdinit=/init"]
    with open(console, "wb") as output:
        try:
            done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=output,
                                  stderr=subprocess.STDOUT, timeout=seconds)
        except subprocess.TimeoutExpired:
            return f"the guest was still running after {seconds} s"
    return "" if done.returncode == 0 else f"qemu ended with exit code {done.returncode}"


def results_of(console, chosen):
    """{step: what the guest said of it}; a step that never ended is not left out."""
    lines = [line.strip() for line in console.splitlines()]
    results = {}
    for step in chosen:
        prefix = f"limpet-vm: {step['name']}: "
        results[step["name"]] = next((line[len(prefix):] for line in lines if line.startswith(prefix)), "never ended")
    return results


def run_on(version, chosen, seconds):
    """Whether everything passed on this kernel."""
    directory = places.build_dir().parent / "vm"
    kernel = DebianKernel(version, directory)
    print(f"==> Linux {kernel.release}", flush=True)
    archive, console = directory / f"{version}.cpio", directory / f"{version}.console"
    guest_files(kernel, chosen).write(archive)
    begin = time.monotonic()
    trouble = boot(kernel, archive, console, seconds)
    text = console.read_text(errors="replace")
    results = results_of(text, chosen)
    passed = not trouble and all(result.startswith("passed") for result in results.values())
    if not passed:
        print(text)
    for name, result in results.items():
        print(f"  {name:40} {result}")
    print(f"  {kernel.release}: {'passed' if passed else 'FAILED'} in {time.monotonic() - begin:.0f} s"
          f"{f'; {trouble}' if trouble else ''}; console: {console}", flush=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("versions", nargs="*", default=VERSIONS, help="kernel versions, such as 6.1")
    parser.add_argument("--only", action="append", default=[], help="only steps whose name contains this")
    parser.add_argument("--seconds", type=int, default=1500, help="time limit for each kernel (default: 1500)")
    options = parser.parse_args()
    chosen = [step for step in steps() if not options.only or any(word in step["name"] for word in options.only)]
    if not chosen:
        sys.exit("no step has such a name")
    if not probes():
        sys.exit(f"no probes in {places.plugin_dir()}: build them first (./dev build)")
    go_build.build_all()
    try:
        failed = [version for version in options.versions if not run_on(version, chosen, options.seconds)]
    except LookupError as error:
        sys.exit(f"tests/vm: {error}")
    if failed:
        sys.exit(f"failed on Linux {', '.join(failed)}")


if __name__ == "__main__":
    main()
