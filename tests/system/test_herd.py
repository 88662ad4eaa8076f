"""Many at once, and one grant that must survive them."""

import os
import subprocess
import threading
import time

from lab.agent import BUILD, client_environment
from lab.lab import ACCOUNT

HERD = 50
RACE_S = 8


def test_fifty_processes_one_request(lab):
    """The token has expired and the provider is slow: everybody waits for
    the one request that is under way."""
    lab.start_fault()
    endpoint = lab.fault.endpoint("one", mode="rotate", life=1)
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint, allow="nobody")})
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.do("token", ACCOUNT, agent=False)
    time.sleep(1.5)
    endpoint.life, endpoint.delay, before = 3600, 2, endpoint.count
    agent.start()
    done = subprocess.run(
        [BUILD / "tests/system/hosts/herd", str(HERD), ACCOUNT, "mailtoken:"],
        env=client_environment(MAILTOKEN_SOCKET=str(lab.socket),
                               SASL_PATH=str(lab.plugins(BUILD))),
        capture_output=True, text=True, timeout=90)
    assert f"ok={HERD} fail=0" in done.stdout, done.stdout + done.stderr
    assert done.returncode == 0
    assert endpoint.count == before + 1
    assert endpoint.alive


def test_many_commands_one_request(lab):
    """No agent at all: the lock on the state directory does it."""
    lab.start_idp(life=3600, rotate=True)
    agent = lab.make_agent({ACCOUNT: lab.delegated()})
    agent.do("import", ACCOUNT, agent=False, give=lab.idp.login(ACCOUNT))
    tokens = _at_once(12, lambda: agent.do("token", ACCOUNT, agent=False))
    assert len(set(tokens)) == 1 and tokens[0].strip()
    assert lab.idp.count() == 1


def test_two_agents_and_commands_share_a_grant(lab):
    """One-time refresh tokens: a provider that sees one twice kills the
    grant.  Two agents and commands renew it as fast as they can."""
    lab.start_idp(life=2, rotate=True)
    first = lab.make_agent({ACCOUNT: lab.delegated()}, name="first",
                           sockets=[lab.directory / "first.d" / "sock"])
    second = lab.make_agent({ACCOUNT: lab.delegated()}, name="second",
                            sockets=[lab.directory / "second.d" / "sock"],
                            state_dir=first.state,
                            seal_key=f"file:{first.seal_key}")
    first.do("import", ACCOUNT, agent=False, give=lab.idp.login(ACCOUNT))
    first.start()
    second.start()
    end = time.monotonic() + RACE_S

    def work(agent, command, with_agent):
        while time.monotonic() < end:
            agent.do(command, ACCOUNT, agent=with_agent)

    jobs = [(first, "token", True), (second, "token", True),
            (first, "token", False), (first, "refresh", True),
            (second, "refresh", True)]
    failed = []

    def guarded(*job):
        try:
            work(*job)
        except AssertionError as error:
            failed.append((job[1:], error))

    threads = [threading.Thread(target=guarded, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(RACE_S + 60)
    assert not failed
    requests = lab.idp.requests()
    assert len(requests) > RACE_S
    assert not [r for r in requests if r["error"]]
    assert first.do("token", ACCOUNT).strip()


def test_root_writes_as_the_agent(lab):
    """What the command writes as root, the agent can read and replace."""
    lab.start_fault()
    endpoint = lab.fault.endpoint("one")
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint)})
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.do("token", ACCOUNT, agent=False)
    owner = agent.state.stat().st_uid
    for path in agent.state.iterdir():
        assert path.stat().st_uid == owner != os.geteuid(), path
        assert path.stat().st_mode & 0o777 == 0o600, path
    agent.start()
    agent.do("refresh", ACCOUNT)
    assert int(agent.grant(ACCOUNT)["generation"]) > 1


def _at_once(number: int, job) -> list:
    results = []
    threads = [threading.Thread(target=lambda: results.append(job()))
               for _ in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(results) == number
    return results
