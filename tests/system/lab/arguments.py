"""What everybody on a host can read of its processes: their arguments."""

import os
import threading
import time
from pathlib import Path

PAUSE_S = 0.002
OWN = os.getpid()


class Watcher:
    """Remembers every line of arguments and title that a process of uid has
    while the watcher is entered.  What lives for less than a few milliseconds
    can be missed; programs that talk to a server do not."""

    def __init__(self, uid: int):
        self.uid = uid
        self.seen = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *exc):
        self._ended.set()
        self._thread.join(10)

    def _run(self):
        while not self._ended.is_set():
            self._look()
            time.sleep(PAUSE_S)

    def _look(self):
        for pid in filter(str.isdigit, os.listdir("/proc")):
            directory = Path("/proc", pid)
            try:
                if int(pid) != OWN and directory.stat().st_uid == self.uid:
                    self.seen.add((directory / "cmdline").read_bytes().replace(
                        b"\0", b" ").decode(errors="replace"))
            except OSError:
                pass            # it has ended

    def programs(self) -> set:
        return {Path(line.split()[0]).name for line in self.seen
                if line.split()}

    def text(self) -> str:
        return "\n".join(self.seen)
