"""A server as a child process: its output in a file, its end by its pid."""

import os
import signal
import subprocess
from pathlib import Path

from .wait import until

STOP_S = 15


class Process:
    """Started at once; stop() is idempotent."""

    def __init__(self, argv, log: Path, env=None, pass_fds=(),
                 **who):
        self.log = log
        with open(log, "ab") as out:
            self.popen = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, env=env, pass_fds=pass_fds,
                start_new_session=True, **who)

    @property
    def pid(self) -> int:
        return self.popen.pid

    def alive(self) -> bool:
        return self.popen.poll() is None

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def wait_log(self, words: str, timeout: float = 20, log: Path = None):
        """Waits for words in its log (or in another one that it writes)."""
        path = log or self.log

        def seen():
            if path.exists() and words in path.read_text(errors="replace"):
                return True
            if not self.alive():
                raise AssertionError(
                    f"{self.popen.args[0]} ended ({self.popen.returncode}):\n"
                    + self.text()[-2000:])
            return False
        until(seen, timeout, f"{words!r} in {path}")

    def signal(self, number: int):
        if self.alive():
            os.kill(self.pid, number)

    def stop(self, timeout: float = STOP_S) -> int:
        """SIGTERM, and after timeout SIGKILL to it and its children."""
        self.signal(signal.SIGTERM)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            # Its session is its own (see __init__), so is this group.
            os.killpg(self.pid, signal.SIGKILL)
            return self.popen.wait(timeout)
