"""The provider is away for an hour

One token endpoint has 1,000 accounts, the others some hundred (fewer in `make check`). Their tokens live for 60 to 90 minutes, and
clients ask for every account's token every few minutes. 20 minutes after the start the provider fails for an hour. The hour passes in minutes: the agent
is the real one with its own margins, back-off and time limits, but its clocks are preloaded ones that run many times faster
(tests/system/hosts/fasttime.c), and the provider in this test answers in less of that time than a real one does. All times here are
the agent's. An account whose token is still good must be served, whatever the provider does; the others must be told to try later."""

import re
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from lab import crowd, wire
from lab.agent import BUILD
from lab.fasttime import FastTime
from lab.ledger import times
from lab.wait import until

ACCOUNTS = times(40, 1000)      # where the answers are 503, and in one agent
FEWER = times(40, 250)          # at each other endpoint that fails
GOOD = times(20, 100)           # at the one that does not
SPEED = times(400, 100)
ASK_SPEED = 20                  # while clients ask: their limits are real
MINUTE = 60
AWAY, BACK, END = 20 * MINUTE, 80 * MINUTE, 100 * MINUTE
ASK_EVERY = 5 * MINUTE
STARTS = times(5, 20)
START_PER_S = 50                # first renewals of an agent
AT_ONCE = 50
DEAF = ".deaf.example"          # nobody answers for names there
DEAF_FOR = times(10, 30) * MINUTE
DEAF_SPEED = 60
PACE_S = 0.02                   # of a client, real
TIMEOUT_S = 120                 # of a request; real time is shorter

# How it fails: mode, Retry-After, words for the page, and the most requests
# an hour that the agent may make of it.
FAULTS = {
    "refuse": (0, "connections are refused", 150),
    "503": (0, "every answer is 503", 150),
    "503-later": (120, "every answer is 503 with Retry-After: 120", 40),
    "hang": (0, "requests are never answered", 150),
}


def count(name: str) -> int:
    """Accounts at that endpoint."""
    return {"good": GOOD, "503": ACCOUNTS}.get(name, FEWER)


@dataclass
class Gets:
    """What the clients of one endpoint's accounts have heard."""
    served: int = 0
    late: int = 0               # served with a token beyond its min_life
    told: int = 0               # it has expired: try again later
    failed: list = field(default_factory=list)
    least: float = 1e9          # life of a token that was handed out


class Outage:
    def __init__(self, lab):
        self.lab = lab
        self.clock = FastTime(lab.directory / "clock")
        self.crowd = crowd.Crowd(self.clock)
        lab.ends.callback(self.crowd.stop)
        self.at = {name: self.crowd.endpoint(lives=(3600, 5400), retry_after=ra)
                   for name, (ra, _, _) in FAULTS.items()}
        self.at["good"] = self.crowd.endpoint(lives=(3600, 5400))
        self.accounts = {account: name for name in self.at
                         for account in crowd.names(name, count(name))}
        self.gets = {name: Gets() for name in self.at}
        self.expires = {}
        self.agent = make_agent(lab, self.clock, {
            account: self.at[name] for account, name in self.accounts.items()})

    def ask_all(self):
        self.clock.run(ASK_SPEED)
        accounts = list(self.accounts)
        for i in range(0, len(accounts), AT_ONCE):
            now, some = self.clock.now(), accounts[i:i + AT_ONCE]
            answers = wire.ask_many(self.lab.socket, [
                {"op": "get", "account": account} for account in some])
            for account, answer in zip(some, answers):
                self._heard(account, answer, now,
                            self.gets[self.accounts[account]])
        self.clock.run(1)

    def _heard(self, account: str, answer: dict, now: float, gets: Gets):
        if answer.get("status") == "ok":
            self.expires[account] = int(answer["expires_at"])
            left = self.expires[account] - now
            assert left > -1, answer    # expires_at is whole seconds
            gets.served += 1
            gets.late += left < 900
            gets.least = min(gets.least, left)
        elif (self.expires[account] > self.clock.now() + 1
              or answer.get("kind") != "retry"):
            gets.failed.append(answer)
        else:
            gets.told += 1

    def run(self, until_s: float):
        """Clients ask meanwhile."""
        while self.clock.passed() < until_s:
            self.clock.wait(min(self.clock.passed() + ASK_EVERY, until_s), SPEED)
            self.ask_all()

    def failures(self) -> Counter:
        """Of renewals, as the agent has them: nobody else sees connections
        that are refused."""
        return Counter(
            self.accounts[account] for account in re.findall(
                r'event=renewal account=(\S+) result=retry', self.agent.text()))


def make_agent(lab, clock, accounts: dict):
    agent = lab.make_agent({name: crowd.keys(endpoint)
                            for name, endpoint in accounts.items()},
                           sockets=[lab.socket], http_timeout=TIMEOUT_S)
    crowd.log_in(agent, accounts)
    agent.environment = clock.environment
    return agent


@pytest.fixture(scope="module")
def outage(shared_lab):
    o = Outage(shared_lab)
    o.agent.start()
    o.clock.run(4)
    until(lambda: sum(e.tokens for e in o.at.values()) >= len(o.accounts),
          120, "the first tokens")
    o.ask_all()
    o.run(AWAY)
    for name in FAULTS:
        o.crowd.set(o.at[name], name.split("-")[0])
    o.away = o.clock.passed()
    o.run(BACK)
    o.during = o.failures()
    for name in FAULTS:
        o.crowd.set(o.at[name], "ok")
    o.back = o.clock.passed()
    o.tokens_then = {name: o.at[name].tokens for name in o.at}
    o.run(END)
    o.end = o.clock.passed()
    o.agent.stop()
    return o


@pytest.mark.parametrize("name", FAULTS)
def test_who_has_a_token_is_served(outage, ledger, name):
    gets = outage.gets[name]
    assert not gets.failed, (len(gets.failed), gets.failed[:3])
    assert gets.late and gets.told      # all that can be was tried
    asked = gets.served + gets.told
    ledger.row(
        f"the provider is away for an hour: {FAULTS[name][1]}", asked,
        f"every client with an account whose token was good got it ({gets.served:,}, "
        f"{gets.late:,} of them in the token's last 15 minutes); after its end "
        f"they were told to try later ({gets.told:,})")


@pytest.mark.parametrize("name", FAULTS)
def test_it_is_not_hammered_while_away(outage, ledger, name):
    endpoint, most = outage.at[name], FAULTS[name][2]
    seen = endpoint.between(outage.away, outage.back)
    tried = max(outage.during[name], seen)
    assert 2 <= tried <= most
    busiest = endpoint.busiest(outage.away, outage.back, MINUTE)
    assert busiest <= 40        # those that were due before one had failed
    ledger.row(
        f"renewals tried in that hour: {FAULTS[name][1]}", tried,
        f"no more than these, for its {count(name):,} accounts and their clients together"
        + (f", at most {busiest} a minute" if seen else ""))


@pytest.mark.parametrize("name", FAULTS)
def test_no_herd_when_it_is_back(outage, ledger, name):
    """One pace for all: at most 3.3 a second, if they are 1,000."""
    endpoint = outage.at[name]
    busiest = endpoint.busiest(outage.back, outage.end, MINUTE)
    assert busiest <= 220
    assert endpoint.most_in_flight <= 32
    assert endpoint.refused == 0
    assert endpoint.tokens - outage.tokens_then[name] >= count(name)
    stale = [account for account, at in outage.accounts.items()
             if at == name and outage.expires[account]
             < outage.clock.starts[0] / 1e9 + outage.back + 3600]
    assert not stale, (len(stale), stale[:3])
    nth = [at for at in endpoint.requests if at >= outage.back]
    fresh = nth[count(name) - 1] - outage.back
    ledger.row(
        f"the provider is back, after: {FAULTS[name][1]}", count(name),
        f"all accounts had a new token within {fresh / MINUTE:.0f} minutes; in the "
        f"busiest of these were {busiest} requests")


def test_the_other_provider(outage, ledger):
    """Slots that hang, connections and timers are no concern of its."""
    gets, endpoint = outage.gets["good"], outage.at["good"]
    assert not gets.failed and not gets.told and not gets.late
    assert gets.least > 3600 / 2 - 3 * MINUTE
    assert endpoint.tokens >= 3 * GOOD
    ledger.row("another provider's accounts, while all of these fail",
               gets.served, "served, and renewed at half of their tokens' life")


def test_figures(outage, ledger):
    def cells(begin):
        return [str(outage.at[name].between(begin, begin + 5 * MINUTE))
                for name in outage.at]
    ledger.table(
        "Requests at the provider in five minutes",
        ["from minute", "the provider"] + [
            {"refuse": "refuses", "503-later": "503, Retry-After",
             "hang": "hangs", "good": "another one"}.get(name, name)
            for name in outage.at],
        [[begin // MINUTE, "is away" if AWAY <= begin < BACK else "is well",
          *cells(begin)] for begin in range(0, END, 5 * MINUTE)],
        f"{ACCOUNTS:,} accounts where it is 503, {FEWER} at each other that fails, "
        f"{GOOD} at the last. Refused connections are not counted here.")


def test_hanging_from_the_start(lab, ledger):
    """All are due at once, most of them at a provider that hangs."""
    clock = FastTime(lab.directory / "clock")
    providers = crowd.Crowd(clock)
    lab.ends.callback(providers.stop)
    bad, good = providers.endpoint(mode="hang"), providers.endpoint()
    accounts = {name: bad for name in crowd.names("bad", ACCOUNTS)}
    accounts |= {name: good for name in crowd.names("good", GOOD)}
    agent = make_agent(lab, clock, accounts)
    agent.start()
    clock.run(3)
    until(lambda: good.tokens == GOOD, 60, "the good provider's accounts")
    took = clock.passed()
    assert took <= len(accounts) / START_PER_S + 30
    assert bad.most_in_flight <= 8
    agent.kill()
    ledger.row("start, with most accounts at a provider that hangs", GOOD,
               f"the other provider's accounts had their tokens {took:.0f} s "
               f"after the start (begun at {START_PER_S} a second)")


class DeafNames:
    """hosts/deafname.c, for an agent's environment."""

    def __init__(self, path: Path, others: dict):
        self.path = path
        self.begin()
        self.environment = others | {
            "LD_PRELOAD": f"{BUILD}/tests/system/hosts/deafname.so:"
                          f"{others['LD_PRELOAD']}",
            "DEAFNAME": DEAF, "DEAFNAME_FILE": str(path)}

    def begin(self):
        self.path.touch()
        self.path.chmod(0o666)

    def lookups(self) -> int:
        return self.path.stat().st_size


def threads(agent) -> int:
    return len(list(Path(f"/proc/{agent.process.pid}/task").iterdir()))


def test_no_name_server(lab, ledger):
    """Lookups last longer than anybody waits for them: until the test ends
    that, or for a real minute."""
    clock = FastTime(lab.directory / "clock")
    providers = crowd.Crowd(clock)
    lab.ends.callback(providers.stop)
    good = providers.endpoint()
    bad = crowd.names("bad", ACCOUNTS)
    agent = make_agent(lab, clock, {
        name: good for name in bad + crowd.names("good", GOOD)})
    for name in bad:
        agent.accounts[name] |= {"token_endpoint": f"https://login{DEAF}/"}
    agent.write()
    names = DeafNames(lab.directory / "deaf", clock.environment)
    agent.environment = names.environment
    agent.start()
    until(lambda: names.lookups() and good.tokens == GOOD, 60, "all renewals")

    clock.run(DEAF_SPEED)
    slowest = served = 0
    while clock.passed() < DEAF_FOR:
        with wire.connect(lab.socket) as waits:
            waits.sendall(b"version=1\nop=get\naccount=%s\n\n"
                          % bad[served % 20].encode())
            began = time.monotonic()
            answer = wire.ask(lab.socket, op="get",
                              account=crowd.names("good", 1)[0])
            slowest = max(slowest, time.monotonic() - began)
            assert answer["status"] == "ok", answer
        served += 1
        time.sleep(PACE_S)
    clock.run(1)
    tried = names.lookups()
    assert slowest < 5                  # 0.1 is usual
    assert tried <= 40 + DEAF_FOR / MINUTE * 3
    assert threads(agent) <= 1 + tried
    said = [event["text"] for event in agent.events("renewal")
            if event["result"] != "ok"]
    assert said and all("cannot find the address" in text for text in said)
    names.path.unlink()
    until(lambda: threads(agent) == 1, 20, "the threads' end")

    # Nor does its own end wait for them.
    names.begin()
    clock.run(100)
    until(names.lookups, 30, "a lookup")
    clock.run(1)
    began = time.monotonic()
    assert agent.stop() == 0
    assert time.monotonic() - began < 10
    ledger.row("the name server does not answer", served,
               "clients with an account at another provider had their token "
               f"within {slowest * 1000:.0f} ms; {tried} lookups in "
               f"{DEAF_FOR // MINUTE} minutes for all of the other's accounts")


def test_killed_again_and_again_in_an_outage(lab, ledger):
    clock = FastTime(lab.directory / "clock")
    providers = crowd.Crowd(clock)
    lab.ends.callback(providers.stop)
    endpoint = providers.endpoint(mode="503")
    accounts = {name: endpoint for name in crowd.names("a", ACCOUNTS)}
    agent = make_agent(lab, clock, accounts)
    per_start = []
    for _ in range(STARTS):
        before = len(endpoint.requests)
        agent.start()
        clock.wait(clock.passed() + 5, 10)
        answers = [wire.ask(lab.socket, op="get", account=account)
                   for account in list(accounts)[:20]]
        assert {a.get("kind") for a in answers} == {"retry"}
        agent.kill()
        per_start.append(len(endpoint.requests) - before)
    assert 1 <= max(per_start) <= 10, per_start
    ledger.row("the agent dies five seconds after each start, in an outage",
               STARTS, f"at most {max(per_start)} requests for {ACCOUNTS:,} "
               "accounts and 20 clients between two starts")

    providers.set(endpoint, "ok")
    begin = clock.passed()
    agent.start()
    check_start(endpoint, begin)
    agent.stop()

    # A night later all tokens have expired.
    clock.wait(clock.passed() + 8 * 3600, 40000)
    begin = clock.passed()
    agent.start()
    busiest = check_start(endpoint, begin)
    agent.stop()
    ledger.row("start, with all tokens expired", ACCOUNTS,
               f"all renewed; at most {busiest} requests in five seconds")


def check_start(endpoint, begin: float) -> int:
    clock = endpoint.clock
    clock.run(2)
    until(lambda: endpoint.between(begin, clock.passed()) >= ACCOUNTS, 90,
          "everybody's renewal")
    clock.wait(clock.passed() + 10, 5)
    requests = endpoint.between(begin, clock.passed())
    busiest = endpoint.busiest(begin, clock.passed(), 5)
    assert ACCOUNTS <= requests <= 1.1 * ACCOUNTS
    assert busiest <= 1.5 * 5 * START_PER_S
    return busiest
