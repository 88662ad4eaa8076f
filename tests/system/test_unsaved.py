"""A grant that is in the agent's memory only, until the disk takes it."""

import errno
import json
import time

import pytest

from lab import wire
from lab.diskfault import FULL_DISK, DiskFault, Fault
from lab.fasttime import FastTime
from lab.lab import ACCOUNT
from lab.steptime import StepTime
from lab.wait import until

AGAIN_S = 30        # as docs/STORE.md has it
TIMES = 10          # as fast as real time
DAY = 86400
BROKEN_DISK = Fault("EIO from here on", errno.EIO, True)
DEAD = '"expires_in": 0'


def started(lab, clock):
    """An agent with that clock, whose disk can be full, and that has renewed
    once."""
    lab.start_fault()
    lab.endpoint = lab.fault.endpoint(ACCOUNT, mode="rotate")
    agent = lab.make_agent({ACCOUNT: lab.faulty(lab.endpoint)})
    lab.clock = clock(agent.directory / "clock")
    agent.do("import", ACCOUNT, agent=False, give=lab.endpoint.refresh_token,
             environment=lab.clock.environment)
    lab.disk = DiskFault(agent.state, agent.directory / "disk")
    agent.environment = lab.disk.environment | lab.clock.environment | {
        "LD_PRELOAD": ":".join(each.environment["LD_PRELOAD"]
                               for each in (lab.disk, lab.clock))}
    agent.start()
    agent.environment = {}
    agent.do("refresh", ACCOUNT)
    return lab


@pytest.fixture
def full(lab):
    """Its disk is full, and it has renewed nevertheless."""
    started(lab, FastTime)
    lab.disk.order(1, FULL_DISK)
    lab.agent.do("refresh", ACCOUNT)
    assert lab.agent.events("state-not-saved", ACCOUNT)
    assert not saved(lab)
    lab.disk.order()
    return lab


def saved(lab) -> bool:
    return (lab.agent.grant(ACCOUNT)["refresh_token"]
            == lab.endpoint.refresh_token)


def test_rejects_do_not_put_it_off(full):
    """Somebody complains of an old token all the time."""
    full.clock.run(TIMES)
    end = full.clock.passed() + 2 * AGAIN_S
    while full.clock.passed() < end and not saved(full):
        answer = wire.ask(full.agent.sockets[0], op="reject", account=ACCOUNT,
                          generation=1)
        assert answer["status"] == "ok"
        time.sleep(AGAIN_S / TIMES / 10)
    full.clock.run(1)
    assert saved(full) and full.endpoint.alive


def test_the_status_tells_of_it(full):
    """The account is well until the agent ends: who looks must see that."""
    words = "could not be saved yet"
    assert words in full.agent.do("status", ACCOUNT)
    assert json.loads(full.agent.do("status", "--json"))[0]["unsaved"] == 1
    warned = full.agent.cli("status", "--nagios")
    assert warned.returncode == 1 and words in warned.stdout
    full.clock.run(TIMES)
    until(lambda: saved(full), AGAIN_S, "a saved grant")
    full.clock.run(1)
    assert words not in full.agent.do("status", ACCOUNT)
    assert json.loads(full.agent.do("status", "--json"))[0]["unsaved"] == 0
    assert words not in full.agent.do("status", "--nagios")


def test_it_is_tried_a_last_time_at_the_end(full):
    full.agent.stop()
    assert saved(full)
    assert full.agent.events("state-saved", ACCOUNT)


def test_it_is_tried_a_last_time_when_the_account_goes(full):
    full.agent.accounts.pop(ACCOUNT)
    full.agent.write()
    full.agent.do("reload")
    until(lambda: saved(full), 5, "the grant to be saved")
    full.agent.stop()
    assert not full.agent.events("login-lost")


def lost(agent) -> list:
    """The texts of what has not been saved in the end."""
    return [line["text"] for line in agent.events("login-lost", ACCOUNT)]


def test_what_is_lost_at_the_end_is_said(full):
    full.disk.order(1, FULL_DISK)
    full.agent.stop()
    assert not saved(full) and not full.agent.events("token-lost")
    said, = lost(full.agent)
    assert said.endswith(f'run mailtoken login {ACCOUNT}"')
    assert "No space left" in said
    assert not any(secret in full.agent.text()
                   for secret in full.endpoint.secrets)


def test_what_is_lost_with_the_account_is_said(full):
    full.disk.order(1, FULL_DISK)
    full.agent.accounts.pop(ACCOUNT)
    full.agent.write()
    full.agent.do("reload")
    assert len(lost(full.agent)) == 1 and not saved(full)
    full.agent.stop()
    assert len(lost(full.agent)) == 1


def test_what_can_be_asked_for_again_is_no_loss(lab):
    """An application's own token; and a refresh token that stays."""
    lab.start_fault()
    lab.endpoint = lab.fault.endpoint(ACCOUNT)
    other = lab.fault.endpoint("application")
    agent = lab.make_agent({ACCOUNT: lab.faulty(lab.endpoint)})
    agent.accounts["application"] = lab.faulty(
        other, grant="client_credentials",
        client_secret=agent.secret("application.secret", "a secret"))
    agent.write()
    agent.do("import", ACCOUNT, agent=False, give=lab.endpoint.refresh_token)
    disk = DiskFault(agent.state, agent.directory / "disk")
    agent.environment = disk.environment
    agent.start()
    agent.environment = {}
    for name in agent.accounts:
        agent.do("refresh", name)
    disk.order(1, FULL_DISK)
    for name in agent.accounts:
        agent.do("refresh", name)
    agent.stop()
    assert not agent.events("login-lost")
    assert {line["account"] for line in agent.events("token-lost")} == {
        ACCOUNT, "application"}


# A new refresh token that comes with an access token that is no good.

@pytest.fixture
def bad(lab):
    """The answer was bad, and the disk full."""
    started(lab, FastTime)
    lab.first = wire.ask(lab.agent.sockets[0], op="get", account=ACCOUNT)
    lab.endpoint.said = DEAD
    lab.disk.order(1, FULL_DISK)
    for _ in range(2):
        done = lab.agent.cli("refresh", ACCOUNT)
        assert done.returncode and "already expired" in done.stderr
    assert len(lab.agent.events("state-not-saved", ACCOUNT)) == 2
    assert not saved(lab)
    return lab


def test_a_bad_answer_is_not_lost_with_the_disk(bad):
    """What it has told is used next, and the token of before is served."""
    assert wire.ask(bad.agent.sockets[0], op="get", account=ACCOUNT
                    )["token"] == bad.first["token"]
    assert json.loads(bad.agent.cli("status", "--json").stdout
                      )[0]["state"] == "retry"
    bad.endpoint.said = None
    bad.agent.do("refresh", ACCOUNT)
    assert bad.endpoint.alive and not saved(bad)
    bad.disk.order()
    bad.agent.do("refresh", ACCOUNT)
    assert bad.endpoint.alive and saved(bad)


def test_a_bad_answer_is_saved_later(bad):
    """Without a request."""
    bad.endpoint.mode = "500"
    bad.disk.order()
    bad.clock.run(TIMES)
    until(lambda: saved(bad), 3 * AGAIN_S / TIMES + 10, "the grant to be saved")
    bad.clock.run(1)
    bad.agent.stop()
    # Its access token is the one of before, and still good.
    bad.agent.start()
    assert wire.ask(bad.agent.sockets[0], op="get", account=ACCOUNT
                    )["token"] == bad.first["token"]


def test_a_bad_answer_is_saved_at_the_end(bad):
    bad.disk.order()
    bad.agent.stop()
    assert saved(bad) and bad.endpoint.alive


def test_a_command_says_that_it_is_lost(lab):
    """It has no memory; the disk breaks after the question."""
    lab.start_fault()
    lab.endpoint = lab.fault.endpoint(ACCOUNT, mode="rotate", said=DEAD)
    agent = lab.make_agent({ACCOUNT: lab.faulty(lab.endpoint)})
    disk = DiskFault(agent.state, agent.directory / "disk")
    lost, at = [], 0
    while not lost:
        agent.do("import", ACCOUNT, agent=False,
                 give=lab.endpoint.refresh_token)
        disk.order(at := at + 1, BROKEN_DISK)
        done = agent.cli("refresh", ACCOUNT, agent=False,
                         environment=disk.environment)
        assert done.returncode and disk.struck, "no failure was told"
        asked = "already expired" in done.stderr
        lost = asked and not saved(lab) and [done.stderr]
        assert bool(lost) == ("could not be saved, and" in done.stderr)


# A login is newer, whatever the clock says.

@pytest.mark.parametrize("first, second", [(DAY, 0), (0, DAY), (0, 0)])
def test_a_login_counts_for_more(lab, first, second):
    """How far ahead the clock is at each of two logins; what is in memory
    only is of the first."""
    started(lab, lambda path: StepTime(path, first))
    lab.disk.order(1, FULL_DISK)
    for _ in range(3):
        lab.agent.do("refresh", ACCOUNT)
    assert not saved(lab) and lab.endpoint.alive
    before = lab.endpoint.count
    lab.clock.set(second)
    lab.endpoint.refresh_token = "another-login"
    lab.agent.do("import", ACCOUNT, give="another-login",
                 environment=lab.clock.environment)
    assert lab.endpoint.alive and not saved(lab)
    assert lab.endpoint.count == before + 1
    lab.disk.order()
    lab.agent.do("refresh", ACCOUNT)
    assert lab.endpoint.alive and saved(lab)
