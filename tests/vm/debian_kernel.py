# SPDX-License-Identifier: Apache-2.0
"""Debian's cloud kernels: fetched with apt, unpacked below the build directory, never installed."""

import lzma
import pathlib
import re
import subprocess


class DebianKernel:
    """The newest linux-image-<version>…-cloud-amd64 that apt offers, or the one that was unpacked before."""

    def __init__(self, version, directory):
        self.version = version
        pattern = f"linux-image-{version}.*-cloud-amd64"
        unpacked = sorted(pathlib.Path(directory).glob(pattern))
        self.directory = unpacked[-1] if unpacked else _fetch(version, pathlib.Path(directory))
        self.image = next(self.directory.glob("boot/vmlinuz-*"))
        self.release = self.image.name.removeprefix("vmlinuz-")
        self._modules = {_module_name(path): path for path in self.directory.glob("lib/modules/*/kernel/**/*.ko*")}

    def modules(self, names):
        """[(name, bytes)] of these modules and what they depend on, in the order of loading."""
        loaded = {}
        for name in names:
            self._add_module(name, loaded)
        return list(loaded.items())

    def _add_module(self, name, loaded):
        if name in loaded:
            return
        if name not in self._modules:
            raise LookupError(f"Linux {self.release} has no module {name}")
        path = self._modules[name]
        module = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        depends = re.search(rb"\0depends=([^\0]*)\0", module)
        for dependency in filter(None, (depends[1].decode() if depends else "").split(",")):
            self._add_module(dependency.replace("-", "_"), loaded)
        loaded[name] = module


def _module_name(path):
    return path.name.split(".ko")[0].replace("-", "_")


def _fetch(version, directory):
    package = _newest_package(version)
    archives = directory / "archives"
    archives.mkdir(parents=True, exist_ok=True)
    _run("apt-get", "download", "-q", "-o", "APT::Sandbox::User=root", package, cwd=archives)
    archive = next(archives.glob(f"{package}_*.deb"))
    unpacking = directory / f"unpacking-{package}"
    _run("dpkg-deb", "--extract", archive, unpacking)
    archive.unlink()
    return unpacking.rename(directory / package)


def _newest_package(version):
    offered = _offered_packages(version)
    if not offered:
        _run("apt-get", "update", "-q")
        offered = _offered_packages(version)
    if not offered:
        raise LookupError(f"apt offers no package linux-image-{version}.…-cloud-amd64 here: see which there are with "
                          "`apt-cache pkgnames linux-image-`, or add a source that has it (bookworm-security, "
                          "bookworm-backports)")
    return max(offered, key=lambda name: [int(number) for number in re.findall(r"\d+", name)])


def _offered_packages(version):
    names = _run("apt-cache", "pkgnames", f"linux-image-{version}.").split()
    return [name for name in names if re.fullmatch(r"linux-image-[\d.]+(-\d+|\+deb\d+)-cloud-amd64", name)]


def _run(*command, cwd=None):
    done = subprocess.run([str(part) for part in command], cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=300)
    if done.returncode:
        raise LookupError(f"{' '.join(map(str, command))} failed: {done.stderr.strip()}")
    return done.stdout
