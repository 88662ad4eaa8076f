"""A clock that runs as fast as the test says, for programs that it is
preloaded into (hosts/fasttime.c)."""

import mmap
import struct
import time
from pathlib import Path

from .agent import BUILD

LIBRARY = BUILD / "tests/system/hosts/fasttime.so"
CLOCKS = time.CLOCK_REALTIME, time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME
FORM = "=Qqqq3q"


class FastTime:
    """Begins at real time and real speed."""

    def __init__(self, path: Path):
        self.path, self.sequence, self.times, self.elapsed = path, 0, 1, 0
        path.write_bytes(bytes(struct.calcsize(FORM)))
        path.chmod(0o644)
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), 0)
        self.starts = [time.clock_gettime_ns(clock) for clock in CLOCKS]
        self.since = time.monotonic_ns()
        self._write()

    @property
    def environment(self) -> dict:
        return {"LD_PRELOAD": str(LIBRARY), "FASTTIME": str(self.path)}

    def _write(self):
        struct.pack_into("=Q", self.map, 0, self.sequence + 1)
        struct.pack_into("=qqq3q", self.map, 8, self.times, self.since,
                         self.elapsed, *self.starts)
        self.sequence += 2
        struct.pack_into("=Q", self.map, 0, self.sequence)

    def run(self, times: int):
        """From now on time is this fast."""
        now = time.monotonic_ns()
        self.elapsed += (now - self.since) * self.times
        self.since, self.times = now, times
        self._write()

    def passed(self) -> float:
        """Seconds of it since it was made."""
        return (self.elapsed + (time.monotonic_ns() - self.since)
                * self.times) / 1e9

    def now(self) -> float:
        """Unix time by it."""
        return self.starts[0] / 1e9 + self.passed()

    def wait(self, until: float, times: int):
        """Lets time run until passed() is that, then at real speed."""
        self.run(times)
        end = time.monotonic() + 60 + (until - self.passed()) / times
        while (left := until - self.passed()) > 0:
            assert time.monotonic() < end
            time.sleep(max(min(left / times, 1), 0.0005))
        self.run(1)
