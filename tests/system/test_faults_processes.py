"""Many processes

Two or three agents and any number of commands at one state directory, as after an upgrade that went wrong, or by intent. Each refresh
token is good once here, and a login ends when one comes twice: the provider tells if two processes ever used the same one.
"""

import os
import random
import signal
import subprocess
import threading
import time

import pytest

from lab import sealed, wire
from lab.agent import (BUILD, EX_CONFIG, EX_OK, EX_TEMPFAIL,
                       client_environment)
from lab.fasttime import FastTime
from lab.ledger import times
from lab.marks import unwatched
from lab.shared import (MANY_S, ONE, Gate, begin, end, get, holder,
                        in_background, lock_is_free, worlds)
from lab.storm import descriptors, zombies
from lab.wait import until

SEED = int(os.environ.get("FAULTS_SEED", time.time()))
BOXES = [f"box{i}@contoso.example" for i in range(6)]
NETWORK = {"NFS": 0x6969, "CIFS": 0xff534d42, "SMB2": 0xfe534d42,
           "AFS": 0x5346414f, "Ceph": 0x00c36400}
FSTATFS = r"""
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int
fstatfs(int fd, struct statfs *ret)
{
	int rc = (int)syscall(SYS_fstatfs, fd, ret);

	ret->f_type = strtol(getenv("FS_MAGIC"), NULL, 16);
	return rc;
}
"""
RACE_S = times(2, 10)

# Libraries of its own are preloaded, too.
pytestmark = unwatched


@pytest.fixture
def world(lab):
    with worlds(lab) as made:
        yield made


# The lock


@pytest.mark.parametrize("who", ["agent", "command"])
def test_holder_is_stopped(world, ledger, lab, who):
    """Time runs forty times as fast for those who wait."""
    made = world(True)
    tried = times(1, 3)
    fast = FastTime(lab.directory / "fast")
    waiting = made.first
    hurry(waiting, fast)
    waiting.start()
    get(waiting, "refresh")
    gate = Gate(made.provider)
    for _ in range(tried):
        gate.close()
        victim = holder(made, who, gate)
        os.kill(victim.pid, signal.SIGSTOP)
        gate.open()             # its answer has come, and is not read
        assert gate.answered.wait(20)
        requests = len(made.provider.requests)
        known = get(waiting)
        if known["generation"] != waiting.grant(ONE)["generation"]:
            assert get(waiting, "refresh")["status"] == "ok"    # from disk
        made.first.do("token", ONE, agent=False)
        patience(made, fast)
        assert get(waiting)["status"] == "ok"
        assert len(made.provider.requests) == requests
        os.kill(victim.pid, signal.SIGCONT)
        if who == "command":
            assert end(victim)[0] == EX_OK
        until(lambda: lock_is_free(made.first), 20, "the lock")
        assert get(waiting, "refresh")["status"] == "ok"
    assert not made.provider.again
    ledger.row(f"the {who} that holds an account's lock is stopped (SIGSTOP) "
               "for more than a minute", tried,
               "an agent serves what it has, token too; who must renew waits "
               "for 60 s and says who holds the lock; after SIGCONT no "
               "refresh token is used twice")


def hurry(agent, fast: FastTime):
    """Its clock, and that of the commands that agent.do() runs."""
    agent.environment = {key: str(value)
                         for key, value in fast.environment.items()}


def patience(made, fast):
    """Of those who must have a new token."""
    since, before = fast.passed(), len(made.first.events("renewal", ONE))
    fast.run(40)
    asked = get(made.first, "refresh")
    code, said = end(begin(made.first, "refresh", ONE,
                           **made.first.environment))
    took = fast.passed() - since
    until(lambda: len(made.first.events("renewal", ONE)) > before, 30,
          "the agent's end of patience")
    fast.run(1)
    assert asked["kind"] == "retry", asked
    assert code == EX_TEMPFAIL and "holds the lock" in said, said
    assert took > 55, took
    last = made.first.events("renewal", ONE)[-1]
    assert last["result"] == "retry" and "holds the lock" in last["text"]


@pytest.mark.parametrize("who", ["agent", "command"])
def test_lock_file_is_removed(world, ledger, who):
    made = world(True)
    made.first.start()
    gate, tried = Gate(made.provider), times(2, 20)
    for turn in range(tried):
        gate.close()
        victim = holder(made, who, gate)
        before = len(made.provider.requests)
        (made.first.state / f"{ONE}.lock").unlink()
        others = [begin(made.first, "refresh", ONE) for _ in range(2)]
        with in_background(get, made.first, "refresh") as asked:
            until(lambda: (made.first.state / f"{ONE}.lock").exists(), 20,
                  "another process at the lock")
            time.sleep(0.2)     # it would ask at once
            assert len(made.provider.requests) == before
            gate.open()
            if who == "command":
                assert end(victim)[0] == EX_OK
            assert [end(other)[0] for other in others] == [EX_OK, EX_OK]
        assert asked.value["status"] == "ok", asked.value
        assert not made.provider.again, turn
    ledger.row(f"an account's lock file is removed while the {who} holds the "
               "lock", tried, "others go on waiting for it, since the grant "
               "is locked as well; no refresh token is used twice")


STALE = {   # what is there instead of the lock's file; the agent's answer
    "the file of a process that is dead": (None, None),
    "a file of root's": ("root", "chown"),
    "a directory": ("mkdir", "move it away"),
    "a FIFO": ("mkfifo", None),
    "a symbolic link": ("link", "symbolic link"),
    "a link to nothing": ("dangling", "symbolic link"),
}


@pytest.mark.parametrize("what", STALE)
def test_stale_lock(world, ledger, what):
    made, (how, words) = world(True, agents=1), STALE[what]
    agent, lock = made.first.start(), made.first.state / f"{ONE}.lock"
    innocent = agent.directory / "innocent"
    innocent.write_text("nothing to do with it\n")
    assert get(agent, "refresh")["status"] == "ok"
    for _ in range(tried := times(1, 20)):
        make_stale(lock, how, innocent)
        answer = get(agent, "refresh")
        if words:
            assert answer["kind"] == "config" and words in answer["text"]
            assert str(lock) in answer["text"]
            assert get(agent)["status"] == "ok"
            remove(lock)
            answer = get(agent, "refresh")
        assert answer["status"] == "ok", answer
        remove(lock)
    assert not made.provider.again
    assert innocent.read_text() == "nothing to do with it\n"
    assert innocent.stat().st_uid == 0
    ledger.row(f"{what} where an account's lock file should be", tried,
               "nobody renews, and the agent says what to do; it serves what "
               "it has" if words else "it is no hindrance")


def make_stale(lock, how: str, innocent):
    if not lock.exists() or how:
        remove(lock)
        lock.touch(0o600)
    if how in (None, "root"):
        if not how:
            os.chown(lock, *owner(lock.parent))
        return
    remove(lock)
    if how == "mkdir":
        lock.mkdir()
    elif how == "mkfifo":
        os.mkfifo(lock, 0o600)
        os.chown(lock, *owner(lock.parent))
    else:
        lock.symlink_to(innocent if how == "link" else innocent / "none")


def owner(path) -> tuple:
    status = path.stat()
    return status.st_uid, status.st_gid


def remove(path):
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)


def test_network_file_system(world, ledger, lab):
    """None can be mounted here: what fstatfs(2) says is changed."""
    made = world(True, agents=1)
    agent, library = made.first, lab.directory / "fstatfs.so"
    agent.do("token", ONE, agent=False)
    source = library.with_suffix(".c")
    source.write_text(FSTATFS)
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o",
                    library, source], check=True, timeout=60)
    requests, tried = len(made.provider.requests), 0
    before = files(agent)
    for name, magic in NETWORK.items():
        environment = {"LD_PRELOAD": str(library), "FS_MAGIC": f"{magic:x}"}
        ends = [end(begin(agent, *words, give="rt", **environment)) for words
                in (["token", ONE], ["refresh", ONE], ["import", ONE],
                    ["logout", ONE], ["rekey"])]
        started = subprocess.run(
            [BUILD / "mailtokend", "-f", "-c", agent.conf], timeout=30,
            capture_output=True, text=True,
            env=client_environment(**environment))
        for code, said in [*ends, (started.returncode, started.stderr)]:
            assert code == EX_CONFIG, said
            assert f"network file system ({name})" in said, said
            assert "set state_dir to a local disk" in said
            assert len(said.splitlines()) == 1, said
            tried += 1
    assert files(agent) == before
    assert len(made.provider.requests) == requests
    ledger.row("state on NFS, CIFS, SMB2, AFS or Ceph, as fstatfs(2) has it",
               tried, "agent and commands refuse it in one sentence; nothing "
               "is written, nobody asked")


def files(agent) -> dict:
    return {path.name: path.read_bytes()
            for path in [*agent.state.iterdir(), agent.conf, agent.seal_key]}


# Several at once


def test_three_agents_and_commands_at_one_account(world, ledger):
    made = world(True, agents=3, life=(20, 20))
    for agent in made.agents:
        agent.start()
    over, tried, wrong = time.monotonic() + RACE_S, [], []

    def ask(agent, op):
        while time.monotonic() < over and not wrong:
            answer = get(agent, op)
            tried.append(answer)
            if answer.get("kind", "retry") != "retry":
                wrong.append(answer)

    def run(word):
        while time.monotonic() < over and not wrong:
            code, said = end(begin(made.first, word, ONE))
            tried.append(code)
            if code not in (EX_OK, EX_TEMPFAIL):
                wrong.append(said)

    jobs = [(ask, agent, op) for agent in made.agents
            for op in ("get", "refresh")] + [(run, "token"), (run, "refresh")]
    threads = [threading.Thread(target=job, args=rest) for job, *rest in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(RACE_S + MANY_S)
    assert not wrong, wrong[:3]
    assert not made.provider.again
    assert len(made.provider.requests) > 10
    assert EX_OK in tried
    assert made.provider.good(ONE, made.first.grant(ONE)["refresh_token"])
    ledger.row("three agents and commands ask and renew at one account, whose "
               "refresh tokens are good once", len(tried),
               "no refresh token is used twice")


@pytest.mark.parametrize("told", [True, False],
                         ids=["told", "not-told"])
def test_login_during_a_refresh(world, ledger, told):
    made = world(True)
    gate, tried = Gate(made.provider), times(2, 30)
    agent = made.agents[1]
    for _ in range(tried):
        gate.close()
        holder(made, "agent", gate)
        before = int(agent.grant(ONE)["generation"])
        new = made.provider.log_in(ONE)
        login = begin(made.first, "import", ONE, give=new, **(
            {"MAILTOKEN_SOCKET": str(agent.sockets[0])} if told else {}))
        assert "waiting for a renewal" in login.stderr.readline()
        gate.open()
        assert end(login)[0] == EX_OK
        assert get(agent, "refresh")["status"] == "ok"
        grant = agent.grant(ONE)
        assert of_login(made, grant["refresh_token"]) == of_login(made, new)
        assert int(grant["generation"]) >= before + 3
        token = get(agent)["token"]
        assert token == grant["access_token"]
    assert not made.provider.again
    ledger.row("a login while the agent's request is at the provider, "
               + ("and it is told" if told else "and it is not told"), tried,
               "the login waits for it, and stays")


def of_login(made, refresh_token: str):
    return made.provider.of[refresh_token]


def test_login_while_an_agent_cannot_save(world, ledger):
    """Root can write where the agent's user cannot."""
    made = world(True, agents=1)
    agent, tried = made.first.start(), times(2, 30)
    for _ in range(tried):
        before = len(troubles(agent))
        agent.state.chmod(0o500)
        try:
            get(agent, "refresh")
            assert len(troubles(agent)) > before
            new = made.provider.log_in(ONE)
            agent.do("import", ONE, agent=False, give=new)
        finally:
            agent.state.chmod(0o700)
        assert get(agent, "refresh")["status"] == "ok"
        assert len(of_login(made, new).tokens) > 1
        assert of_login(made, agent.grant(ONE)["refresh_token"]) == of_login(
            made, new)
    assert not made.provider.again
    ledger.row("a login while the agent cannot write its state", tried,
               "the login stays, and is what the agent uses")


def troubles(agent) -> list:
    return agent.events("state-not-saved") + [
        event for event in agent.events("renewal") if event["result"] != "ok"]


def test_two_logins_at_once(world, ledger):
    made, tried = world(True, agents=1), times(4, 60)
    agent = made.first
    for _ in range(tried):
        before = int(agent.grant(ONE)["generation"])
        new = [made.provider.log_in(ONE) for _ in range(2)]
        begun = [begin(agent, "import", ONE, give=token) for token in new]
        assert [end(each)[0] for each in begun] == [EX_OK, EX_OK]
        grant = agent.grant(ONE)
        assert {grant["refresh_token"],
                grant["previous_refresh_token"]} == set(new)
        assert int(grant["generation"]) == before + 2
    ledger.row("two logins of one account at once", tried,
               "the later one counts, the other is kept as the previous one")


def test_rekey_while_others_begin(world, ledger):
    """Who begins reads the keys, then what is sealed with them."""
    made = world(False, BOXES, agents=1)
    over, begun = threading.Event(), []

    def start():
        while not over.is_set():
            begun.append(end(begin(made.first, "token", ONE)))

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(times(10, 100)):
            made.first.do("rekey", agent=False)
    finally:
        over.set()
        for thread in threads:
            thread.join(MANY_S)
    assert not [each for each in begun if each[0] != EX_OK]
    assert len(sealed.keys(made.first.seal_key)) == 1
    ledger.row("commands begin while rekey is at work", len(begun),
               "each finds its key")


# The configuration


def test_add_at_once(world, ledger, lab):
    """By four processes; every other time there is no file yet."""
    made, added = world(True, agents=1), 0
    path, choose = lab.directory / "added.conf", random.Random(SEED)
    socket, killed = str(lab.directory / "nobody"), 0
    keys = [word for key, value in made.provider.keys(ONE).items()
            for word in (f"--{key}", str(value))]
    for turn in range(times(3, 50)):
        if turn % 2 == 0:
            path.unlink(missing_ok=True)
            added = 0
        names = [f"a{turn}.{i}@contoso.example" for i in range(4)]
        begun = {name: subprocess.Popen(
            [BUILD / "mailtoken", "-c", path, "-s", socket, "add", name,
             *keys], env=client_environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True) for name in names}
        time.sleep(choose.uniform(0, 0.02))
        begun[names[0]].kill()
        there = 0
        for name, each in begun.items():
            code, said = end(each)
            killed += code == -signal.SIGKILL
            if name != names[0]:
                assert code in (EX_OK, EX_TEMPFAIL), said
                assert code == EX_OK or turn % 2 == 0, said
            found = path.exists() and f"[account {name}]" in path.read_text()
            assert found or code != EX_OK, name
            there += found
        added += there
        # All may have met the killed one's new file.
        text = path.read_text() if path.exists() else ""
        assert text.count("[account ") == added
        assert not text or text.endswith("\n")
    ledger.row("four mailtoken add at once, one of them killed", turn + 1,
               "the configuration is whole, and has all that said so")


def test_reload_storm(world, ledger):
    """With renewals under way, and accounts that come and go."""
    made = world(True, BOXES, agents=1, life=(10, 20), delay=0.02)
    agent, over = made.first.start(), threading.Event()
    wrong, done = [], []

    def reload():
        while not over.is_set():
            answer = wire.ask(agent.sockets[0], op="reload")
            done.append(answer)
            if answer["status"] != "ok":
                wrong.append(answer)

    def ask(account):
        while not over.is_set():
            for op in ("refresh", "get", "get", "get"):
                answer = get(agent, op, account)
                if answer.get("kind", "retry") != "retry":
                    wrong.append(answer)
                time.sleep(0.005)

    threads = [threading.Thread(target=reload) for _ in range(2)]
    threads += [threading.Thread(target=ask, args=(account,))
                for account in BOXES[:2]]
    for thread in threads:
        thread.start()
    wanted, memory = times(200, 2000), None
    try:
        while len(done) < wanted and not wrong:
            come_and_go(agent, len(done))
            if memory is None and len(done) > wanted / 4:
                memory = resident(agent)
            time.sleep(0.01)
    finally:
        over.set()
        for thread in threads:
            thread.join(MANY_S)
    assert not wrong, wrong[:3]
    assert not made.provider.again and not zombies(agent.process.pid)
    assert descriptors(agent.process.pid) < 40
    grown = resident(agent) - memory
    assert grown < 1024, grown
    ledger.row("reloads, two at a time, while accounts come and go, tokens "
               "are renewed and clients ask", len(done),
               "clients have their tokens; no refresh token is used twice; the "
               "agent grows neither in memory nor in descriptors")


def come_and_go(agent, turn: int):
    """Written beside, as an editor does it."""
    text = agent.conf.read_text()
    last = f"\n[account {BOXES[-1]}]\n"
    if last not in text:
        text = come_and_go.whole
    elif turn % 2:
        come_and_go.whole = text
        text = text[:text.index(last) + 1]
    new = agent.conf.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o640)
    os.chown(new, 0, agent.state.stat().st_gid)
    new.rename(agent.conf)


def resident(agent) -> int:
    """kB."""
    with open(f"/proc/{agent.process.pid}/status") as status:
        return next(int(line.split()[1]) for line in status
                    if line.startswith("VmRSS:"))
