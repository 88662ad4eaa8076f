"""The agent restarted, killed and replaced under Postfix's load.

Postfix hands messages over all the time, each with a login of its own and so with a token. Where systemd holds the sockets, clients
wait there for the next agent. A message counts as lost if it does not arrive, bounces, or arrives twice; how many were deferred, to
be sent a little later, is said in the table."""

import os
import shutil
import subprocess
import threading
import time
from collections import Counter

import pytest

from lab.agent import BUILD
from lab.ledger import times
from lab.lab import ACCOUNT
from lab.manager import Manager
from lab.postfix import RECIPE
from lab.wait import until

HOSTS = BUILD / "tests" / "system" / "hosts"
HUNG = "hung@contoso.example"
STRANGER = 71000
AT_A_TIME, BATCH = 10, 30
HANGS_S = times(4, 12)  # longer than the plugin waits, if it may
IDLE_S = 1


class Load:
    """Messages by Postfix, until it is left; then all have arrived."""

    def __init__(self, world):
        self.world = world
        self.sent = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.failed = None

    def _run(self):
        while not self.ended.is_set():
            try:
                subprocess.run(
                    ["smtp-source", "-s", str(AT_A_TIME), "-m", str(BATCH),
                     "-l", "500", "-f", ACCOUNT, "-t", "inbox@fabrikam.example",
                     f"127.0.0.1:{self.world.down.port}"], check=True,
                    timeout=120, stdout=subprocess.DEVNULL)
            except (subprocess.SubprocessError, OSError) as error:
                self.failed = error
                return
            self.sent += BATCH

    def __enter__(self):
        self.world.fake.messages.clear()
        self.deferred = self._lines("deferred")
        self.bounced = self._lines("bounced")
        self.thread.start()
        return self

    def _lines(self, status: str) -> int:
        return self.world.down.text().count(f" status={status} ")

    def under_way(self, more: int = 15):
        """Waits until some more have arrived."""
        begin = len(self.world.fake.messages)
        until(lambda: self.failed or
              len(self.world.fake.messages) - begin > more, 90, "messages")

    def __exit__(self, *exc):
        self.ended.set()
        self.thread.join(150)
        if exc[0]:
            return
        assert not self.failed, self.failed
        self.world.down.drain(90)
        self.deferred = self._lines("deferred") - self.deferred
        assert self._lines("bounced") == self.bounced
        assert Counter(self.world.fake.messages) == {ACCOUNT: self.sent}


@pytest.fixture(scope="module")
def world(shared_lab):
    lab = shared_lab
    lab.start_fake()
    lab.endpoints = {name: lab.start_fault().endpoint(name)
                     for name in (ACCOUNT, HUNG)}
    lab.lookups = lab.chroot_socket.parent / "postfix.sock"
    agent = lab.make_agent(
        {name: lab.faulty(endpoint) for name, endpoint in
         lab.endpoints.items()}, http_timeout=HANGS_S)
    for name, endpoint in lab.endpoints.items():
        agent.do("import", name, agent=False, give=endpoint.refresh_token)
        agent.do("token", name, agent=False)
    lab.program = lab.directory / "mailtokend"
    shutil.copy(BUILD / "mailtokend", lab.program)
    lab.manager = Manager(agent, {
        lab.socket: "agent", lab.chroot_socket: "agent",
        lab.lookups: "socketmap"}, lab.program)
    lab.ends.callback(lab.manager.stop)
    lab.manager.start()
    lab.start_downstream(**RECIPE)
    lab.figures = []
    return lab


@pytest.fixture
def lookups(world):
    """Postfix asks the agent for the password as well."""
    before = world.down.settings["smtp_sasl_password_maps"]
    world.down.set(
        smtp_sasl_password_maps="socketmap:unix:run/mailtoken/postfix.sock:sasl",
        smtp_sender_dependent_authentication="yes")
    yield world
    world.down.set(smtp_sasl_password_maps=before,
                   smtp_sender_dependent_authentication="no")


def run(world, name: str, number: int, do) -> Load:
    """do() again and again while Postfix sends; what came of it."""
    slowest = 0
    with Load(world) as load:
        for _ in range(number):
            load.under_way()
            began = time.monotonic()
            do()
            slowest = max(slowest, time.monotonic() - began)
        load.under_way()
    world.figures.append([name, number, f"{load.sent:,}", load.deferred,
                          f"{slowest:.1f} s"])
    return load


NO_ONE_WAITS = "all messages arrived, once, and none was deferred"
NAMES = {"restart": "systemctl restart",
         "lookups": "systemctl restart, with lookups for each login",
         "reload": "systemctl reload",
         "kill": "kill -9 of the agent; systemd starts it again",
         "upgrade": "the program replaced by another version, and restarted",
         "slow": "systemctl restart, while others hold requests back",
         "hang": "systemctl restart, while the provider does not answer",
         "idle": "idle_exit: the agent leaves, and comes back when asked",
         "hand": "restarted by hand, without systemd's sockets"}


def test_restart(world, ledger):
    n = times(3, 20)
    assert not run(world, NAMES["restart"], n, world.manager.restart).deferred
    ledger.row(NAMES["restart"], n, NO_ONE_WAITS)


def test_restart_with_lookups(lookups, ledger):
    n = times(2, 20)
    assert not run(lookups, NAMES["lookups"], n,
                   lookups.manager.restart).deferred
    ledger.row(NAMES["lookups"], n, NO_ONE_WAITS)


def test_reload(world, ledger):
    n = times(3, 20)
    assert not run(world, NAMES["reload"], n, world.manager.reload).deferred
    ledger.row(NAMES["reload"], n, NO_ONE_WAITS)


def test_kill(world, ledger):
    """Who was just asking asks the next agent."""
    n = times(2, 20)
    assert not run(world, NAMES["kill"], n, world.manager.kill).deferred
    ledger.row(NAMES["kill"], n, NO_ONE_WAITS)


def test_upgrade(world, ledger):
    """mv over the program, and install, which makes a new one."""
    version = (BUILD / "mailtokend").read_bytes()
    number = iter(range(10 ** 6))

    def replace():
        new = world.program.with_name("mailtokend.new")
        here = subprocess.run([BUILD / "mailtokend", "-V"], check=True,
                              capture_output=True, text=True).stdout.split()[1]
        # As long, so that it can be put into the program.
        other = f"{next(number) % 10}" + here[1:]
        new.write_bytes(version.replace(here.encode() + b"\0",
                                        other.encode() + b"\0"))
        new.chmod(0o755)
        if other[0] in "02468":
            new.rename(world.program)
        else:
            subprocess.run(["install", "-m", "755", new, world.program],
                           check=True)
        world.manager.restart()
        assert world.agent.events("ready")[-1]["version"] == other

    n = times(2, 20)
    assert not run(world, NAMES["upgrade"], n, replace).deferred
    ledger.row(NAMES["upgrade"], n, NO_ONE_WAITS)


def test_restart_with_slow_clients(world, ledger):
    """Who has asked half a question must not keep the next agent waiting."""
    requests = {}
    for kind, text in ("get", "version=1\n"), ("key", "9:sasl"):
        requests[kind] = world.directory / f"half.{kind}"
        requests[kind].write_text(text)
    crowds = [subprocess.Popen(
        list(map(str, (HOSTS / "crowd", "begin", path, STRANGER, 2, 20, 250,
                       requests[kind]))), stdout=subprocess.DEVNULL)
        for path, kind in ((world.socket, "get"), (world.lookups, "key"))]
    n = times(1, 10)

    def restart():
        pid = world.agent.process.pid
        until(lambda: len(os.listdir(f"/proc/{pid}/fd")) > 80, 20, "a crowd")
        world.manager.restart()

    try:
        load = run(world, NAMES["slow"], n, restart)
        assert [crowd.poll() for crowd in crowds] == [None, None]
    finally:
        for crowd in crowds:
            crowd.terminate()
            crowd.wait(30)
    assert not load.deferred
    ledger.row(NAMES["slow"], n, NO_ONE_WAITS)


def test_restart_with_a_renewal_in_flight(world, ledger):
    """It is waited for, since its answer may carry a new login; meanwhile
    tokens are handed out."""
    world.endpoints[HUNG].mode = "hang"
    renewals = []

    def restart():
        before = world.endpoints[HUNG].in_flight
        renewals.append(subprocess.Popen(
            [BUILD / "mailtoken", "-s", world.socket, "refresh", HUNG],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until(lambda: world.endpoints[HUNG].in_flight > before, 20,
              "a renewal")
        world.manager.restart()

    n = times(1, 5)
    try:
        load = run(world, NAMES["hang"], n, restart)
        assert not load.deferred
    finally:
        world.endpoints[HUNG].mode = "ok"
        for renewal in renewals:
            renewal.wait(30)
    ledger.row(NAMES["hang"], n, NO_ONE_WAITS)


def test_idle_exit(world, ledger):
    """The first who comes waits for the start."""
    agent = world.agent
    agent.settings["idle_exit"] = IDLE_S
    agent.write()
    world.manager.restart()
    n, sent = times(1, 10), 0
    before = len(world.down.deliveries("deferred"))
    world.fake.messages.clear()
    for _ in range(n):
        until(lambda: not agent.process.alive(), IDLE_S + 20, "its end")
        world.down.send(AT_A_TIME, sender=ACCOUNT)
        sent += AT_A_TIME
        until(lambda: len(world.fake.messages) >= sent, 60, "messages")
    world.down.wait_empty(30)
    assert len(agent.events("stopped")) >= n
    assert Counter(world.fake.messages) == {ACCOUNT: sent}
    assert len(world.down.deliveries("deferred")) == before
    del agent.settings["idle_exit"]
    agent.write()
    world.figures.append([NAMES["idle"], n, f"{sent:,}", 0, "-"])
    ledger.row(NAMES["idle"], n, NO_ONE_WAITS)


def test_restart_by_hand(world, ledger):
    """Last: its sockets are the agent's own."""
    world.manager.stop()
    for path in (world.socket, world.chroot_socket):
        path.unlink()
    agent = world.agent
    shutil.chown(world.chroot_socket.parent, "mailtoken")
    agent.start()

    def restart():
        assert agent.stop() == 0
        agent.start()

    n = times(2, 20)
    load = run(world, NAMES["hand"], n, restart)
    ledger.row(NAMES["hand"], n, "all messages arrived, once; those that came "
               "while there was no agent were deferred")
    assert load.sent


def test_table(world, ledger):
    ledger.table(
        "Postfix's messages meanwhile",
        ["fault", "tried", "messages", "of these deferred",
         "longest until the agent was ready"], world.figures)
    assert len(world.figures) == len(NAMES)
