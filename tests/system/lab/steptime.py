"""Clocks that a test sets, for programs that it is preloaded into
(hosts/steptime.c)."""

import os
import struct
import time
from pathlib import Path

from .agent import BUILD

LIBRARY = BUILD / "tests/system/hosts/steptime.so"
NS = 1_000_000_000


class StepTime:
    """Begins at real time, or with a wall clock that is this far ahead."""

    def __init__(self, path: Path, wall: float = 0):
        self.file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self.environment = {"LD_PRELOAD": str(LIBRARY), "STEPTIME": str(path)}
        self.wall, self.asleep = wall, 0
        self._write()

    def _write(self):
        os.pwrite(self.file, struct.pack(
            "=3q", round((self.wall + self.asleep) * NS), 0,
            round(self.asleep * NS)), 0)

    def set(self, ahead: float):
        """The wall clock is so many seconds ahead of the right one."""
        self.wall = ahead
        self._write()

    def set_to(self, when: float):
        """The same, in Unix time."""
        self.set(when - time.time() - self.asleep)

    def sleep(self, seconds: float):
        """The host is suspended for so long."""
        self.asleep += seconds
        self._write()

    def now(self) -> float:
        """The wall clock."""
        return time.time() + self.wall + self.asleep

    def close(self):
        os.close(self.file)
