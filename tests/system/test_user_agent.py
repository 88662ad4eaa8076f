"""A user's own agent: its places, its socket, and its end when it is idle."""

import os
import pwd
import shutil
import socket
import subprocess
import time

import pytest

from lab import sealed
from lab.agent import BUILD, EX_CONFIG, EX_OK, client_environment
from lab.diskfault import FULL_DISK, LIBRARY, DiskFault
from lab.process import Process
from lab.wait import until

NAME = "me@contoso.example"
IDLE = 2
# Hands a listening socket over as systemd does.
ACTIVATE = ('import os, sys; os.dup2(int(sys.argv[1]), 3);'
            'os.set_inheritable(3, True);'
            'os.environ["LISTEN_PID"] = str(os.getpid());'
            'os.environ["LISTEN_FDS"] = "1";'
            'os.execv(sys.argv[2], sys.argv[2:])')


class Home:
    """A home directory of nobody's, who is not root."""

    def __init__(self, directory):
        self.who = pwd.getpwnam("nobody")
        self.directory = directory / "home"
        self.runtime = directory / "run"
        self.programs = directory / "bin"
        for made in (self.directory, self.runtime, self.programs):
            made.mkdir(mode=0o755)
        for made in (self.directory, self.runtime):
            os.chown(made, self.who.pw_uid, self.who.pw_gid)
            made.chmod(0o700)
        for name in ("mailtoken", "mailtokend"):
            shutil.copy(BUILD / name, self.programs)
        self.socket = self.runtime / "mailtoken" / "agent.sock"
        self.conf = self.directory / ".config/mailtoken/mailtoken.conf"
        self.environment = client_environment(
            HOME=str(self.directory), XDG_RUNTIME_DIR=str(self.runtime))
        self.as_user = {"user": self.who.pw_uid, "group": self.who.pw_gid,
                        "extra_groups": []}

    def run(self, *args, give="", **more):
        return subprocess.run(
            [self.programs / "mailtoken", *args], input=give, text=True,
            capture_output=True, timeout=30,
            env=self.environment | more, **self.as_user)

    def do(self, *args, **more):
        done = self.run(*args, **more)
        assert done.returncode == EX_OK, (args, done.stderr)
        return done

    def start(self, log, *args):
        return Process([self.programs / "mailtokend", "--user", "-f", *args],
                       log, env=self.environment, **self.as_user)


@pytest.fixture
def home(lab):
    return Home(lab.directory)


@pytest.fixture
def account(lab, home):
    """Added by the command that a user would type."""
    endpoint = lab.start_fault().endpoint("a")
    keys = {"provider": "custom", "grant": "refresh_token",
            "client-id": "native", "token-endpoint": endpoint.url,
            "insecure-http": "yes", "scope": "mail", "allow": "nobody"}
    home.do("--user", "add", NAME, *(
        word for key, value in keys.items()
        for word in (f"--{key}", value)))
    return endpoint


def test_places(lab, home, account):
    assert home.conf.stat().st_mode & 0o777 == 0o600
    # The configuration is there now: --user goes without saying.
    home.do("import", NAME, give=account.refresh_token)
    state = home.directory / ".local/state/mailtoken"
    assert state.stat().st_mode & 0o777 == 0o700
    assert (state / f"{NAME}.grant").stat().st_uid == home.who.pw_uid
    assert home.do("check").stderr.endswith("nothing wrong\n")

    agent = home.start(lab.directory / "agent.log")
    try:
        until(lambda: "event=ready" in agent.text(), 20, "the agent")
        assert home.socket.stat().st_uid == home.who.pw_uid
        token = home.do("token", NAME).stdout.strip()
        assert token == account.access_tokens[-1]
        assert "event=token" in agent.text()
        other = subprocess.run(
            [home.programs / "mailtoken", "-s", home.socket, "status"],
            env=client_environment(), capture_output=True, text=True,
            timeout=30)
        assert other.returncode == EX_OK      # root may look
    finally:
        agent.stop()


def test_idle_agent_leaves_and_comes_back(lab, home, account):
    home.do("import", NAME, give=account.refresh_token)
    home.conf.write_text(f"[agent]\nidle_exit = {IDLE}\n" +
                         home.conf.read_text())
    home.socket.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.socket))
        os.chmod(home.socket, 0o666)
        home.socket.parent.chmod(0o755)
        home.runtime.chmod(0o711)
        listening.listen(16)
        for turn in range(2):
            log = lab.directory / f"agent{turn}.log"
            agent = Process(
                ["/usr/bin/python3", "-c", ACTIVATE, str(listening.fileno()),
                 home.programs / "mailtokend", "--user", "-f"], log,
                env=home.environment, pass_fds=[listening.fileno()],
                **home.as_user)
            try:
                until(lambda: "event=ready" in agent.text(), 20, "the agent")
                began = time.monotonic()
                assert home.do("token", NAME).stdout
                until(lambda: not agent.alive(), IDLE + 10, "the agent's end")
                assert time.monotonic() - began >= IDLE
                assert agent.popen.returncode == 0
                assert home.socket.exists()
            finally:
                agent.stop()
    assert account.count >= 1


def test_idle_agent_stays_with_what_is_not_saved(lab, home, account):
    """Its memory would be the only place that has the new login."""
    account.mode = "rotate"
    home.do("import", NAME, give=account.refresh_token)
    home.conf.write_text(f"[agent]\nidle_exit = {IDLE}\n" +
                         home.conf.read_text())
    disk = DiskFault(home.directory / ".local/state/mailtoken",
                     lab.directory / "disk")
    preload = str(shutil.copy(LIBRARY, home.programs))
    home.socket.parent.mkdir()
    home.socket.parent.chmod(0o755)
    home.runtime.chmod(0o711)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(home.socket))
        os.chmod(home.socket, 0o666)
        listening.listen(16)
        agent = Process(
            ["/usr/bin/python3", "-c", ACTIVATE, str(listening.fileno()),
             home.programs / "mailtokend", "--user", "-f"],
            lab.directory / "agent.log",
            env=home.environment | disk.environment | {"LD_PRELOAD": preload},
            pass_fds=[listening.fileno()], **home.as_user)
        try:
            until(lambda: "event=renewal" in agent.text(), 20, "a token")
            disk.order(1, FULL_DISK)
            home.do("refresh", NAME)
            assert "event=state-not-saved" in agent.text()
            time.sleep(2 * IDLE)
            assert agent.alive()
            disk.order()
            home.do("refresh", NAME)
            until(lambda: not agent.alive(), IDLE + 10, "the agent's end")
            assert agent.popen.returncode == 0
        finally:
            agent.stop()
    grant = sealed.text(disk.directory / f"{NAME}.grant",
                        home.conf.parent / "seal.key").decode()
    assert f"refresh_token={account.refresh_token}\n" in grant


def test_secrets_are_the_users(lab, home, account):
    """Texts name who runs the agent, not the system's."""
    secret = home.directory / "secret"
    secret.write_text("x\n")
    secret.chmod(0o600)         # root's
    with home.conf.open("a") as conf:
        conf.write(f"client_secret = file:{secret}\n")
    for done in (
            home.run("check"),
            subprocess.run(
                [home.programs / "mailtokend", "--user", "-n"], text=True,
                capture_output=True, timeout=30, env=home.environment,
                **home.as_user)):
        assert done.returncode == EX_CONFIG
        assert str(secret) in done.stderr
        assert "let it belong to nobody (chown)" in done.stderr


def test_what_is_missing_is_said(lab, home, account):
    del home.environment["XDG_RUNTIME_DIR"]
    agent = home.start(lab.directory / "agent.log")
    try:
        until(lambda: not agent.alive(), 20, "the agent's end")
    finally:
        agent.stop()
    assert "XDG_RUNTIME_DIR is not set" in agent.text()
    assert "listen = /PATH" in agent.text()
