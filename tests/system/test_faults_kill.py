"""Killed processes

Agents, commands and clients work on one state directory, with tokens that live two to four seconds, and are killed (SIGKILL) wherever
they happen to be; many within milliseconds of an answer of the provider, or while a file is written, where it hurts most. The provider
knows which process it gave each refresh token to. One kind of provider lets old refresh tokens live on, as Microsoft and Google do;
with the other each is good once, and a login ends when one comes twice.
"""

import os
import signal
import time

import pytest

from lab.agent import EX_NOPERM, EX_OK
from lab.ledger import times
from lab.marks import unwatched
from lab.shared import (ONE, Gate, begin, die, end, holder, lock_is_free,
                        make_world, worlds)
from lab.storm import Storm, descriptors, zombies

SEED = int(os.environ.get("FAULTS_SEED", time.time()))
BOXES = [f"box{i}@contoso.example" for i in range(6)]
UNSAVED = "a login, if the process died between its request and the rename"

# Watched programs are too slow for it.
pytestmark = unwatched


@pytest.fixture
def world(lab):
    with worlds(lab) as made:
        yield made


@pytest.mark.parametrize("one_time", [False, True],
                         ids=["kept", "one-time"])
def test_killed_at_random(lab, ledger, one_time):
    print(f"FAULTS_SEED={SEED}")
    made = make_world(lab, "storm", one_time, BOXES, agents=3, seed=SEED,
                      life=(2, 4), delay=0.02)
    storm = Storm(made.provider, made.agents, BOXES, SEED)
    storm.run(*times((10, 10), (250, 250)))
    lost = storm.causes()
    steady = made.first.process.pid
    assert not zombies(steady)
    assert descriptors(steady) < 40
    storm.at_rest()
    of = ("refresh tokens are good once" if one_time
          else "old refresh tokens stay good")
    then = ("all files whole; each of the next agents had a token for every "
            "account at once, without a login")
    if one_time:
        then = (f"all files whole; of all these, {lost} lost a login, each of "
                "them between its request and the rename, and the next agent "
                "said so: reauth, mailtoken login")
    ledger.row(f"kill -9 of an agent under load, {of}",
               storm.killed["agent"], then, *[UNSAVED] * one_time)
    ledger.row("kill -9 of token, refresh, import, logout or rekey under "
               f"load, {of}", storm.killed["command"],
               then if not one_time else "the same", *[UNSAVED] * one_time)
    ledger.table(
        f"Kills, {of}",
        ["agents killed", "commands killed", "requests", "tokens served",
         "refresh tokens used twice", "logins lost"],
        [[storm.killed["agent"], storm.killed["command"],
          len(made.provider.requests), storm.served, lost,
          lost if one_time else 0]], f"FAULTS_SEED={SEED}")


@pytest.mark.parametrize("one_time", [False, True],
                         ids=["kept", "one-time"])
@pytest.mark.parametrize("who", ["agent", "command"])
def test_killed_with_an_answer_unread(world, ledger, who, one_time):
    """The provider has answered, and the process has not looked yet."""
    made = world(one_time)
    gate, tried = Gate(made.provider), times(2, 20)
    for _ in range(tried):
        gate.close()
        victim = holder(made, who, gate)
        os.kill(victim.pid, signal.SIGSTOP)
        gate.open()
        assert gate.answered.wait(20)
        die(victim)
        assert lock_is_free(made.first)
        code, said = end(begin(made.first, "refresh", ONE))
        if one_time:
            assert code == EX_NOPERM and "mailtoken login" in said, said
            made.log_in()
            made.first.do("refresh", ONE, agent=False)
        else:
            assert code == EX_OK, said
    assert made.provider.good(ONE, made.first.grant(ONE)["refresh_token"])
    of = "is good once" if one_time else "that it replaces stays good"
    ledger.row(
        f"kill -9 of the {who} with the provider's answer unread; the refresh "
        f"token {of}", tried,
        "the next command says that somebody must log in" if one_time else
        "the next command gets a token", *["a login"] * one_time)


@pytest.mark.parametrize("who", ["agent", "command"])
def test_killed_with_a_request_out(world, ledger, who):
    """Which the provider never took: nothing is lost at any of them."""
    made = world(True)
    gate, tried = Gate(made.provider), times(3, 30)
    for _ in range(tried):
        gate.close()
        gate.dropping = True
        victim = holder(made, who, gate)
        assert not lock_is_free(made.first)
        die(victim)
        assert lock_is_free(made.first)
        gate.open()
        assert gate.answered.wait(20)
        gate.dropping = False
        code, said = end(begin(made.first, "refresh", ONE))
        assert code == EX_OK, said
    assert not made.provider.again
    ledger.row(f"kill -9 of the {who} that holds an account's lock, its "
               "request on the way", tried,
               "the lock is free at once; the next command renews")
