"""A disk that fails on order, and what a power cut leaves on it: for programs
that hosts/diskfault.c is preloaded into.

The real programs run, on a real disk; the library counts their calls below one
directory, and strikes at the n-th."""

import errno
import mmap
import os
import shutil
import struct
from dataclasses import dataclass, replace
from pathlib import Path

from .agent import BUILD

LIBRARY = BUILD / "tests/system/hosts/diskfault.so"
FORM = "=5i"
DIE_BEFORE, DIE_AFTER, SHORT, SHORT_FULL = -1, -2, -3, -4


@dataclass(frozen=True)
class Fault:
    name: str
    what: int               # strikes at the n-th call; else an errno
    stays: bool = False     # and at all that come after it
    cut: bool = False       # the power, too: what was not synced may be gone

    @property
    def dies(self) -> bool:
        return self.what in (DIE_BEFORE, DIE_AFTER)


FAULTS = [
    Fault("killed before the call", DIE_BEFORE),
    Fault("killed after the call", DIE_AFTER),
    Fault("power cut after the call", DIE_AFTER, cut=True),
    Fault("ENOSPC, this once", errno.ENOSPC),
    Fault("ENOSPC from here on", errno.ENOSPC, True),
    Fault("EDQUOT from here on", errno.EDQUOT, True),
    Fault("EIO, this once", errno.EIO),
    Fault("EIO from here on", errno.EIO, True),
    Fault("EROFS from here on", errno.EROFS, True),
    Fault("short write", SHORT),
    Fault("short write, then ENOSPC", SHORT_FULL),
]
FULL_DISK = FAULTS[4]


class DiskFault:
    """Watches what is below directory; scratch is for its own files."""

    def __init__(self, directory: Path, scratch: Path):
        scratch.mkdir(mode=0o755, exist_ok=True)
        self.directory = directory
        self.order_file, self.journal = scratch / "order", scratch / "journal"
        self.order_file.write_bytes(bytes(struct.calcsize(FORM)))
        self.journal.touch()
        for path in (self.order_file, self.journal):
            path.chmod(0o666)       # the agent changes its user
        with open(self.order_file, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)

    @property
    def environment(self) -> dict:
        return {"LD_PRELOAD": str(LIBRARY),
                "DISKFAULT_DIRECTORY": str(self.directory),
                "DISKFAULT_ORDER": str(self.order_file),
                "DISKFAULT_JOURNAL": str(self.journal)}

    def order(self, at: int = 0, fault: Fault = None):
        """From the next call on; without a number they are only counted."""
        os.truncate(self.journal, 0)
        struct.pack_into(FORM, self.map, 0, at, fault.what if fault else 0,
                         bool(fault and fault.stays), 0, 0)

    @property
    def count(self) -> int:
        return struct.unpack_from(FORM, self.map)[3]

    @property
    def struck(self) -> int:
        return struct.unpack_from(FORM, self.map)[4]

    def lines(self) -> list:
        return [line.split("\t")
                for line in self.journal.read_text().splitlines()]


@dataclass
class File:
    """None for data: a directory."""
    data: bytes
    mode: int
    uid: int
    gid: int


class _Node:
    """What is there now, and what a power cut leaves of it."""

    def __init__(self, file: File):
        self.now = self.safe = file


def picture(directory: Path, leave: tuple = ("log",)) -> dict:
    """Path -> inode and File, of everything below it."""
    found = {}
    for path in [directory, *sorted(directory.rglob("*"))]:
        if path.name in leave or not (path.is_file() or path.is_dir()):
            continue
        status = path.stat()
        found[str(path)] = (status.st_ino, File(
            None if path.is_dir() else path.read_bytes(),
            status.st_mode & 0o7777, status.st_uid, status.st_gid))
    return found


def put_back(directory: Path, files: dict, leave: tuple = ("log",)):
    """Makes the directory what the picture is."""
    for path in sorted(directory.rglob("*"), reverse=True):
        if path.name in leave or str(path) in files:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()
    for name, (_, file) in sorted(files.items()):
        path = Path(name)
        if file.data is None:
            path.mkdir(exist_ok=True)
        elif not path.exists() or path.read_bytes() != file.data:
            path.unlink(missing_ok=True)
            path.write_bytes(file.data)
        path.chmod(file.mode)
        os.chown(path, file.uid, file.gid)


class _Disk:
    """Follows the journal: a file's bytes are safe once it was synced, a
    name once its directory was."""

    def __init__(self, before: dict):
        self.nodes = {inode: _Node(file) for inode, file in before.values()}
        self.names = {path: self.nodes[inode]
                      for path, (inode, _) in before.items()}
        self.safe = dict(self.names)
        self.pending = []       # (path or two, node), in their order

    def follow(self, op: str, first: str, *rest):
        if op == "rename":
            self._name((first, rest[0]), self.names[first])
        elif op == "unlink":
            self._name((first, None), None)
        elif op in ("create", "mkdir"):
            path, mode, uid, gid = rest
            node = self.nodes[first] = _Node(File(
                b"" if op == "create" else None,
                int(mode, 8), int(uid), int(gid)))
            self._name((None, path), node)
        elif op == "sync":
            self._sync(first, rest[0])
        else:
            node = self.nodes[first]
            node.now = self._changed(node.now, op, *rest)

    @staticmethod
    def _changed(file: File, op: str, *rest) -> File:
        if op == "write":
            at, data = int(rest[0]), bytes.fromhex(rest[1])
            old = file.data.ljust(at, b"\0")
            return replace(file, data=old[:at] + data + old[at + len(data):])
        if op == "size":
            size = int(rest[0])
            return replace(file, data=file.data[:size].ljust(size, b"\0"))
        if op == "mode":
            return replace(file, mode=int(rest[0], 8))
        assert op == "owner", op
        return replace(file, uid=int(rest[0]), gid=int(rest[1]))

    def _name(self, paths: tuple, node: _Node):
        self.pending.append((paths, node))
        self._apply(self.names, paths, node)

    @staticmethod
    def _apply(names: dict, paths: tuple, node: _Node):
        old, new = paths
        names.pop(old, None)
        if new:
            names[new] = node

    def _sync(self, inode: str, path: str):
        node = self.nodes[inode]
        node.safe = node.now
        if node.now.data is not None:
            return
        here = [change for change in self.pending if path in
                (os.path.dirname(p) for p in change[0] if p)]
        for change in here:
            self._apply(self.safe, *change)
            self.pending.remove(change)

    def after_power_cut(self):
        """Each thing that can be there: a file's bytes as they were last
        synced; of the names that were not, the first few, or all."""
        for kept in range(len(self.pending) + 1):
            names = dict(self.safe)
            for change in self.pending[:kept]:
                self._apply(names, *change)
            yield {path: (0, node.safe) for path, node in names.items()
                   if all(str(parent) in names or str(parent) not in self.names
                          for parent in Path(path).parents)}


def power_cuts(before: dict, journal: list) -> list:
    """Pictures of what can be there if the power fails at the journal's end."""
    disk = _Disk({path: (str(inode), file)
                  for path, (inode, file) in before.items()})
    for line in journal:
        disk.follow(*line)
    found = []
    for image in disk.after_power_cut():
        if image not in found:
            found.append(image)
    return found
