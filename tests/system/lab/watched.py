"""Programs that are watched: `make check-sanitized` runs an agent, a command
and hosts that the sanitizers have instrumented, `make check-valgrind` runs
agent and command by valgrind.

Environment: PLUGINS is the build of what other programs load, where that is
not BUILD; WRAPPER is what agent and command are run by."""

import os
import shlex
import shutil
import tempfile
from pathlib import Path

SANITIZED = "PLUGINS" in os.environ
WRAPPER = shlex.split(os.environ.get("WRAPPER", ""))
LEFT = 4000
PATIENCE = 8 if WRAPPER else 2 if SANITIZED else 1     # times as long


def options(reports: Path) -> dict:
    """The environment of the programs: what they find goes there.  Who has
    changed users may write it, too."""
    if not SANITIZED:
        return {}
    return {
        "ASAN_OPTIONS": f"detect_leaks=1:verify_asan_link_order=0:"
                        f"log_path={reports}/asan",
        "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={reports}/ubsan"}


def careless() -> dict:
    """The environment of a host whose libraries lose something."""
    kept = os.environ.get("ASAN_OPTIONS")
    return {"ASAN_OPTIONS": f"{kept}:detect_leaks=0"} if kept else {}


def wrapper() -> list:
    """Of valgrind, with a file for each process."""
    reports = os.environ.get("REPORTS")
    return [*WRAPPER, f"--log-file={reports}/valgrind.%p"] if WRAPPER else []


class Reports:
    """One directory for each worker, and what has come there."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="mailtoken-reports-"))
        self.directory.chmod(0o1777)
        self.told = set()
        os.environ |= options(self.directory) | {"REPORTS": str(self.directory)}

    def new(self) -> str:
        """What has been found since the last time; empty: nothing."""
        text = ""
        for path in sorted(self.directory.iterdir()):
            # Of valgrind, what begins with -- is about itself.
            said = "".join(
                line for line in path.read_text(errors="replace").splitlines(True)
                if not line.startswith("--"))
            if path.name not in self.told and said:
                self.told.add(path.name)
                text += f"{path.name}:\n{said[:LEFT]}\n"
        return text

    def close(self):
        shutil.rmtree(self.directory, ignore_errors=True)
