"""The units for systemd: without an error, with a strict sandbox, and with
all that the agent does inside it.  No systemd runs here: its own tools read
the units, and what the agent calls is compared with what they allow."""

import os
import re
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from lab import idp
from lab.agent import EX_OK
from lab.installed import ROOT, install
from lab.lab import ACCOUNT

SYSTEM, USER = "lib/systemd/system", "usr/lib/systemd/user"
LONGEST_S, BEFORE_S = 120, 10   # http_timeout; until the last question
WORST = 15          # in tenths: systemd-analyze security says 1.5
# Of a start by root; by the unit it is another user from the beginning.
BY_ROOT = {"setresuid", "setresgid", "setgroups", "setuid", "fchown"}


@pytest.fixture(scope="module")
def units(tmp_path_factory):
    """The installed units, with programs where they are installed here."""
    root = install(tmp_path_factory.mktemp("root"))
    for directory in SYSTEM, USER:
        for unit in (root / directory).iterdir():
            text = unit.read_text()
            for program in "/usr/sbin/mailtokend", "/usr/bin/mailtoken":
                text = text.replace(f"{program} ", f"{root}{program} ")
            unit.write_text(text)
    return root


def analyze(*arguments, path: Path = None) -> subprocess.CompletedProcess:
    runtime = path and path.parent / "runtime"
    if runtime:
        runtime.mkdir(exist_ok=True)
    return subprocess.run(
        ["systemd-analyze", "--no-pager", *map(str, arguments)],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"} | (
            {"SYSTEMD_UNIT_PATH": f"{path}:", "XDG_RUNTIME_DIR": str(runtime)}
            if path else {}),
        timeout=60, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT)


def names(path: Path) -> list:
    found = sorted(unit.name for unit in path.iterdir())
    assert "mailtokend.service" in found and "mailtokend.socket" in found
    return found


@pytest.mark.parametrize("directory, manager", [(SYSTEM, "--system"),
                                                (USER, "--user")])
def test_units_have_no_error(units, directory, manager):
    path = units / directory
    done = analyze(manager, "--man=no", "verify", *names(path), path=path)
    assert (done.returncode, done.stdout) == (EX_OK, "")


@pytest.mark.parametrize("directory", [SYSTEM, USER])
def test_a_failed_agent_is_started_for_ever(units, directory):
    """systemd would give up after five starts in ten seconds."""
    lines = (units / directory / "mailtokend.service").read_text().splitlines()
    assert "Restart=on-failure" in lines
    assert "StartLimitIntervalSec=0" in lines


@pytest.mark.parametrize("directory", [SYSTEM, USER])
def test_a_stop_lasts_as_long_as_an_answer_may(units, directory):
    """The agent's own patience comes first."""
    code = (ROOT / "helpers/leaving.c").read_text()
    patience = int(re.search(r"^#define PATIENCE_S\s+(\d+)", code, re.M)[1])
    unit = (units / directory / "mailtokend.service").read_text()
    stop = int(re.search(r"^TimeoutStopSec=(\d+)$", unit, re.M)[1])
    assert stop > patience > LONGEST_S + BEFORE_S


def test_what_verify_would_say(units, tmp_path):
    """It warns of what it does not know, and is content."""
    unit = tmp_path / "mailtokend.service"
    unit.write_text((units / SYSTEM / unit.name).read_text().replace(
        "ProtectHome=", "ProtectHouse="))
    shutil.copy(units / SYSTEM / "mailtokend.socket", tmp_path)
    said = analyze("--man=no", "verify", unit.name, path=tmp_path).stdout
    assert "ProtectHouse" in said


def test_drop_ins_of_the_page(units, tmp_path):
    """What docs/security.md says to add: systemd knows each line of it."""
    page = (ROOT / "docs/security.md").read_text()
    part = page[page.index("### systemd"):page.index("### AppArmor")]
    lines = [line for row in re.findall(r"^\|.*", part, re.M)
             for line in re.findall(r"`([A-Z]\w+=[^`]*)`", row)]
    assert len(lines) > 8
    name = "mailtokend.service"
    path = tmp_path / "units"
    shutil.copytree(units / SYSTEM, path)
    with open(path / name, "a", encoding="ascii") as unit:
        unit.write("\n[Service]\n" + "\n".join(lines) + "\n")
    done = analyze("--man=no", "verify", name, path=path)
    assert (done.returncode, done.stdout) == (EX_OK, "")


def exposure(unit: Path):
    """systemd's word on a unit: its end, and the number."""
    done = analyze("security", "--offline=true", f"--threshold={WORST}", unit)
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stdout
    return done.returncode, float(found[1])


def test_the_sandbox_is_strict(units, tmp_path):
    for name in names(units / SYSTEM):
        if name.endswith(".service"):
            code, level = exposure(units / SYSTEM / name)
            assert code == EX_OK and level <= WORST / 10, (name, level)
    loose = tmp_path / "mailtokend.service"
    loose.write_text((units / SYSTEM / loose.name).read_text().replace(
        "SystemCallFilter=", "#").replace("PrivateMounts=", "#"))
    assert exposure(loose)[0] != EX_OK


def test_exceptions_are_explained(units):
    """Each setting that systemd-analyze blames is named in the unit."""
    unit = units / SYSTEM / "mailtokend.service"
    done = analyze("security", "--offline=true", unit)
    comments = "\n".join(line for line in unit.read_text().splitlines()
                         if line.startswith("#"))
    blamed = re.findall(r"^✗ (\S+)", done.stdout, re.M)
    assert blamed
    for setting in blamed:
        families = re.findall(r"UNIX|INET6?|NETLINK", setting)
        for word in (map("AF_{}".format, families)
                     if "=~AF_" in setting else [setting.split("=")[0]]):
            assert word in comments, setting


def calls(name: str) -> set:
    """The system calls in a set of systemd's."""
    found = set()
    for line in analyze("syscall-filter", name).stdout.splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            found |= calls(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found


def allowed(unit: Path) -> set:
    may = set()
    for line in unit.read_text().splitlines():
        if line.startswith("SystemCallFilter="):
            value = line.partition("=")[2]
            for name in value.lstrip("~").split():
                may = may - calls(name) if value[0] == "~" else may | calls(name)
    return may


def test_the_sandbox_has_all_that_is_called(units, shared_lab):
    """From the start over renewals, a secret by a command and a reload to
    the end."""
    lab = shared_lab
    lab.start_idp()
    agent = lab.make_agent({}, sockets=[lab.socket])
    program = agent.directory / "vault"
    program.write_text(f"#!/bin/sh\ncat {agent.directory}/kept\n")
    program.chmod(0o755)
    agent.secret("kept", idp.CLIENT_SECRET)
    agent.accounts[ACCOUNT] = lab.delegated(
        grant="client_credentials", client_id="daemon-basic",
        client_auth="basic", scope=idp.APP_SCOPE, allow="group:daemon",
        client_secret=f"command:{program}",
        token_endpoint=lab.idp.token_endpoint.replace("127.0.0.1", "localhost"))
    agent.write()
    trace = lab.directory / "trace"
    agent.wrapper = ["strace", "-f", "-qq", "-o", trace]
    agent.start()
    agent.wrapper = []
    agent.do("refresh", ACCOUNT)
    agent.do("token", ACCOUNT)
    agent.cli("token", ACCOUNT, user="daemon")
    agent.do("reload")
    agent.do("status")
    tracer = agent.process.pid
    children = Path(f"/proc/{tracer}/task/{tracer}/children").read_text()
    os.kill(int(children.split()[0]), signal.SIGTERM)
    assert agent.process.popen.wait(15) == EX_OK
    made = set(re.findall(r"^\d+ +(\w+)\(", trace.read_text(), re.M))
    assert {"execve", "socket", "accept4", "fsync", "flock"} <= made
    # Nothing on the network: the resolver binds AF_NETLINK, to no port.
    bound = set(re.findall(r"bind\(\d+, {sa_family=(\w+)", trace.read_text()))
    assert "AF_UNIX" in bound and bound <= {"AF_UNIX", "AF_NETLINK"}
    may = allowed(units / SYSTEM / "mailtokend.service")
    assert "read" in may and "mount" not in may and "nice" not in may
    assert made - may - BY_ROOT == set()
