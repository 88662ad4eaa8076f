"""Clients that are slow, many or mad.

While they go on, a well-behaved client of another user asks again and again, as the plugin does, and each time has its answer well
before it would give up, after 10 seconds. The bad ones, if nothing else is said, are users whom no account allows, on the socket of the plugins. The
agent's memory and descriptors stay bounded, and are given back; so does its log."""

import os
import re
import signal
import subprocess
import threading
import time

import pytest

from lab.agent import BUILD, client_environment
from lab.ledger import times
from lab.marks import alone
from lab.lab import ACCOUNT
from lab.wait import until
from lab.watched import SANITIZED

pytestmark = alone

HOSTS = BUILD / "tests" / "system" / "hosts"
GOOD, KNOWN, ADMIN, STRANGERS = 70001, 70011, 70031, 71000
N_KNOWN = 6             # each could have a quarter of all places
OTHER = "other@contoso.example"
FILL = 2000             # accounts, for a large status
CONNECTIONS = 1024      # the default of max_connections
GIVE_UP_US = 10_000_000
LATE_MS = 2000          # the plugin ends so soon after that
BACKLOG = 1024          # of the socket
MEMORY_KB = 60 << 10    # more than before, at most
STRANGE_LINES = 20      # at once; then one in a second

# name: way, socket, uid, number of uids, connections of each, what is asked
GET, STATUS, KEY = "get", "status", "key"
ATTACKS = {
    "connections that say nothing": ("silent", GET, STRANGERS, 200, 10, GET),
    "a request byte by byte, and slowly": ("drip", GET, STRANGERS, 4, 100, GET),
    "requests as fast as possible": ("flood", GET, STRANGERS, 4, 50, GET),
    "garbage as fast as possible": ("garbage", GET, STRANGERS, 4, 50, GET),
    "10,000 connections at once, of one user":
        ("many", GET, STRANGERS, 1, 10000, GET),
    "10,000 connections at once, of 500 users":
        ("many", GET, STRANGERS, 500, 20, GET),
    "connections that die after the request":
        ("die", GET, STRANGERS, 4, 50, GET),
    "requests in pieces of one byte": ("pieces", GET, STRANGERS, 4, 50, GET),
    "clients that close their half after the request":
        ("half", GET, STRANGERS, 4, 50, GET),
    "requests with a byte too many": ("more", GET, STRANGERS, 4, 50, GET),
    "users with accounts of their own take all that they can":
        ("silent", GET, KNOWN, N_KNOWN, 300, GET),
    "the same user asks as fast as possible, within its share":
        ("flood", GET, GOOD, 1, 100, GET),
    "an administrator asks for the status of all, and never reads":
        ("deaf", GET, ADMIN, 1, 200, STATUS),
    "lookups: connections that say nothing":
        ("silent", KEY, STRANGERS, 200, 10, KEY),
    "lookups: a request byte by byte, and slowly":
        ("drip", KEY, STRANGERS, 4, 100, KEY),
    "lookups as fast as possible": ("flood", KEY, STRANGERS, 4, 50, KEY),
    "lookups by an allowed user that never reads":
        ("deaf", KEY, KNOWN, 1, 200, KEY),
    "lookups: garbage as fast as possible":
        ("garbage", KEY, STRANGERS, 4, 50, KEY),
}


def netstring(text: str) -> str:
    return f"{len(text)}:{text},"


def status(agent) -> dict:
    """The kernel's words on the process, in kB."""
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as file:
        return {key: int(value) for key, value in re.findall(
            r"^(VmRSS|VmHWM):\s+(\d+) kB", file.read(), re.M)}


def descriptors(agent) -> int:
    return len(os.listdir(f"/proc/{agent.process.pid}/fd"))


def worked(agent) -> int:
    """Ticks of the processor that it has had."""
    with open(f"/proc/{agent.process.pid}/stat", encoding="ascii") as file:
        return sum(map(int, file.read().rpartition(")")[2].split()[11:13]))


class Peak:
    """The most descriptors and memory that a process has had meanwhile."""

    def __init__(self, agent):
        self.agent = agent
        self.descriptors = self.memory = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch)

    def __enter__(self):
        self.thread.start()
        return self

    def _watch(self):
        while not self.ended.wait(0.02):
            self.descriptors = max(self.descriptors, descriptors(self.agent))
            self.memory = max(self.memory, status(self.agent)["VmRSS"])

    def __exit__(self, *exc):
        self.ended.set()
        self.thread.join(10)


class World:
    def __init__(self, lab):
        endpoint = lab.start_fault().endpoint("one")
        lookups = lab.directory / "lookups.d" / "lookups.sock"
        accounts = {
            ACCOUNT: lab.faulty(endpoint, allow=GOOD),
            OTHER: lab.faulty(endpoint, allow=" ".join(
                str(KNOWN + i) for i in range(N_KNOWN)))}
        for i in range(FILL):
            accounts[f"fill{i}@contoso.example"] = lab.faulty(
                endpoint, allow=KNOWN)
        self.agent = lab.make_agent(accounts, socketmap=lookups, admin=ADMIN)
        lookups.parent.mkdir(mode=0o755)
        os.chown(lookups.parent, self.agent.state.stat().st_uid, -1)
        self.agent.do("import", ACCOUNT, agent=False,
                      give=endpoint.refresh_token)
        self.agent.start()
        self.agent.do("token", ACCOUNT)
        self.lab = lab
        self.sockets = {GET: lab.socket, KEY: lookups}
        self.requests = {}
        for name, text in (
                (GET, f"version=1\nop=get\naccount={ACCOUNT}\n\n"),
                (STATUS, "version=1\nop=status\n\n"),
                (KEY, netstring(f"sasl {ACCOUNT}"))):
            self.requests[name] = lab.directory / f"request.{name}"
            self.requests[name].write_text(text)

    def good(self, kind: str, number: int) -> dict:
        """What a well-behaved client has seen."""
        done = subprocess.run(
            [HOSTS / "patient", self.sockets[kind], str(GOOD), str(number),
             "2", self.requests[kind]], timeout=120, check=True, text=True,
            capture_output=True).stdout
        seen = {key: int(value) for key, value in
                re.findall(r"(\w+)=(-?\d+)", done.splitlines()[0])}
        assert seen["failed"] == 0, done
        assert seen["max_us"] < GIVE_UP_US, done
        return seen

    def attack(self, way, to, uid, uids, each, ask) -> subprocess.Popen:
        return subprocess.Popen(
            list(map(str, (HOSTS / "crowd", way, self.sockets[to], uid, uids,
                           each, 120, self.requests[ask]))), text=True,
            stdout=subprocess.PIPE)


@pytest.fixture(scope="module")
def world(shared_lab):
    made = World(shared_lab)
    made.figures = []
    made.began = time.monotonic()
    return made


def show(us: int) -> str:
    return f"{us / 1000:,.2f} ms"


def row(name: str, tried, seen: dict, peak: Peak, after: int) -> list:
    return [name, tried, show(seen["median_us"]), show(seen["p99_us"]),
            show(seen["max_us"]), f"{peak.memory / 1024:,.0f} MB",
            peak.descriptors, after]


def test_without_an_attack(world):
    with Peak(world.agent) as peak:
        for kind, words in (GET, ""), (KEY, ", lookups"):
            seen = world.good(kind, times(200, 3000))
            world.figures.append(row(f"none{words}", 0, seen, peak,
                                     descriptors(world.agent)))


@pytest.mark.parametrize("name", ATTACKS)
def test_others_are_served(world, ledger, name):
    way, to, uid, uids, each, ask = ATTACKS[name]
    agent, before = world.agent, descriptors(world.agent)
    memory, ticks = status(agent)["VmRSS"], worked(agent)
    with Peak(agent) as peak:
        crowd = world.attack(way, to, uid, uids, each, ask)
        try:
            until(lambda: peak.descriptors > before + 3 or
                  worked(agent) > ticks + 5, 20, "a crowd")
            seen = world.good(to, times(40, 1000))
            assert agent.do("status", ACCOUNT)      # and root
            assert crowd.poll() is None
        finally:
            crowd.terminate()
            said = crowd.communicate(timeout=30)[0]
    tried, = map(int, re.findall(r"tried=(\d+)", said))
    assert crowd.returncode == 0 and tried >= min(each, 50), said
    assert peak.descriptors <= CONNECTIONS + before + 1
    assert SANITIZED or peak.memory - memory < MEMORY_KB, (
        memory, peak.memory)
    until(lambda: descriptors(agent) <= before, 20, "all descriptors back")
    world.figures.append(row(name, f"{tried:,}", seen, peak,
                             descriptors(agent)))
    ledger.row(name, tried, f"others are served, each of {seen['asked']:,} times")


def waiting(path) -> int:
    """Connections to the socket that have not been taken, and itself."""
    with open("/proc/net/unix", encoding="utf-8") as file:
        return sum(str(path) in line for line in file)


def log_in(world, number: int) -> dict:
    """By the plugin, so many at once."""
    done = subprocess.run(
        [HOSTS / "herd", str(number), ACCOUNT, "mailtoken:"], text=True,
        env=client_environment(MAILTOKEN_SOCKET=str(world.lab.socket),
                               SASL_PATH=str(world.lab.plugins(BUILD))),
        capture_output=True, timeout=60)
    return {key: int(value) for key, value in re.findall(
        r"(\w+)=(\d+)", done.stdout.splitlines()[0])}


def test_agent_hangs(world, ledger):
    """There is not even room in its queue: connect(2) would wait, too."""
    number = times(2, 100)
    agent = world.agent
    agent.process.signal(signal.SIGSTOP)
    crowd = world.attack("many", GET, STRANGERS, 1, BACKLOG + 500, GET)
    try:
        until(lambda: waiting(world.lab.socket) >= BACKLOG, 30, "a full queue")
        seen = log_in(world, number)
    finally:
        crowd.terminate()
        crowd.communicate(timeout=30)
        agent.process.signal(signal.SIGCONT)
    assert seen["ok"] == 0 and seen["fail"] == number
    assert seen["slowest_ms"] < GIVE_UP_US / 1000 + LATE_MS, seen
    assert log_in(world, number)["ok"] == number
    ledger.row("the agent hangs, and its queue is full", number,
               "the login fails after 10 seconds; when the agent is back, all "
               "are served", "nothing: Postfix tries again")


def test_log(world, ledger):
    """What strangers do leaves a line a second, and says how much it was."""
    text, passed = world.agent.text(), time.monotonic() - world.began
    lines = [line for line in text.splitlines() if re.search(
        rf" uid=(?!({GOOD}|{ADMIN}|0|{KNOWN // 10}\d) )7\d+ ", line + " ")]
    kept_back = sum(map(int, re.findall(r"kept_back=(\d+)",
                                        "\n".join(lines))))
    assert len(lines) <= STRANGE_LINES + passed + 1
    assert kept_back > len(lines)
    ledger.row("requests and connections that are refused fill the log",
               kept_back + len(lines),
               "a line a second, which says how many were kept back")


def test_table(world, ledger):
    """Written when all has been seen."""
    assert len(world.figures) == len(ATTACKS) + 2
    ledger.table(
        "A good client's time for an answer, and what the agent has",
        ["meanwhile", "connections tried", "median", "99 %", "longest",
         "memory", "descriptors", "afterwards"], world.figures,
        f"{FILL + 2:,} accounts; `max_connections` is {CONNECTIONS:,}. "
        "The crowd, at a lower priority (nice 10), and the good client share "
        "the processors with the agent.")
