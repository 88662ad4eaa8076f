"""Agents and commands at one state directory, and a provider that can wait."""

import contextlib
import fcntl
import subprocess
import threading
from types import SimpleNamespace

from . import wire
from .agent import BUILD, client_environment
from .logins import Logins

ONE = "box0@contoso.example"
MANY_S = 120            # more than any of the waits takes


class Gate:
    """Requests wait until they may go on; open: all of them may."""

    def __init__(self, provider):
        self.provider, self.dropping = provider, False
        self.asked, self.go = threading.Event(), threading.Event()
        self.answered = threading.Event()
        provider.hook = self._hook

    def _hook(self, when: str, request):
        if when == "answered":
            self.answered.set()
            return
        self.asked.set()
        self.go.wait(MANY_S)
        if self.dropping:
            raise BrokenPipeError

    def close(self):
        for event in (self.asked, self.go, self.answered):
            event.clear()

    def open(self):
        self.go.set()


def make_world(lab, name: str, one_time: bool, accounts: list = None,
               agents: int = 2, seed: int = 0,
               **provider) -> SimpleNamespace:
    """A provider, and agents with one state directory; none runs."""
    accounts = accounts or [ONE]
    made = SimpleNamespace(provider=Logins(one_time, seed, **provider),
                           accounts=accounts, agents=[])
    lab.ends.callback(made.provider.stop)
    for i in range(agents):
        first = made.agents[0] if made.agents else None
        shared = {"state_dir": first.state,
                  "seal_key": f"file:{first.seal_key}"} if first else {}
        agent = lab.make_agent(
            {account: made.provider.keys(account) for account in accounts},
            f"{name}{i}", [lab.directory / f"{name}{i}.d" / "sock"], **shared)
        if first:
            agent.state, agent.seal_key = first.state, first.seal_key
        made.agents.append(agent)
    made.first = made.agents[0]
    made.log_in = lambda account=ONE: made.first.do(
        "import", account, agent=False, give=made.provider.log_in(account))
    for account in accounts:
        made.log_in(account)
    return made


@contextlib.contextmanager
def worlds(lab):
    """A function like make_world(); all agents are stopped at the end."""
    every = []

    def made(one_time, *rest, **more):
        every.append(make_world(lab, f"w{len(every)}.", one_time, *rest,
                                **more))
        return every[-1]
    try:
        yield made
    finally:
        for each in every:
            for agent in each.agents:
                agent.stop()


def get(agent, op: str = "get", account: str = ONE) -> dict:
    return wire.ask(agent.sockets[0], op=op, account=account)


def begin(agent, *words, give: str = "", **environment) -> subprocess.Popen:
    """A command without the agent, in the background."""
    environment = {"MAILTOKEN_SOCKET": str(agent.directory / "nobody")
                   } | environment
    begun = subprocess.Popen(
        [*agent.wrapper, BUILD / "mailtoken", "-c", agent.conf, *words],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=client_environment(**environment))
    with contextlib.suppress(BrokenPipeError):
        begun.stdin.write(give)
        begun.stdin.close()
    begun.stdin = None
    return begun


def end(begun: subprocess.Popen) -> tuple:
    _, said = begun.communicate(timeout=MANY_S)
    return begun.returncode, said


@contextlib.contextmanager
def in_background(job, *rest, **more):
    """What it returns is in .value afterwards."""
    result = SimpleNamespace(value=None)

    def run():
        result.value = job(*rest, **more)
    thread = threading.Thread(target=run)
    thread.start()
    yield result
    thread.join(MANY_S)
    assert not thread.is_alive()


def lock_is_free(agent, account: str = ONE) -> bool:
    with open(agent.state / f"{account}.lock") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def holder(made, who: str, gate: Gate):
    """A process that has the lock, and its request at the provider."""
    if who == "command":
        victim = begin(made.first, "refresh", ONE)
    else:
        agent = made.agents[1]
        if agent.process and agent.process.alive():
            gate.open()         # else it takes what another one has got
            get(agent, "refresh")
            gate.close()
        else:
            agent.start()
        with wire.connect(agent.sockets[0]) as s:
            s.sendall(f"version=1\nop=refresh\naccount={ONE}\n\n".encode())
            assert gate.asked.wait(20)
        victim = agent.process.popen
    assert gate.asked.wait(20)
    return victim


def die(victim: subprocess.Popen):
    victim.kill()
    victim.wait(20)
    for pipe in (victim.stdout, victim.stderr):
        if pipe:
            pipe.close()
