"""Dovecot: doveadm backup and sync from a server that drops every connection
when its token expires."""

import re
import threading
import time

import pytest

from lab import mailbox
from lab.dovecots import name_of
from lab.wait import until

LIFE = 7
MESSAGES = 5000
FOLDERS = 40
RATE = 330_000      # bytes a second: the whole takes a few tokens' lives
SMALL = 400
EX_TEMPFAIL = 75
DEADLINE_S = 10     # of one question to the agent

BACKUP = ("backup", "-R")
SYNC = ("sync", "-1", "-R")
BLOCKS = ["base", "imapc"]


@pytest.fixture(scope="module")
def world(dovecots):
    return dovecots.begin(life=LIFE)


@pytest.fixture
def make(world, request):
    """A mailbox with so many messages, a front, a Dovecot downstream."""
    name = name_of(request)

    def made(messages: int, folders: int, **kw):
        user = world.account(f"{name}@contoso.example")
        mailbox.fill(world.upstream, user, messages, folders)
        front = world.front(**kw)
        down = world.downstream(name, BLOCKS, {user: ""}, port=front.port,
                                start=False)
        down.start()
        request.addfinalizer(down.stop)
        return user, front, down
    return made


def same(world, down, user) -> bool:
    return (mailbox.contents(down, user)
            == mailbox.contents(world.upstream, user))


@pytest.mark.parametrize("manner, command", [
    ("bye", BACKUP), ("hard", BACKUP), ("bye", SYNC)], ids=repr)
def test_everything_arrives(world, make, manner, command):
    user, front, down = make(MESSAGES, FOLDERS, manner=manner, rate=RATE)
    down.do(*command, "-u", user, "imapc:", timeout=240)
    assert front.cuts >= 3 and not front.failures
    assert len(set(front.tokens)) >= front.cuts
    got = mailbox.contents(down, user)
    assert len(got) == MESSAGES and len({m[0].split()[1] for m in got}) == FOLDERS
    assert got == mailbox.contents(world.upstream, user)

    before = mailbox.identities(down, user)
    front.rate = 0
    down.do(*command, "-u", user, "imapc:", timeout=240)
    assert mailbox.identities(down, user) == before


def test_two_ways(world, make):
    """Changes on either side reach the other one.  (Dovecot gives up if it is
    cut off while it compares both.)"""
    user, front, down = make(SMALL, 3, rate=RATE)
    down.do("sync", "-u", user, "imapc:", timeout=120)
    assert same(world, down, user)

    here = mailbox.login(down, user)
    here.select("folder1")
    here.store("1:10", "+FLAGS.SILENT", r"\Flagged")
    here.append("folder1", "", None, mailbox.message(0, "made here"))
    here.logout()
    there = mailbox.login(world.upstream, user)
    there.create("new")
    there.append("new", r"\Seen", None, mailbox.message(0, "made there"))
    there.logout()
    down.do("sync", "-u", user, "imapc:", timeout=120)
    assert same(world, down, user)
    contents = mailbox.contents(world.upstream, user)
    assert len(contents) == SMALL + 2
    assert sum("Flagged" in head for head, _ in contents) == 10


def test_all_users(world, make):
    """doveadm -A, as a cron job has it."""
    user, front, down = make(SMALL, 2)
    other = world.account("other@contoso.example")
    mailbox.fill(world.upstream, other, 20, 1)
    with open(down.directory / "users", "a") as users:
        users.write(f"{other}:{{PLAIN}}x::::::\n")
    down.do("backup", "-R", "-A", "imapc:", timeout=120)
    for name in (user, other):
        assert same(world, down, name)
        assert world.agent.events("token", name)


@pytest.mark.parametrize("kind, words", [
    ("absent", "mailtokend"), ("hanging", "mailtoken")])
def test_no_agent(world, make, kind, words):
    """A clear error, soon; and afterwards everything."""
    user, front, down = make(SMALL, 2)
    since = time.monotonic()
    with world.trouble(kind):
        done = down.doveadm(*BACKUP, "-u", user, "imapc:")
    assert done.returncode == EX_TEMPFAIL, done.stderr
    assert time.monotonic() - since < 2 * DEADLINE_S
    assert words in done.stderr
    down.do(*BACKUP, "-u", user, "imapc:")
    assert same(world, down, user)


def test_slow_agent(world, make):
    user, front, down = make(SMALL, 2)
    with world.trouble("slow") as slow:
        down.do(*BACKUP, "-u", user, "imapc:")
    assert slow.asked and same(world, down, user)


def test_agent_dies(world, make):
    """The one that was asked: the next one is."""
    user, front, down = make(SMALL, 2)
    with world.trouble("dying") as dying:
        down.do(*BACKUP, "-u", user, "imapc:")
    assert dying.requests > 1 and same(world, down, user)


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_agent_comes_and_goes(world, make, how):
    """While a sync runs: nobody notices.  (Only who asks in the moment in
    which there is none would: see test_no_agent.)"""
    user, front, down = make(2 * SMALL, 10, manner="bye", rate=RATE // 4)
    done = []
    thread = threading.Thread(target=lambda: done.append(down.doveadm(
        *BACKUP, "-u", user, "imapc:", timeout=120)))
    thread.start()
    until(lambda: front.cuts >= 1, 20, "the first cut")
    until(lambda: time.time() + LIFE / 2.5 < (
        front.sessions[-1].expires_at or 0), 2 * LIFE, "a new session")
    if how == "reload":
        world.agent.do("reload")
    else:
        world.agent.stop()
        world.agent.start()
    thread.join(120)
    assert done[0].returncode == 0, done[0].stderr
    assert front.cuts >= 2
    assert same(world, down, user)


def test_refused_by_the_agent(world, make):
    """vmail may not have this account."""
    user, front, down = make(SMALL, 2)
    world.agent.accounts[user]["allow"] = "nobody"
    world.agent.write()
    world.agent.do("reload")
    done = down.doveadm(*BACKUP, "-u", user, "imapc:")
    assert done.returncode == EX_TEMPFAIL and "may not" in done.stderr
