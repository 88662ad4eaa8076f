"""A grant that is in the agent's memory only, until the disk takes it."""

import time

import pytest

from lab import wire
from lab.diskfault import FULL_DISK, DiskFault
from lab.fasttime import FastTime
from lab.lab import ACCOUNT
from lab.wait import until

AGAIN_S = 30        # as docs/STORE.md has it
TIMES = 10          # as fast as real time


@pytest.fixture
def full(lab):
    """An agent whose disk is full, and that has renewed nevertheless."""
    lab.start_fault()
    lab.endpoint = lab.fault.endpoint(ACCOUNT, mode="rotate")
    agent = lab.make_agent({ACCOUNT: lab.faulty(lab.endpoint)})
    agent.do("import", ACCOUNT, agent=False, give=lab.endpoint.refresh_token)
    lab.disk = DiskFault(agent.state, agent.directory / "disk")
    lab.clock = FastTime(agent.directory / "clock")
    agent.environment = lab.disk.environment | lab.clock.environment | {
        "LD_PRELOAD": ":".join(each.environment["LD_PRELOAD"]
                               for each in (lab.disk, lab.clock))}
    agent.start()
    agent.environment = {}
    agent.do("refresh", ACCOUNT)
    lab.disk.order(1, FULL_DISK)
    agent.do("refresh", ACCOUNT)
    assert agent.events("state-not-saved", ACCOUNT)
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


def test_it_is_tried_a_last_time_at_the_end(full):
    full.agent.stop()
    assert saved(full)
    assert full.agent.events("state-saved", ACCOUNT)


def test_it_is_tried_a_last_time_when_the_account_goes(full):
    full.agent.accounts.pop(ACCOUNT)
    full.agent.write()
    full.agent.do("reload")
    until(lambda: saved(full), 5, "the grant to be saved")
