# SPDX-License-Identifier: Apache-2.0
"""A root file system for the guest, made of the host's own files at their own paths, as a cpio archive.

The format is "newc", Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

import pathlib
import re
import stat
import subprocess

ELF = b"\x7fELF"


class Initramfs:
    """Collects files, each with the shared libraries it needs; write() makes the archive."""

    def __init__(self):
        self._entries = {}  # path in the guest → (mode, mtime, bytes, or the host's file)
        for link in ("bin", "sbin", "lib", "lib64"):
            self.add_link(f"/{link}", f"usr/{link}")

    def add_bytes(self, path, content, mode=0o644):
        self._add(path, stat.S_IFREG | mode, 0, content)

    def add_link(self, path, target):
        self._add(path, stat.S_IFLNK | 0o777, 0, target.encode())

    def add_directory(self, path):
        self._add(path, stat.S_IFDIR | 0o755, 0, b"")

    def add_file(self, path):
        """A file of the host, its libraries with it. A symbolic link becomes what it points to."""
        path = pathlib.Path(path)
        place = path.parent.resolve() / path.name
        if str(place) in self._entries:
            return
        status = path.stat()
        self._add(place, stat.S_IFREG | stat.S_IMODE(status.st_mode), int(status.st_mtime), path)
        for library in _libraries_of(path):
            self.add_file(library)

    def add_tree(self, directory, without=()):
        """All files below a directory, without those whose path has one of these parts."""
        for path in sorted(pathlib.Path(directory).rglob("*")):
            if path.is_file() and not set(without) & set(path.parts):
                self.add_file(path)

    def write(self, archive):
        with open(archive, "wb") as out:
            for number, (path, (mode, mtime, content)) in enumerate(sorted(self._entries.items()), 1):
                content = content.read_bytes() if isinstance(content, pathlib.Path) else content
                _write_entry(out, path.lstrip("/"), number, mode, mtime, content)
            _write_entry(out, "TRAILER!!!", 0, 0, 0, b"")

    def _add(self, path, mode, mtime, content):
        path = pathlib.PurePosixPath(path)
        for parent in path.parents:
            if parent.name:
                self._entries.setdefault(str(parent), (stat.S_IFDIR | 0o755, 0, b""))
        self._entries[str(path)] = (mode, mtime, content)


def _write_entry(out, name, number, mode, mtime, content):
    encoded = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, mtime, len(content), 0, 0, 0, 0, len(encoded), 0)
    out.write(b"070701" + b"".join(b"%08x" % field for field in fields) + encoded)
    out.write(bytes(-out.tell() % 4))
    out.write(content)
    out.write(bytes(-out.tell() % 4))


def _libraries_of(path):
    with open(path, "rb") as file:
        if file.read(4) != ELF:
            return []
    # ldd fails on programs that need no library at all.
    listing = subprocess.run(["ldd", str(path)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20)
    if "not found" in listing.stdout:
        raise LookupError(f"{path} needs libraries that are not installed:\n{listing.stdout}")
    return re.findall(r"(/\S+) \(0x", listing.stdout)
