"""Time

The agent counts how long a token lives on a clock that never steps and that goes on while the host is suspended. The wall clock is
what it shows, stores and signs; and it judges tokens by it that an earlier run left. All of this is tried with the real agent and command under
a library that gives them other clocks than the host's, and tells a timer that is waiting for it, as the kernel does. The provider's clock is always
right, and so is the `Date` in its answers, which nobody looks at.
"""

import base64
import contextlib
import json
import subprocess
import time
from types import SimpleNamespace

import pytest

from lab import wire
from lab.agent import BUILD, client_environment
from lab.lab import ACCOUNT, Lab
from lab.ledger import times
from lab.steptime import StepTime
from lab.wait import until

HOUR, DAY = 3600, 86400
YEARS = 10 * 365 * DAY + 2 * DAY
STEPS = {"an hour": HOUR, "a day": DAY, "ten years": YEARS}
LIFE = 3600
SLACK = 5           # seconds that a slow machine may take
FAR = {"2038-01-19 03:14:07 (32 bits, signed)": 2**31,
       "2100-03-01 (no leap year)": 4107542400,
       "2106-02-07 06:28:15 (32 bits, unsigned)": 2**32}
EPOCH = 100         # 1970, 100 seconds after midnight
LATER = "retry"

count = iter(range(10**6))


@contextlib.contextmanager
def host(lab: Lab, wall: float = 0, start: bool = True, secret: str = None):
    """A host with clocks of its own, its agent and its provider; logged in.
    secret: of an application instead."""
    name = f"host{next(count)}"
    clock = StepTime(lab.directory / f"{name}.clock", wall)
    endpoint = lab.fault.endpoint(name, mode="rotate")
    socket = lab.directory / f"{name}.d" / "sock"
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint)}, name=name,
                           sockets=[socket])
    agent.environment = clock.environment
    if secret:
        agent.accounts[ACCOUNT] |= {
            "grant": "client_credentials",
            "client_secret": agent.secret("secret", secret)}
        agent.write()
    else:
        agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    h = SimpleNamespace(lab=lab, clock=clock, endpoint=endpoint, agent=agent,
                        socket=socket)
    try:
        if start:
            agent.start()
            until(lambda: renewals(h), 20, "the first renewal")
        yield h
    finally:
        agent.stop()
        clock.close()


def renewals(h, result: str = "ok") -> list:
    return [e for e in h.agent.events("renewal", ACCOUNT)
            if e["result"] == result]


def get(h) -> dict:
    return wire.ask(h.socket, op="get", account=ACCOUNT)


def token(h) -> str:
    """What a client is given; it has the provider's latest as its last."""
    answer = get(h)
    assert answer["status"] == "ok", answer
    return answer["token"]


def by_plugin(h) -> str:
    """What a mail program's login sends, by libsasl2 and our plugin."""
    done = subprocess.run(
        [BUILD / "tests/system/hosts/saslhost", "-m", "XOAUTH2", "-T",
         "-a", ACCOUNT, "-w", "mailtoken:"], text=True, timeout=30,
        capture_output=True, env=client_environment(
            SASL_PATH=str(h.lab.plugins()), MAILTOKEN_SOCKET=str(h.socket))
        | h.clock.environment)
    return next(line.removeprefix("token=")
                for line in done.stdout.splitlines()
                if line.startswith("token="))


def status(h) -> dict:
    row, = json.loads(h.agent.cli("status", "--json").stdout)
    return row


def stepped(h, to: float):
    """Sets the wall clock and waits until the agent has heard of it."""
    before = len(h.agent.events("clock-stepped"))
    by = to - h.clock.wall
    h.clock.set(to)
    event = until(lambda: h.agent.events("clock-stepped")[before:], 10,
                  "the step in the log")[0]
    assert abs(int(event["seconds"]) - by) <= 1, event


def times_are_right(h, renewed: float, life: float = LIFE):
    """All that is told is by the wall clock of now; renewed: how long ago."""
    row, now = status(h), h.clock.now()
    assert abs(row["renewed_at"] - (now - renewed)) <= SLACK, (row, now)
    assert abs(row["expires_at"] - (now - renewed + life)) <= SLACK, (row, now)
    assert now - SLACK <= row["next_at"] <= row["expires_at"], (row, now)
    assert abs(int(get(h)["expires_at"]) - row["expires_at"]) <= 1
    text = h.agent.do("status").splitlines()[1]
    left = life - renewed
    assert any(f" {(left + s) // 60:.0f} min" in text
               for s in range(-SLACK, SLACK)), text


@pytest.fixture(scope="module")
def world(shared_lab):
    shared_lab.start_fault()
    return shared_lab


def test_stepped_while_it_runs(world, ledger):
    """The agent's own token lives as long as the provider said, from when it
    was asked for; the provider is away, too."""
    tried = dict.fromkeys(STEPS, 0)
    with host(world) as h:
        since, first = time.monotonic(), token(h)
        h.endpoint.mode = "500"
        for _ in range(times(1, 30)):
            for name, step in STEPS.items():
                for to in -step, step:
                    stepped(h, to)
                    assert token(h) == first
                    assert by_plugin(h) == first
                    assert h.agent.do("token", ACCOUNT).strip() == first
                    times_are_right(h, time.monotonic() - since)
                    tried[name] += 1
        assert h.endpoint.count == 1 and len(renewals(h)) == 1
    for name, number in tried.items():
        ledger.row(
            f"the wall clock is set {name} back, or forward, while the agent "
            "runs; the provider is away", number,
            "agent, command and plugin go on giving the same token out, with "
            "no request; `status` and `expires_at` are by the new time")


def test_command_alone(world, ledger):
    """It has nothing but the wall clock and the state: never a token that may
    have expired."""
    tried = 0
    with host(world, start=False) as h:
        for step in list(STEPS.values()) * times(1, 15):
            for to in -step, step:
                h.clock.set(0)
                have = h.agent.do("token", ACCOUNT, agent=False).strip()
                assert have == h.endpoint.access_tokens[-1]
                h.clock.set(to)
                new = h.agent.do("token", ACCOUNT, agent=False).strip()
                assert new == h.endpoint.access_tokens[-1] != have
                assert h.agent.do("token", ACCOUNT, agent=False).strip() == new
                tried += 1
        assert h.endpoint.alive
    ledger.row("the wall clock is set back or forward between two runs of the "
               "command without an agent", tried,
               "a new token, since nobody knows how old the stored one is")


BOOTS = {"1970": lambda clock: clock.set_to(EPOCH),
         "a year ago": lambda clock: clock.set(-365 * DAY),
         "in ten years": lambda clock: clock.set(YEARS)}


@pytest.mark.parametrize("when", BOOTS)
@pytest.mark.parametrize("away", [False, True], ids=["there", "away"])
def test_started_with_a_wrong_clock(world, ledger, when, away):
    """The state holds a token that is good for an hour; then the host starts
    again, with another clock; later that is set."""
    number = times(1, 10)
    for _ in range(number):
        with host(world) as h:
            stored = token(h)
            h.agent.stop()
            BOOTS[when](h.clock)
            h.endpoint.mode = "500" if away else "rotate"
            h.agent.start()
            if not away:
                new = token(h)
                assert new == h.endpoint.access_tokens[-1] != stored
            elif when == "in ten years":        # it has expired, by this clock
                assert get(h)["kind"] == LATER
                new = stored
            else:                               # how old?  better than nothing
                assert token(h) == stored
                new = stored
            requests = h.endpoint.count
            stepped(h, 0)
            assert token(h) == by_plugin(h) == new
            row = status(h)
            assert abs(row["expires_at"] - time.time() - LIFE) < 30
            if not away:
                assert h.endpoint.count == requests
            assert h.endpoint.alive
    ledger.row(
        f"the host starts with a clock that says {when}, which is set later; "
        f"the provider is {'away' if away else 'there'}", number,
        "the stored token is given out as soon as the clock is right"
        + ("; before, whoever asks is told to try later"
           if when == "in ten years" else
           "; before, too, since there is no other") if away else
        "a new token before the first answer; its times are right when the "
        "clock is")


def test_of_unknown_age_until_a_server_refuses_it(world, ledger):
    """The last resort of a host with a wrong clock and no provider."""
    with host(world) as h:
        stored = token(h)
        h.agent.stop()
        h.clock.set_to(EPOCH)
        h.endpoint.mode = "500"
        h.agent.start()
        answer = get(h)
        assert answer["token"] == stored
        wire.ask(h.socket, op="reject", account=ACCOUNT,
                 generation=answer["generation"])
        assert get(h)["kind"] == LATER
        stepped(h, 0)
        assert get(h)["kind"] == LATER
        h.endpoint.mode = "rotate"
        h.agent.do("refresh", ACCOUNT)
        assert token(h) == h.endpoint.access_tokens[-1] != stored
    ledger.row("a server refuses a token whose age nobody knew", 1,
               "it is never given out again, whatever the clock is set to")


def test_wrong_clock_and_an_expired_token(world, ledger):
    """The state's token has expired; a slow clock hides that, until it is
    set, or until a server says so."""
    number = times(2, 20)
    for i in range(number):
        with host(world) as h:
            old = token(h)
            h.agent.stop()
            now = int(time.time())
            h.agent.change_grant(ACCOUNT, obtained_at=now - 2 * HOUR,
                                 expires_at=now - HOUR, refresh_at=0)
            h.clock.set(-100 * 60)
            h.agent.start()
            answer = get(h)
            assert answer["token"] == old      # 20 minutes old, it believes
            if i % 2:
                stepped(h, 0)
            else:
                wire.ask(h.socket, op="reject", account=ACCOUNT,
                         generation=answer["generation"])
            new = token(h)
            assert new == h.endpoint.access_tokens[-1] != old
    ledger.row("the host starts with a slow clock, which takes an expired "
               "token for a good one", number,
               "a new token as soon as the clock is set, or a server has "
               "refused the old one", "the logins with that token")


def test_certificates_and_assertions(lab, ledger):
    """TLS, and an application that signs its requests, after a start with a
    clock that is wrong: nothing works, until the clock is right."""
    provider = lab.start_idp(life=LIFE)
    wrong = [-3 * HOUR, 30 * HOUR] + times(0, 1) * [-YEARS, YEARS]
    for ahead in wrong:
        name = f"signs{ahead}"
        clock = StepTime(lab.directory / f"{name}.clock", ahead)
        agent = lab.make_agent({}, name=name, sockets=[
            lab.directory / f"{name}.d" / "sock"])
        agent.environment = clock.environment
        agent.accounts = {ACCOUNT: lab.app_only(agent)}
        agent.write()
        agent.start()
        h = SimpleNamespace(agent=agent, clock=clock,
                            socket=agent.sockets[0])
        until(lambda: agent.events("renewal", ACCOUNT), 20, "its failure")
        assert not renewals(h)
        stepped(h, 0)
        until(lambda: renewals(h), 10, "a renewal, at once")
        form = provider.bodies()[-1]["form"]
        claims = json.loads(base64.urlsafe_b64decode(
            form["client_assertion"].split(".")[1] + "=="))
        assert abs(claims["iat"] - time.time()) < 30, claims
        assert provider.expires(get(h)["token"])
        # And while it runs: its own token stays, the next is asked for right.
        stepped(h, -20 * 60)
        have = get(h)["token"]
        stepped(h, 0)
        assert get(h)["token"] == have
        agent.do("refresh", ACCOUNT)
        assert get(h)["token"] != have
        have = get(h)["token"]
        agent.stop()
        clock.set(ahead)
        agent.start()
        answer = get(h)
        if ahead < 0:           # the last resort
            assert answer["token"] == have
        else:
            assert answer["kind"] == "config"
        stepped(h, 0)
        assert get(h)["status"] == "ok"
        agent.stop()
        clock.close()
    ledger.row("the clock is wrong, so that certificates and signed assertions "
               "are refused; then it is set", len(wrong),
               "the next renewal follows at once and is accepted; a stored "
               "token is given out meanwhile, unless by that clock it has "
               "expired")


def test_suspended(world, ledger):
    """The token expires while the host sleeps."""
    number = times(2, 20)
    with host(world) as h:
        for _ in range(number):
            old, before = token(h), h.endpoint.count
            h.clock.sleep(8 * HOUR)
            new = token(h)              # who is first after that
            assert new == h.endpoint.access_tokens[-1] != old
            assert h.endpoint.count == before + 1
            assert by_plugin(h) == new
            times_are_right(h, 0)
        for _ in range(number):         # and nobody asks
            before = h.endpoint.count
            h.clock.sleep(8 * HOUR)
            until(lambda: h.endpoint.count == before + 1, 10,
                  "a renewal at once")
            until(lambda: status(h)["state"] == "ok", 10, "its end")
        old = token(h)
        h.endpoint.mode = "500"
        h.clock.sleep(8 * HOUR)
        assert get(h)["kind"] == LATER
        h.endpoint.mode = "rotate"
        h.agent.do("refresh", ACCOUNT)
        assert token(h) not in (old, "")
        assert not h.agent.events("clock-stepped")
        assert {e["seconds"] for e in h.agent.events("woke-up")} == {"28800"}
    ledger.row("the host is suspended for 8 hours, and the token expires",
               number, "the first who asks is given a new one")
    ledger.row("the same, and nobody asks", number,
               "renewed as soon as the host is awake")
    ledger.row("the same, and the provider is away", 1,
               "whoever asks is told to try later, and never given the "
               "expired token")


def test_far_times(world, ledger):
    """Seconds go on after 32 bits."""
    number = times(1, 5)
    for _ in range(number):
        with contextlib.ExitStack() as stack:
            hosts = [(when, stack.enter_context(
                host(world, wall=when - 4 - time.time())))
                for when in FAR.values()]
            tokens = [token(h) for _, h in hosts]
            for (when, h), first in zip(hosts, tokens):
                until(lambda: h.clock.now() > when, 20, "that moment")
                assert token(h) == first == by_plugin(h)
                times_are_right(h, 4)
                assert status(h)["expires_at"] > when
                _goes_on(h, when)
    for name in FAR:
        ledger.row(f"it becomes {name}", number,
                   "tokens, state, `status` and the command go on")


def _goes_on(h, when: float):
    """Renewals, the state, the command, and another start."""
    h.agent.do("refresh", ACCOUNT)
    new = token(h)
    kept = h.agent.grant(ACCOUNT)
    assert int(kept["obtained_at"]) >= when
    assert int(kept["expires_at"]) - int(kept["obtained_at"]) == LIFE
    requests = h.endpoint.count
    h.agent.stop()
    assert h.agent.do("token", ACCOUNT, agent=False).strip() == new
    h.agent.start()
    assert token(h) == new and h.endpoint.count == requests


def test_suspended_with_connections(world, ledger):
    """Nobody is there any more at the other end; an application's requests
    may be repeated, so their connections are kept."""
    number = times(2, 20)
    with host(world, secret="s3cret") as h:
        for _ in range(number):
            h.endpoint.mode = "rotate"
            h.agent.do("refresh", ACCOUNT)
            old, h.endpoint.mode = token(h), "fresh"
            h.clock.sleep(8 * HOUR)
            assert token(h) == h.endpoint.access_tokens[-1] != old
    ledger.row("the host is suspended, and nothing comes back on connections "
               "from before", number,
               "a new token at once, on a new connection")


# What the provider says beside the token; the seconds that it lives, or the
# kind of the failure.
DEFAULT, LONGEST = 600, 90 * DAY
ANSWERS = {
    '"expires_in": 0': "retry",
    '"expires_in": -1': "retry",
    '"expires_in": "-5"': "retry",
    '"expires_in": -9223372036854775808': "retry",
    '"expires_in": -1e308': "retry",
    '"expires_in": 0.4': "retry",
    '"expires_in": 1': 1,
    '"expires_in": 3599': 3599,
    '"expires_in": "3599"': 3599,
    '"expires_in": 3599.5': 3599,
    '"expires_in": 2147483648': LONGEST,
    '"expires_in": 9223372036854775807': LONGEST,
    '"expires_in": 9223372036854775808': LONGEST,
    '"expires_in": 1e308': LONGEST,
    '"expires_in": "99999999999999999999"': LONGEST,
    '"expires_in": "1e308"': DEFAULT,
    '"expires_in": "soon"': DEFAULT,
    '"expires_in": ""': DEFAULT,
    '"expires_in": null': DEFAULT,
    '"expires_in": true': DEFAULT,
    '"expires_in": [3599]': DEFAULT,
    '"expires_in": {}': DEFAULT,
    '"expires_in": NaN': DEFAULT,
    '': DEFAULT,
    '"expires_in": 3599, "expires_on": 0': 3599,
    '"expires_in": 3599, "expires_on": "junk", "ext_expires_in": -1': 3599,
    '"expires_in": 3599, "ext_expires_in": 1e308': 3599,
    '"expires_in": 3599, "refresh_in": 0': 3599,
    '"expires_in": 3599, "refresh_in": 1': 3599,
    '"expires_in": 3599, "refresh_in": -1': 3599,
    '"expires_in": 3599, "refresh_in": 4000': 3599,
    '"expires_in": 3599, "refresh_in": "junk"': 3599,
    '"expires_in": 3599, "refresh_in": 1e308': 3599,
    '"expires_in": 3599, "refresh_in": null': 3599,
}
WATCH_S = 6


@pytest.fixture(scope="module")
def told(world):
    """An account for each of the answers; nobody asks for a while."""
    names = {said: f"said{i}@contoso.example"
             for i, said in enumerate(ANSWERS)}
    endpoints = {said: world.fault.endpoint(names[said], mode="rotate",
                                            said=said) for said in ANSWERS}
    socket = world.directory / "told.d" / "sock"
    agent = world.make_agent(
        {names[said]: world.faulty(endpoints[said]) for said in ANSWERS},
        name="told", sockets=[socket])
    for said in ANSWERS:
        agent.do("import", names[said], agent=False,
                 give=endpoints[said].refresh_token)
    agent.start()
    until(lambda: all(e.count for e in endpoints.values()), 30,
          "a request for each account")
    since = time.monotonic()
    until(lambda: time.monotonic() - since > WATCH_S, WATCH_S + 5, "a while")
    seen = {said: list(endpoints[said].times) for said in ANSWERS}
    return SimpleNamespace(names=names, endpoints=endpoints, agent=agent,
                           socket=socket, seen=seen)


def test_what_the_provider_says(told, ledger):
    refused = 0
    for said, expected in ANSWERS.items():
        requests = len(told.seen[said])
        answer = wire.ask(told.socket, op="get", account=told.names[said])
        life, = {int(e["life"]) for e in told.agent.events(
            "renewal", told.names[said]) if e["result"] == "ok"} or {None}
        if expected == "retry":
            assert answer["kind"] == "retry", (said, answer)
            assert "already expired" in answer["text"], (said, answer)
            refused += 1
        else:
            assert answer["status"] == "ok", (said, answer)
            assert life == expected, said
        # At once, and not again before 4.5 seconds.
        most = 2 if expected in (1, "retry") else 1
        assert 1 <= requests <= most, (said, requests)
        # One-time refresh tokens: the last one is known, whatever came with it.
        assert told.endpoints[said].alive, said
    ledger.row("`expires_in` is 0, negative, or less than 1", refused,
               "an error that says so, tried again after 5 seconds, 10, 20 "
               "...; the refresh token that came with it is kept")
    ledger.row("`expires_in` is huge, a fraction, a string, junk, null or "
               "missing; `expires_on`, `ext_expires_in` and `refresh_in` "
               "alike", len(ANSWERS) - refused,
               "as said, at most 90 days; ten minutes if that is not to be "
               "understood; one request")


def test_tokens_of_a_second(told, ledger):
    """Somebody asks all the time: one request for each half of a life."""
    said = '"expires_in": 1'
    endpoint, seconds = told.endpoints[said], times(3, 20)
    end = time.monotonic() + seconds
    before, asked, good = endpoint.count, 0, 0
    while time.monotonic() < end:
        answer = wire.ask(told.socket, op="get", account=told.names[said])
        good += answer["status"] == "ok"
        asked += 1
    assert good == asked > 20
    assert endpoint.count - before <= 2 * seconds + 2
    ledger.row("tokens live one second, and clients ask all the time", asked,
               "all are given one, with two requests a second; where nobody "
               "asks, one in 5 seconds")
