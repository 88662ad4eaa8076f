"""Postfix at a server with Exchange's limits: the recipe of docs/postfix.md,
and what happens without it.

30 messages a minute are too slow for a test: the recipe's delay is divided by
SCALE, and so is the minute."""

import re
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from lab import fakesmtp, postfix
from lab.lab import ACCOUNT
from lab.wait import until

PAGE = Path(__file__).parents[2] / "docs" / "postfix.md"
CONNECTIONS = 3
A_MINUTE = 30
SCALE = 2               # Postfix delays by whole seconds: 2 become 1
MESSAGES, WINDOW = 8, 5
LOAD, SESSIONS, RESTARTS = 500, 20, 3
HVE, SHORT = "hve@contoso.example", "short@contoso.example"
TOO_MANY = ("432 4.3.2 Concurrent connections limit exceeded. Visit "
            "https://aka.ms/concurrent_sending for more information. "
            "[Hostname=LAB.EXAMPLE]")
TOO_OLD = "501 5.5.127 Invalid XOAUTH2 auth data - Token will expire soon"


class _Handler(fakesmtp._Handler):
    user = None

    def handle(self):
        try:
            super().handle()
        finally:
            with self.owner.lock:
                self.owner.open[self.user] -= 1

    def auth(self, rest: list):
        owner = self.owner
        if not rest:
            self.say("334 ")
            rest = [self.hear()]
        user, token = fakesmtp._parse(rest[0])
        with owner.lock:
            if owner.expires.get(token, 1e12) - time.time() < owner.min_life:
                refusal = TOO_OLD
            elif owner.open[user] >= owner.connections:
                refusal = TOO_MANY
            else:
                refusal = None
                self.user = user
                owner.open[user] += 1
                owner.most_open = max(owner.most_open, owner.open[user])
            if refusal:
                owner.refused.append((user, refusal))
        self.say(refusal or "235 2.7.0 Authentication successful")

    def data(self, sender: str):
        owner = self.owner
        owner.ended.wait(owner.work_s)
        with owner.lock:
            owner.times.append(time.monotonic())
        super().data(sender)


class Exchange(fakesmtp.FakeSmtp):
    """connections at a time for a mailbox; any number of messages, at once
    or, above the limit, later; no token that lives less than min_life."""

    def __init__(self):
        self.lock = threading.Lock()
        self.connections, self.min_life = CONNECTIONS, 0
        self.work_s = 0.2
        self.expires = {}       # token -> Unix time, where it matters
        self.clear()
        super().__init__()
        self.server.RequestHandlerClass = type(
            "Handler", (_Handler,), {"owner": self})

    def clear(self):
        self.open, self.most_open = Counter(), 0
        self.refused, self.times = [], []
        self.messages = []

    def most_in(self, seconds: float) -> int:
        """Messages in the worst time of that length."""
        return max(sum(t <= other < t + seconds for other in self.times)
                   for t in self.times)


def recipe() -> tuple:
    """The page's lines for master.cf, and its settings for main.cf."""
    text = PAGE.read_text()
    section, = re.findall(r"^## Limits of Office 365\n(.*?)^## ", text,
                          re.M | re.S)
    assert f"{A_MINUTE} messages a minute" in section
    assert TOO_MANY.split(". ")[0] in section
    master, main = re.findall(r"(?:^    .*\n)+", section, re.M)
    return (re.sub("^    ", "", master, flags=re.M),
            dict(line.strip().split(" = ") for line in main.splitlines()))


def aged(agent, account: str, left: int) -> int:
    """Makes the stored token an old one; returns when it expires."""
    before = agent.grant(account)
    by = int(before["expires_at"]) - int(time.time()) - left
    agent.change_grant(account, **{key: int(before[key]) - by for key in
                                   ("obtained_at", "expires_at")})
    return int(agent.grant(account)["expires_at"])


@pytest.fixture(scope="module")
def world(shared_lab):
    lab = shared_lab
    lab.start_fault()
    lab.fake = Exchange()
    lab.ends.callback(lab.fake.stop)
    names = (ACCOUNT, HVE, SHORT)
    lab.endpoints = {name: lab.fault.endpoint(name) for name in names}
    agent = lab.make_agent({
        name: lab.faulty(lab.endpoints[name]) for name in names})
    agent.accounts[SHORT]["min_life"] = "60"
    agent.write()
    for name in names:
        agent.do("import", name, agent=False,
                 give=lab.endpoints[name].refresh_token)
        agent.do("token", name, agent=False)
    # Ten minutes are not left.
    for name in (HVE, SHORT):
        lab.fake.expires[lab.endpoints[name].access_tokens[-1]] = aged(
            agent, name, 500)
    lab.endpoints[SHORT].mode = "500"
    agent.start()
    lab.start_downstream({name: (name, "mailtoken:") for name in names},
                         smtp_sender_dependent_authentication="yes",
                         **postfix.RECIPE)
    return lab


@pytest.fixture
def relay(world):
    """With nothing in the queue, and a server that has counted nothing."""
    world.fake.clear()
    yield world.down
    world.fake.connections, world.fake.work_s = 1000, 0
    world.down.set(default_transport="smtp", relay_transport="smtp")
    world.down.drain(60)
    world.fake.connections, world.fake.work_s = CONNECTIONS, 0.2


def use(down, master: str, **settings):
    path = down.etc / "master.cf"
    if master not in path.read_text():
        path.write_text(path.read_text() + master)
    down.set(**settings)


def tried(down) -> int:
    return len(down.deliveries("sent")) + len(down.deliveries("deferred"))


def test_without_a_recipe(world, relay):
    """What Postfix does of itself is refused, and above the rate."""
    relay.send(MESSAGES * 2)
    until(lambda: tried(relay) >= MESSAGES * 2, 30, "all tried")
    assert world.fake.refused
    assert set(world.fake.refused) == {(ACCOUNT, TOO_MANY)}
    assert world.fake.most_in(WINDOW) > WINDOW + 1
    assert not relay.deliveries("bounced")
    assert "said: 432 4.3.2 Concurrent connections limit" in relay.text()


def test_recipe(world, relay):
    """One after the other, at the rate, and no refusal."""
    master, main = recipe()
    delay = int(main["office365_destination_rate_delay"].removesuffix("s"))
    assert delay * A_MINUTE >= 60
    main["office365_destination_rate_delay"] = f"{delay // SCALE}s"
    use(relay, master, **main)
    relay.send(MESSAGES)
    relay.wait_empty(60)
    assert world.fake.messages == [ACCOUNT] * MESSAGES
    assert not world.fake.refused
    assert world.fake.most_open == 1
    # A delay ends with a second's tick, and may so be shorter by one, once.
    assert world.fake.most_in(WINDOW * delay / SCALE) <= WINDOW + 1
    assert "postfix/office365/smtp" in relay.text()


def test_recipe_without_the_delay(world, relay):
    """No refusal, but more than the rate."""
    master, main = recipe()
    use(relay, master, **main | {"office365_destination_rate_delay": "0s"})
    relay.send(MESSAGES * 2)
    relay.wait_empty(60)
    assert len(world.fake.messages) == MESSAGES * 2
    assert not world.fake.refused
    # One that has ended may still be counted for a moment.
    assert 2 <= world.fake.most_open <= CONNECTIONS
    assert world.fake.most_in(WINDOW) > WINDOW + 1


def test_high_volume_email(world, relay):
    """It takes no token with less than ten minutes.  The default min_life
    renews before; a shorter one hands out what is refused."""
    minutes, = re.findall(r"`min_life`, 15 minutes by default; do not set it "
                          r"below (\d+)", " ".join(PAGE.read_text().split()))
    world.fake.min_life = int(minutes) * 60
    relay.send(2, sender=HVE)
    until(lambda: len(world.fake.messages) == 2, 20, "messages with new tokens")
    assert world.endpoints[HVE].count == 2
    assert not world.fake.refused

    relay.send(1, sender=SHORT)
    relay.wait_words("Token will expire soon")
    assert set(world.fake.refused) == {(SHORT, TOO_OLD)}
    assert not relay.deliveries("bounced")
    world.endpoints[SHORT].mode = "ok"
    world.agent.do("refresh", SHORT)
    relay.drain(30)
    assert world.fake.messages == [HVE, HVE, SHORT]


def test_agent_restarted_under_load(world, relay):
    """Nothing bounces, all arrives, and once."""
    world.fake.connections, world.fake.work_s = 1000, 0
    load = subprocess.Popen(
        ["smtp-source", "-s", str(SESSIONS), "-m", str(LOAD), "-l", "1000",
         "-f", ACCOUNT, "-t", "inbox@fabrikam.example",
         f"127.0.0.1:{relay.port}"])
    begin = tried(relay)
    try:
        for n in range(RESTARTS):
            until(lambda: tried(relay) - begin > LOAD * (n + 1) // 8, 60,
                  "messages under way")
            before = relay.text().count("start mailtokend")
            world.agent.stop()
            until(lambda: relay.text().count("start mailtokend") > before, 30,
                  "a login without an agent")
            world.agent.start()
        assert load.wait(60) == 0
    finally:
        load.kill()
        load.wait(10)
    relay.drain(90)
    assert Counter(world.fake.messages) == {ACCOUNT: LOAD}
    assert not relay.deliveries("bounced")
