"""The agent is told to stop while renewals are under way."""

import contextlib
import fcntl
import json
import signal
import subprocess

import pytest

from lab import wire
from lab.agent import BUILD
from lab.fasttime import FastTime
from lab.lab import ACCOUNT
from lab.wait import until

OTHER = "other@contoso.example"
ASK_S = 10          # how long renewals may still begin, and
TIMES = 10          # as fast as real time
SLOW_S = 45         # a provider's answer


@pytest.fixture
def hurried(lab):
    """An agent whose clock the test has, and a refresh token for each account
    that is good for one use."""
    lab.start_fault()
    lab.endpoints = {name: lab.fault.endpoint(name, mode="rotate")
                     for name in (ACCOUNT, OTHER)}
    agent = lab.make_agent({name: lab.faulty(endpoint) for name, endpoint in
                            lab.endpoints.items()}, http_timeout=120)
    lab.clock = FastTime(agent.directory / "clock")
    for name, endpoint in lab.endpoints.items():
        agent.do("import", name, agent=False, give=endpoint.refresh_token)
    return lab


def start(lab):
    lab.agent.environment = lab.clock.environment
    lab.agent.start()
    lab.agent.environment = {}
    return lab


@contextlib.contextmanager
def lock(agent, account: str):
    """As another process holds it."""
    with open(agent.state / f"{account}.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield


def begin_refresh(agent, account: str) -> subprocess.Popen:
    return subprocess.Popen(
        [BUILD / "mailtoken", "-s", agent.sockets[0], "refresh", account],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def renewed(agent, account: str) -> bool:
    return bool(agent.events("renewal", account))


def waits(agent, account: str) -> bool:
    """Somebody does, for a renewal of it."""
    rows = json.loads(agent.do("status", "--json"))
    return any(row["account"] == account and row["waiting"] for row in rows)


def expect_end(lab, within: float = 60):
    """Of its own accord, with code 0."""
    until(lambda: not lab.agent.process.alive(), within, "its end")
    assert lab.agent.process.popen.returncode == 0


def test_who_waits_for_a_lock_asks_no_more(hurried):
    """Nobody waits for the renewal: the agent goes at once."""
    agent, endpoint = hurried.agent, hurried.endpoints[ACCOUNT]
    with lock(agent, ACCOUNT):
        start(hurried)
        until(lambda: renewed(agent, OTHER), 20, "the other's token")
        told = hurried.clock.passed()
        agent.process.signal(signal.SIGTERM)
        expect_end(hurried)
    assert agent.events("stopping")[-1]["renewals"] == "1"
    assert "stopping" in agent.events("renewal", ACCOUNT)[-1]["text"]
    assert endpoint.count == 0 and not agent.events("renewal-cut-off")
    assert hurried.clock.passed() - told < ASK_S - 1


def test_who_is_waited_for_has_ten_seconds(hurried):
    """More than a client waits; the lock is never let go."""
    agent, endpoint = start(hurried).agent, hurried.endpoints[ACCOUNT]
    until(lambda: renewed(agent, ACCOUNT), 20, "a token")
    with lock(agent, ACCOUNT):
        client = begin_refresh(agent, ACCOUNT)
        until(lambda: waits(agent, ACCOUNT), 20, "the client")
        agent.process.signal(signal.SIGTERM)
        until(lambda: agent.events("stopping"), 20, "the signal")
        told = hurried.clock.passed()
        hurried.clock.run(TIMES)
        expect_end(hurried)
        took = hurried.clock.passed() - told
    hurried.clock.run(1)
    client.communicate(timeout=30)
    assert "stopping" in agent.events("renewal", ACCOUNT)[-1]["text"]
    assert endpoint.count == 1 and took > ASK_S - 1


def test_a_slow_answer_is_waited_for(hurried):
    """As long as one may take at most; clients are served meanwhile, but no
    provider is asked any more."""
    agent, endpoint = start(hurried).agent, hurried.endpoints[ACCOUNT]
    until(lambda: renewed(agent, ACCOUNT) and renewed(agent, OTHER), 20,
          "tokens")
    endpoint.delay = SLOW_S / TIMES
    client = begin_refresh(agent, ACCOUNT)
    until(lambda: endpoint.count == 2, 20, "the question")
    agent.process.signal(signal.SIGTERM)
    until(lambda: agent.events("stopping"), 20, "the signal")
    hurried.clock.run(TIMES)
    end = hurried.clock.passed() + ASK_S + 2
    until(lambda: hurried.clock.passed() > end, 30, "ten seconds")
    answers = [wire.ask(agent.sockets[0], op=op, account=OTHER)
               for op in ("get", "refresh")]
    expect_end(hurried)
    hurried.clock.run(1)
    client.communicate(timeout=30)
    until(lambda: endpoint.in_flight == 0, 30, "the provider")
    assert answers[0]["status"] == "ok"
    assert answers[1]["kind"] == "retry" and "stopping" in answers[1]["text"]
    assert hurried.endpoints[OTHER].count == 1
    assert endpoint.count == 2 and endpoint.alive
    assert agent.grant(ACCOUNT)["refresh_token"] == endpoint.refresh_token
    assert not agent.events("renewal-cut-off")


def test_who_waits_for_a_connection_asks_no_more(lab):
    """A provider has eight at a time."""
    lab.start_fault()
    names = [f"account{number}@contoso.example" for number in range(9)]
    endpoints = {name: lab.fault.endpoint(name, mode="rotate", delay=4)
                 for name in names}
    agent = lab.make_agent({name: lab.faulty(endpoint)
                            for name, endpoint in endpoints.items()})
    for name, endpoint in endpoints.items():
        agent.do("import", name, agent=False, give=endpoint.refresh_token)
    agent.start()
    until(lambda: sum(e.count for e in endpoints.values()) == 8, 20, "eight")
    agent.process.signal(signal.SIGTERM)
    expect_end(lab)
    queued, = [name for name in names if not endpoints[name].count]
    # If it had begun at all.
    assert all("stopping" in line["text"]
               for line in agent.events("renewal", queued))
    for name, endpoint in endpoints.items():
        assert agent.grant(name)["refresh_token"] == endpoint.refresh_token
