"""A day of work

24 hours (some of them in `make check`) of 1,000 accounts with tokens of 60 to 90 minutes, on clocks that run faster (as above).
Every quarter of an hour clients ask for every account's token; some hang up before the answer, some send what is no request; mail
servers refuse tokens; Postfix looks senders up; an administrator asks for the status, renews, and reloads the configuration with and
without changes; logins fail and are good again; and once an hour the provider is away for ten minutes. Memory is what the kernel
counts for the agent; of the PSS it shares the program with others that run."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from lab import crowd, wire
from lab.fasttime import FastTime
from lab.ledger import times
from lab.wait import until

ACCOUNTS = times(100, 1000)
HOURS = times(3, 24)
SPEED = times(1800, 600)        # at most; slower if the machine is
ASK_SPEED = 2
HOUR, QUARTER = 3600, 900
AWAY_S = 600
AT_ONCE = 50
STEP_S = 150                    # of time, then a look whether all is done
WARM = max(HOURS // 6, 1)       # hours
GROWTH = 1.05
SLACK_KIB = times(1024, 0)      # in three hours chance decides on a few pages


def netstring(text: str) -> bytes:
    return b"%d:%b," % (len(text), text.encode())


class Day:
    def __init__(self, lab):
        self.clock = FastTime(lab.directory / "clock")
        self.crowd = crowd.Crowd(self.clock)
        lab.ends.callback(self.crowd.stop)
        self.endpoint = self.crowd.endpoint(lives=(3600, 5400))
        self.random = random.Random(6)
        self.lookups = lab.directory / "agent.sock.d" / "lookups.sock"
        self.accounts = crowd.names("a", ACCOUNTS)
        self.agent = lab.make_agent(
            {name: crowd.keys(self.endpoint) for name in self.accounts},
            sockets=[lab.socket], http_timeout=120, socketmap=self.lookups)
        self.socket = lab.socket
        crowd.log_in(self.agent,
                     {name: self.endpoint for name in self.accounts})
        self.agent.environment = self.clock.environment
        self.done = dict.fromkeys(
            ("tokens", "refused", "hung up", "nonsense", "lookups", "statuses",
             "renewals ordered", "logins lost", "reloads", "outages"), 0)
        self.failed = []
        self.samples = []

    def get(self, accounts: list) -> list:
        answers = wire.ask_many(self.socket, [
            {"op": "get", "account": account} for account in accounts])
        for account, answer in zip(accounts, answers):
            self.done["tokens"] += 1
            if answer.get("status") != "ok":
                self.failed.append((self.clock.passed(), account, answer))
        return answers

    def some(self, share: float) -> list:
        return self.random.sample(self.accounts,
                                  max(int(share * len(self.accounts)), 2))

    def refuse(self):
        """Mail servers refuse the newest token, or an old one."""
        accounts = self.some(0.02)
        for account, answer in zip(accounts, self.get(accounts)):
            generation = int(answer.get("generation", 1))
            wire.ask(self.socket, op="reject", account=account,
                     generation=generation - self.random.randint(0, 1),
                     reason="535 5.7.3 Authentication unsuccessful")
            self.done["refused"] += 1

    def hang_up(self):
        for account in self.some(0.02):
            with wire.connect(self.socket) as s:
                s.sendall(f"version=1\nop=get\naccount={account}\n"
                          .encode() + self.random.choice([b"", b"\n"]))
            self.done["hung up"] += 1

    def talk_nonsense(self):
        for _ in range(5):
            wire.ask_raw(self.socket, self.random.randbytes(3000) + b"\n\n")
            wire.ask(self.socket, op="get", account="nobody@contoso.example")
            self.done["nonsense"] += 2

    def look_up(self):
        with wire.connect(self.lookups) as s:
            for account in self.some(0.05):
                s.sendall(netstring(f"sasl {account}"))
                answer = s.recv(4096)
                assert b":OK " in answer, answer
                self.done["lookups"] += 1

    def administer(self, quarter: int):
        for op in "status", "metrics":
            assert wire.ask(self.socket, op=op)["status"] == "ok"
            self.done["statuses"] += 1
        for account in self.some(0.005):
            wire.ask(self.socket, op="refresh", account=account)
            self.done["renewals ordered"] += 1
        extra = f"extra{quarter % 4}@contoso.example"
        if quarter % 2:
            self.agent.accounts[extra] = crowd.keys(self.endpoint)
            self.agent.write()
            self.agent.process.signal(signal.SIGHUP)
        else:
            for name in [a for a in self.agent.accounts if "extra" in a]:
                del self.agent.accounts[name]
            self.agent.write()
            answer = wire.ask(self.socket, op="reload")
            assert answer.get("accounts") == str(ACCOUNTS), answer
        self.done["reloads"] += 1

    def lose_logins(self):
        """Their refresh tokens are no good for a moment."""
        lost = self.some(0.01)
        tokens = {t: a for t, a in dict(self.endpoint.grants).items()
                  if a in lost}
        for token in tokens:
            del self.endpoint.grants[token]
        for account in lost:
            answer = wire.ask(self.socket, op="refresh", account=account)
            assert answer.get("kind") == "reauth", answer
        self.endpoint.grants.update(tokens)
        for account in lost:
            answer = wire.ask(self.socket, op="refresh", account=account)
            assert answer.get("status") == "ok", answer
            self.done["logins lost"] += 1

    def outage(self, quarter: int):
        mode = ("503", "hang", "refuse")[quarter // 4 % 3]
        self.crowd.set(self.endpoint, mode)
        self.clock.wait(self.clock.passed() + AWAY_S, SPEED)
        self.crowd.set(self.endpoint, "ok")
        self.done["outages"] += 1

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.agent.process.pid}/fd"))

    def let_pass(self, end: float):
        """As fast as agent and provider can follow."""
        while self.clock.passed() < end:
            self.clock.wait(min(end, self.clock.passed() + STEP_S), SPEED)
            until(lambda: self.descriptors() <= self.idle + 1, 60,
                  "the end of what is under way", 0.002)

    def pass_quarter(self, quarter: int):
        end = self.clock.passed() + QUARTER
        self.clock.run(ASK_SPEED)
        for i in range(0, ACCOUNTS, AT_ONCE):
            self.get(self.accounts[i:i + AT_ONCE])
        self.hang_up()
        self.refuse()
        self.talk_nonsense()
        self.look_up()
        self.administer(quarter)
        if quarter % 4 == 2:
            self.lose_logins()
        if quarter % 4 == 3:
            self.outage(quarter)
        self.let_pass(end)

    def files(self) -> list:
        """Neither one that a renewal is just making, nor the lock of an
        account that comes and goes, which may have been tried or not."""
        return [name for name in os.listdir(self.agent.state)
                if not name.startswith((".", "extra"))]

    def sample(self, hour: int):
        """When nothing is under way."""
        pid = self.agent.process.pid
        open_now = until(
            lambda: (n := self.descriptors()) == self.idle and n, 30,
            "the end of what is under way", 0.002)
        kernel = dict(line.split(":", 1) for line in
                      Path(f"/proc/{pid}/status").read_text().splitlines())
        kernel |= dict(line.split(":", 1) for line in
                       Path(f"/proc/{pid}/smaps_rollup").read_text()
                       .splitlines()[1:])
        self.samples.append({
            "hour": hour, "renewals": self.endpoint.tokens,
            **{memory: int(kernel[memory].split()[0])
               for memory in ("Rss", "Pss", "Anonymous")},
            "descriptors": open_now, "threads": int(kernel["Threads"]),
            "files": len(self.files())})


@pytest.fixture(scope="module")
def day(shared_lab):
    d = Day(shared_lab)
    d.agent.start()
    d.clock.run(4)
    until(lambda: d.endpoint.tokens >= ACCOUNTS, 60, "the first tokens")
    d.clock.run(1)
    time.sleep(0.5)
    d.idle = min(d.descriptors() for _ in range(50))
    d.sample(0)
    for quarter in range(4 * HOURS):
        d.pass_quarter(quarter)
        if quarter % 4 == 3:
            d.sample(quarter // 4 + 1)
    return d


def test_work_was_done(day, ledger):
    assert not day.failed, f"{len(day.failed)}: {day.failed[:3]}"
    assert all(day.done.values()), day.done
    assert day.endpoint.tokens > HOURS * ACCOUNTS
    assert all(day.agent.grant(name)["refresh_token"] in day.endpoint.grants
               for name in day.accounts)
    ledger.row("a day's work: clients ask for tokens", day.done["tokens"],
               "everybody was served, every time")
    ledger.row("a day's work: everything else",
               sum(day.done.values()) - day.done["tokens"],
               ", ".join(f"{count:,} {what}" for what, count in
                         day.done.items() if what != "tokens")
               + "; every account's login is kept")


def test_nothing_grows(day, ledger):
    warm, last = day.samples[WARM], day.samples[-1]
    for memory in "Rss", "Anonymous":   # Pss: others share the program
        assert last[memory] <= warm[memory] * GROWTH + SLACK_KIB, day.samples
    for number in "descriptors", "threads", "files":
        assert last[number] == warm[number], day.samples
    ledger.row("a day's work: the agent's memory, descriptors, threads and "
               "files", len(day.samples),
               f"looked at each hour: no more after the day than after a sixth of it "
               f"(memory: {100 * last['Rss'] / warm['Rss'] - 100:+.1f} %)")
    rows = day.samples[::max(len(day.samples) // 12, 1)]
    ledger.table(
        f"{ACCOUNTS:,} accounts",
        ["hours", "renewals", "RSS (KiB)", "PSS (KiB)", "of its own (KiB)", "descriptors",
         "threads", "files of state"],
        [[f"{value:,}" for value in row.values()] for row in rows])
