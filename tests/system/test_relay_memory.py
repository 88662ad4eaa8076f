"""Postfix: the plugin loses no memory in smtp(8) and touches none that is not
its own."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import postfix
from lab.agent import PLUGINS
from lab.lab import ACCOUNT
from lab.wait import until

MESSAGES = 10
DAEMONS = Path("/usr/lib/postfix/sbin")
OURS = re.compile(r"libxoauth2| (?:sasl-plugin|core)/\w+\.c:")


@pytest.fixture
def reports(lab):
    """What smtp(8) writes to before it goes into its chroot, and in it."""
    places = [lab.directory / "reports"]
    places.append(lab.directory.joinpath(
        "down", "spool", *places[0].parts[1:]))
    yield places
    assert not findings(places)


def open_to_all(directory: Path):
    directory.mkdir(parents=True)
    directory.chmod(0o1777)


def programs(directory: Path, watch: dict) -> Path:
    """Postfix's, but for smtp(8), which gets another environment."""
    shutil.copytree(DAEMONS, directory, copy_function=lambda old, new: Path(
        new).symlink_to(old))
    smtp = directory / "smtp"
    smtp.unlink()
    words = " ".join(f"{k}={v}" for k, v in watch.items())
    smtp.write_text(f'#!/bin/sh\nexec env {words} {DAEMONS}/smtp "$@"\n')
    smtp.chmod(0o755)
    return directory


def sanitized_smtp(lab, chroot: bool, reports):
    library = subprocess.run(
        ["gcc", "-print-file-name=libasan.so"], check=True, timeout=30,
        capture_output=True, text=True).stdout.strip()
    for place in reports:
        open_to_all(place)
    plugins = lab.directory / "sanitized"
    shutil.copytree(lab.plugins(), plugins)
    shutil.copy(PLUGINS / "sanitize" / "libxoauth2.so", plugins)
    # A chroot has no /proc, by which what is lost could be looked for.
    watch = {"LD_PRELOAD": library,
             "ASAN_OPTIONS": f"detect_leaks={int(not chroot)}:exitcode=0:"
                             "verify_asan_link_order=0:"
                             f"log_path={reports[0]}/asan",
             "UBSAN_OPTIONS": f"log_path={reports[0]}/ubsan"}
    environment = {"SASL_PATH": plugins}
    if not chroot:
        environment["MAILTOKEN_SOCKET"] = lab.socket
    lab.down = postfix.downstream(
        lab.directory / "down", lab.fake.port,
        {None: (ACCOUNT, "mailtoken:")}, environment, None, chroot,
        daemon_directory=programs(lab.directory / "sbin", watch),
        max_use="2", max_idle="5s")
    lab.ends.callback(lab.down.stop)
    lab.down.start()


def watched() -> bool:
    """Does smtp(8) run with the library and the plugin?"""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            text = maps.read_text()
        except OSError:
            continue            # it has ended
        if "libasan" in text and "libxoauth2" in text and "/smtp" in text:
            return True
    return False


def findings(reports) -> list:
    """What is lost counts if we have a part in it."""
    found = []
    for path in (p for place in reports for p in place.glob("*san*")):
        text = path.read_text(errors="replace")
        if "LeakSanitizer: detected memory leaks" not in text:
            found.append(text)
        found += [loss for loss in re.findall(
            r"(?:Direct|Indirect) leak of .*?\n\n", text, re.S)
            if OURS.search(loss)]
    return found


def complains_anew(down, words: str) -> bool:
    """Once is not enough: what is just being deferred misses a flush."""
    down.flush()
    return words in down.text()


@pytest.mark.parametrize("chroot", [True, False])
def test_sanitized_smtp(lab, reports, chroot):
    """Messages that go, a token that is refused, and no agent."""
    endpoint = lab.start_fault().endpoint(ACCOUNT)
    lab.start_fake()
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint)})
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.start()
    sanitized_smtp(lab, chroot, reports)
    lab.down.send(1)
    until(watched, 30, "smtp(8) with the library and the plugin")
    lab.down.send(MESSAGES)
    lab.down.wait_empty(30)
    lab.fake.mode = "challenge"
    lab.down.send(1)
    lab.down.wait_words("server refused the token", 30)
    agent.stop()
    until(lambda: complains_anew(lab.down, "the agent does not answer"), 30,
          "a login without an agent", 1)
    until(lambda: not watched(), 30, "smtp(8) to end by itself")
    lab.down.stop()
