"""tests/system/run: what it says to somebody who has not built everything, its
exit codes, and that nothing of it is left when it is told to stop."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lab.wait import until

RUN = Path(__file__).parent / "run"
OPTION = """\
def pytest_addoption(parser):
    parser.addoption("--alone")
def pytest_collection_modifyitems(config, items):
    only = config.getoption("--alone") == "only"
    if config.getoption("--alone"):
        items[:] = [i for i in items if only == i.name.startswith("test_a")]
"""
HANGS = """\
import os, pathlib, time
def test_hangs():
    here = pathlib.Path(__file__).parent
    (here / "new").write_text(f"{os.getpid()} {os.getppid()}")
    (here / "new").rename(here / "started")
    try:
        time.sleep(60)
    finally:
        (here / "cleaned").touch()
def test_alone(): assert not "it was told to stop"
"""
MANY, ALONE = "def test_many(): {}\n", "def test_alone(): {}\n"
GOOD, BAD = "pass", "assert 0"


def environment(build, **more) -> dict:
    """Without what this pytest tells its own processes."""
    return {name: value for name, value in os.environ.items()
            if not name.startswith("PYTEST_")} | {"BUILD": str(build)} | more


def test_it_says_what_to_build(tmp_path):
    (tmp_path / "mailtokend").touch()       # `make` alone, without the hosts
    done = subprocess.run(
        [RUN, "test_run.py"], env=environment(tmp_path),
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 66
    assert f"run: make BUILD={tmp_path} all hosts" in done.stderr


@pytest.fixture
def copy(tmp_path):
    """Of `run`, for other tests than these."""
    for name in "mailtokend", "tests/system/hosts/diskfault.so", "idp/install":
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "conftest.py").write_text(OPTION)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return Path(shutil.copy(RUN, tmp_path))


@pytest.mark.parametrize("workers, tests, code", [
    ("1", "", 5), ("0", "", 5),
    ("1", MANY.format(GOOD), 0), ("1", ALONE.format(GOOD), 0),
    ("1", MANY.format(BAD) + ALONE.format(GOOD), 1),
    ("1", MANY.format(GOOD) + ALONE.format(BAD), 1),
    ("1", MANY.format(BAD), 1), ("0", MANY.format(BAD), 1)])
def test_exit_codes(copy, workers, tests, code):
    (copy.parent / "test_it.py").write_text(tests)
    done = subprocess.run(
        [copy], env=environment(copy.parent, WORKERS=workers), text=True,
        stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
    assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.parametrize("workers, how", [
    ("1", signal.SIGTERM), ("1", signal.SIGINT), ("1", signal.SIGHUP),
    ("0", signal.SIGINT)])
def test_told_to_stop(copy, workers, how):
    """The shell alone is told; the test that runs can still clean up."""
    (copy.parent / "test_it.py").write_text(HANGS)
    with subprocess.Popen(
            [copy], env=environment(copy.parent, WORKERS=workers), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT) as shell:
        try:
            until((copy.parent / "started").exists, 60, "its test")
            shell.send_signal(how)
            said, _ = shell.communicate(timeout=50)
        finally:
            shell.kill()
    assert shell.returncode == 2, said      # pytest's, for interrupted
    assert "told to stop" not in said
    assert (copy.parent / "cleaned").exists()
    for pid in (copy.parent / "started").read_text().split():
        if int(pid) != os.getpid():
            until(lambda pid=pid: not Path(f"/proc/{pid}").exists(), 20,
                  f"the end of {pid}")
