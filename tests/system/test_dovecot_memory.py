"""Dovecot: the modules lose no memory and touch none that is not theirs."""

import imaplib
import poplib
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import imap, mailbox
from lab.agent import PLUGINS
from lab.dovecots import MODULES, name_of
from test_dovecot_sessions import subjects
from test_dovecot_submission import refused, send

MESSAGES = 100
SANITIZED = PLUGINS / "sanitize" / "dovecot"
LIBEXEC = "/usr/lib/dovecot"
# Dovecot keeps its modules loaded then, so that reports can name functions.
KEEP_MODULES = {"GDB": "1"}
OURS = re.compile(r"mailtoken_|libauthdb_mailtoken"
                  r"| (?:dovecot-plugin|core)/\w+\.c:|\((?:agent_settings|"
                  r"mail_plugin|mechanism|submission_plugin|token_source|"
                  r"exchange|wire|xoauth2|buf|secret|diag)\.c:")


@pytest.fixture(scope="module")
def world(dovecots):
    return dovecots.begin()


@pytest.fixture
def user(world, request) -> str:
    name = world.account(name_of(request) + "@contoso.example")
    mailbox.fill(world.upstream, name, MESSAGES, 3)
    return name


@pytest.fixture
def make(world, user, request):
    def made(blocks, **kw):
        down = world.downstream(name_of(request), blocks, {user: ""},
                                start=False, **kw)
        request.addfinalizer(down.stop)
        return down.start()
    return made


SAID = {"refused": "server refused the token",
        "absent": "the agent does not answer"}


def backup(world, down, user, token: str, **kw):
    """doveadm backup with a token that is good, refused or absent."""
    job = ("backup", "-R", "-u", user, "imapc:")
    if token == "refused":
        world.idp.revoke(world.agent.do("token", user).strip())
    if token == "absent":
        with world.trouble("absent"):
            done = down.doveadm(*job, timeout=180, **kw)
    else:
        done = down.doveadm(*job, timeout=180, **kw)
    assert (done.returncode == 0) == (token == "good"), done.stderr
    if token != "good":
        assert SAID[token] in done.stderr


def valgrind_findings(text: str, token: str) -> list:
    """Dovecot's imapc loses its SASL client if that cannot get a token:
    there, only what our module has a part in counts."""
    records = re.split(r"\n==\d+== \n", text)
    found = [r for r in records if re.search(r"==\d+==  +(at|by) 0x", r)]
    if token == "absent":
        found = [r for r in found
                 if " lost in loss record" not in r or OURS.search(r)]
    return found


@pytest.mark.parametrize("token", ["good", "refused", "absent"])
def test_valgrind(world, make, user, token):
    down = make(["base", "imapc"])
    log = down.directory / "valgrind.%p"
    backup(world, down, user, token, prefix=[
        "env", "GDB=1", "valgrind", "--trace-children=yes", "--leak-check=full",
        "--show-leak-kinds=definite,indirect", f"--log-file={log}"])
    reports = list(down.directory.glob("valgrind.*"))
    assert reports
    for report in reports:
        text = report.read_text()
        assert "ERROR SUMMARY" in text
        assert not valgrind_findings(text, token), text[-3000:]


class Sanitizer:
    """Preloads the library into processes that are not instrumented, and
    collects its reports."""

    def __init__(self, directory):
        self.directory = directory
        directory.mkdir()
        directory.chmod(0o1777)     # processes of several users write there
        library = subprocess.run(
            ["gcc", "-print-file-name=libasan.so"], check=True, timeout=30,
            capture_output=True, text=True).stdout.strip()
        self.environment = KEEP_MODULES | {
            "LD_PRELOAD": library,
            "ASAN_OPTIONS": "detect_leaks=1:verify_asan_link_order=0:"
                            "fast_unwind_on_malloc=0:"
                            f"log_path={directory}/report",
            "UBSAN_OPTIONS": f"print_stacktrace=1:log_path={directory}/report"}

    def service(self, name: str) -> str:
        """Settings that run the service under it."""
        script = self.directory / f"run-{name}"
        words = " ".join(f"{k}={v}" for k, v in self.environment.items())
        script.write_text(
            f'#!/bin/sh\nexec env {words} {LIBEXEC}/{name} "$@"\n')
        script.chmod(0o755)
        memory = 0 if imap.release() == "2.3" else "unlimited"
        return (f"service {name} {{\n  executable = {script}\n"
                f"  vsz_limit = {memory}\n}}\n")

    def findings(self) -> list:
        """Losses count if we have a part in them: Dovecot's own imapc loses
        a command that it never came to send.  Everything else counts."""
        found = []
        for path in self.directory.glob("report*"):
            text = path.read_text()
            if "LeakSanitizer: detected memory leaks" not in text:
                found.append(text)
            found += [loss for loss in re.findall(
                r"(?:Direct|Indirect) leak of .*?\n\n", text, re.S)
                if OURS.search(loss)]
        return found


@pytest.fixture(scope="module")
def sanitized(world):
    """The modules that run under it.  The one with the settings is loaded by
    Dovecot's configuration, which does not."""
    made = world.directory / "sanitized"
    shutil.copytree(SANITIZED, made, ignore=shutil.ignore_patterns("settings"))
    if (MODULES / "settings").exists():
        shutil.copytree(MODULES / "settings", made / "settings")
    return made


@pytest.fixture
def sanitizer(world, request):
    made = Sanitizer(world.directory / f"{name_of(request)}-reports")
    yield made
    assert not made.findings()


def watched(module: str) -> bool:
    """Does a process run with the library and the module?"""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        try:
            text = maps.read_text()
        except OSError:
            continue            # it has ended
        if "libasan" in text and module in text:
            return True
    return False


@pytest.mark.parametrize("token", ["good", "refused", "absent"])
def test_sanitized_doveadm(world, make, user, sanitized, sanitizer, token):
    down = make(["base", "imapc"], modules=sanitized)
    # doveadm starts itself anew, with what import_environment lets through.
    conf = down.directory / "doveadm.conf"
    conf.write_text(down.conf.read_text() + imap.imported(
        down.environment | sanitizer.environment))
    backup(world, down, user, token, conf=conf, prefix=["env", *(
        f"{k}={v}" for k, v in sanitizer.environment.items())])


def test_sanitized_services(world, make, user, sanitized, sanitizer):
    """imap, pop3 and submission; a good token and a refused one."""
    down = make(["base", "imapc", "smart-proxy", "submission"],
                modules=sanitized, extra="".join(
                    map(sanitizer.service, imap.PROTOCOLS)))
    client = mailbox.login(down, user)
    assert subjects(client) > 0
    assert watched("lib95_mailtoken_plugin.so")
    client.logout()
    client = poplib.POP3("127.0.0.1", down.ports.pop3, timeout=30)
    client.user(user)
    client.pass_(imap.LOCAL_PASSWORD)
    assert client.stat()[0] > 0
    client.quit()
    send(down, user)
    world.idp.revoke(world.agent.do("token", user).strip())
    refused(down, user)
    world.agent.do("refresh", user)
    send(down, user)


def test_sanitized_proxy(world, make, user, sanitized, sanitizer):
    down = make(["login-proxy"], modules=sanitized,
                extra=sanitizer.service("auth"))
    client = mailbox.login(down, user)
    assert subjects(client) > 0
    assert watched("libauthdb_mailtoken.so")
    client.logout()
    for job in (lambda: mailbox.login(down, user, "wrong"),
                lambda: absent(world, mailbox.login, down, user)):
        with pytest.raises(imaplib.IMAP4.error):
            job()
    down.stop()


def absent(world, job, *args):
    with world.trouble("absent"):
        job(*args)
