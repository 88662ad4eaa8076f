"""What each process may do, read from /proc while it runs and compared with
the table of docs/security.md; locked memory; and who is whom at the socket."""

import array
import ast
import grp
import json
import os
import pwd
import re
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from lab import wire
from lab.agent import BUILD, USER, client_environment
from lab.lab import ACCOUNT
from lab.marks import unwatched
from lab.process import Process
from lab.wait import until
from test_user_agent import Home

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
SECTION = "## What each process may do"
NOBODY, DAEMON = pwd.getpwnam("nobody"), pwd.getpwnam("daemon")
CAP_IPC_LOCK, CAP_SYS_RESOURCE = 14, 24
NOT_LOCKED = "memory-not-locked"
# As root in a container: limits stay, and no memory can be locked.
LIMITED = ["setpriv", "--bounding-set", "-sys_resource,-ipc_lock", "prlimit",
           "--memlock=1048576:1048576"]


def documented() -> dict:
    """(process, property) -> the table's cell."""
    text = PAGE.read_text()
    part = text[text.index(SECTION):]
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in re.findall(r"^\|.*\|$", part.split("\n## ", 1)[0],
                                   re.M)]
    head, _, *body = rows
    return {(process, row[0]): cell for row in body
            for process, cell in zip(head[1:], row[1:])}


def status(pid) -> dict:
    return dict(line.split(":\t", 1) for line in
                Path(f"/proc/{pid}/status").read_text().splitlines())


def limits(pid) -> dict:
    """Name -> soft and hard."""
    return {line[:26].strip(): line[26:].split()[:2] for line in
            Path(f"/proc/{pid}/limits").read_text().splitlines()}


def descriptors(pid) -> list:
    """What is open, by kind: the number in pipe:[N] is left out."""
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.append(re.sub(r":\[\d+\]", "", os.readlink(entry)))
        except FileNotFoundError:
            pass                # closed meanwhile
    return sorted(found)


def look(pid) -> dict:
    """What the table tells of a process."""
    has, limit = status(pid), limits(pid)
    user, = {pwd.getpwuid(int(uid)).pw_name for uid in has["Uid"].split()}
    groups = {int(gid) for gid in (has["Gid"] + " " + has["Groups"]).split()}
    caps = {has[name] for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")}
    return {
        "user": user,
        "groups": "its own" if groups == {pwd.getpwnam(user).pw_gid}
                  else "its caller's",
        "capabilities": "none" if caps == {"0" * 16} else "root's",
        "and what a program could get": "none" if int(has["CapBnd"], 16) == 0
            or has["NoNewPrivs"] == "1" else "its caller's",
        "new privileges": "no" if has["NoNewPrivs"] == "1" else "yes",
        "readable in `/proc` by its own user":
            "no" if user != "root" and
            os.stat(f"/proc/{pid}/environ").st_uid == 0 else "yes",
        "core dump": "no" if limit["Max core file size"] == ["0", "0"]
                     else "yes",
        "umask": has["Umask"].strip()[1:],
        "root directory": os.readlink(f"/proc/{pid}/root"),
    }


def compare(process: str, pid, without: tuple = ()):
    table, measured = documented(), look(pid)
    assert {name for _, name in table} >= set(measured)
    for name, value in measured.items():
        if name not in without:
            assert value == table[process, name].strip("`"), (process, name)


@pytest.fixture(scope="module")
def world(shared_lab):
    """An agent with an account of nobody's; its secret comes of a program
    that tells what it is."""
    lab = shared_lab
    fault = lab.start_fault()
    agent = lab.make_agent({}, sockets=[lab.socket])
    lab.told = lab.directory / "told"
    lab.told.mkdir()
    shutil.chown(lab.told, USER, USER)
    program = agent.directory / "vault"
    program.write_text(
        "#!/usr/bin/python3 -IS\n"
        "import os, sys\n"
        "has = {name: open(f'/proc/self/{name}').read()\n"
        "       for name in ('status', 'limits', 'environ', 'cmdline')}\n"
        "has['fd'] = [os.readlink(f'/proc/self/fd/{n}') for n in range(64)\n"
        "             if os.path.exists(f'/proc/self/fd/{n}')]\n"
        "has['ids'] = [os.stat('/proc/self/environ').st_uid, os.getsid(0),\n"
        "              os.getpid(), os.umask(0)]\n"
        f"open({str(lab.told / 'now')!r}, 'w').write(repr(has))\n"
        f"os.rename({str(lab.told / 'now')!r}, {str(lab.told / 'all')!r})\n"
        "print('of-no-worth')\n")
    program.chmod(0o755)
    agent.accounts[ACCOUNT] = lab.faulty(
        fault.endpoint("one"), grant="client_credentials",
        client_secret=f"command:{program}", allow="nobody")
    agent.accounts["group@contoso.example"] = lab.faulty(
        fault.endpoint("two"), grant="client_credentials",
        client_secret=agent.secret("two", "of-no-worth"),
        allow=f"group:{_group(NOBODY.pw_gid)}")
    agent.write()
    agent.start()
    agent.do("refresh", ACCOUNT)
    agent.do("refresh", "group@contoso.example")
    return lab


def _group(gid: int) -> str:
    return grp.getgrgid(gid).gr_name


# Privileges.

def test_agent_started_by_root(world):
    pid = world.agent.process.pid
    compare("agent", pid)
    own = {str(world.agent.log), str(world.agent.state), "/dev/null",
           "socket", "pipe", "anon_inode:[eventpoll]", "anon_inode:[timerfd]"}
    found = descriptors(pid)
    assert set(found) <= own, found
    assert found.count(str(world.agent.log)) == 2       # it has no others


def test_agent_listens_on_unix_sockets_only(world):
    pid = world.agent.process.pid
    sockets = {os.readlink(entry)[8:-1]
               for entry in Path(f"/proc/{pid}/fd").iterdir()
               if os.readlink(entry).startswith("socket:")}
    listening = [line.split() for name in ("tcp", "tcp6", "udp", "udp6", "raw")
                 if Path(f"/proc/{pid}/net/{name}").exists() for line in
                 Path(f"/proc/{pid}/net/{name}").read_text().splitlines()[1:]]
    assert not [line for line in listening
                if line[9] in sockets and line[3] in ("0A", "07")]
    paths = {line.split()[7] for line in
             Path(f"/proc/{pid}/net/unix").read_text().splitlines()[1:]
             if line.split()[6] in sockets and len(line.split()) > 7}
    assert {path.removesuffix(f".{pid}") for path in paths} == {
        str(world.socket)}


@pytest.mark.parametrize("process, options", [
    ("agent", []), ("agent", ["--stdio"])])
def test_agent_as_its_user(world, process, options):
    """As the unit and spawn(8) start it: from the beginning another user."""
    lab, agent = world, world.agent
    conf = agent.directory / f"own{len(options)}.conf"
    conf.write_text(agent.conf.read_text().replace(
        str(lab.socket), f"{lab.told}/own.sock"))
    shutil.copy(BUILD / "mailtokend", lab.directory)
    here, there = socket.socketpair()
    started = subprocess.Popen(
        [lab.directory / "mailtokend", "-f", *options, "-c", conf],
        stdin=there, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        text=True, env=client_environment(), user=USER, group=USER,
        extra_groups=[])
    there.close()
    try:
        until(lambda: status(started.pid)["NoNewPrivs"] == "1", 20, "it runs")
        until(lambda: "anon_inode:[eventpoll]" in descriptors(started.pid), 20,
              "its loop")
        compare(process, started.pid)
    finally:
        here.close()
        started.terminate()
        _, said = started.communicate(timeout=20)
    if options:         # said for each lookup of Postfix's, it would be noise
        assert NOT_LOCKED not in said


def test_agent_of_a_user(lab):
    """--user: as under its unit, but for whose it is."""
    home = Home(lab.directory)
    home.conf.parent.mkdir(mode=0o700, parents=True)
    home.conf.write_text(f"[account {ACCOUNT}]\nprovider = custom\n"
                         "token_endpoint = https://127.0.0.1:1/token\n"
                         "grant = refresh_token\nclient_id = x\nscope = y\n")
    for made in (home.conf.parent.parent, home.conf.parent, home.conf):
        os.chown(made, home.who.pw_uid, home.who.pw_gid)
    agent = home.start(lab.directory / "user.log")
    try:
        until(lambda: "event=ready" in agent.text(), 20, "the agent")
        assert look(agent.pid)["user"] == home.who.pw_name
        compare("agent", agent.pid, without=("user",))
        assert (home.socket.stat().st_uid, home.socket.parent.stat().st_uid
                ) == (home.who.pw_uid,) * 2
        others = {name for name in descriptors(agent.pid)
                  if not name.startswith(("socket", "pipe", "anon_inode:"))}
        state = str(home.directory / ".local/state/mailtoken")
        assert others == {str(lab.directory / "user.log"), "/dev/null", state}
    finally:
        agent.stop()


def test_command_while_it_has_a_secret(world):
    """It waits for the rest of a refresh token, and is looked at."""
    shutil.copy(BUILD / "mailtoken", world.directory)
    for process, user in ("command by root", None), ("command", NOBODY):
        who = user and {"user": user.pw_uid, "group": user.pw_gid,
                        "extra_groups": []}
        conf = world.directory / "readable.conf"
        conf.write_text(f"[account {ACCOUNT}]\nprovider = custom\n"
                        "token_endpoint = https://127.0.0.1:1/token\n"
                        "grant = refresh_token\nclient_id = x\nscope = y\n")
        waiting = subprocess.Popen(
            [world.directory / "mailtoken", "-c", conf, "import", ACCOUNT],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, env=client_environment(), **(who or {}))
        try:
            waiting.stdin.write(b"half-a-token")
            waiting.stdin.flush()
            until(lambda: limits(waiting.pid)["Max core file size"] ==
                  ["0", "0"] and status(waiting.pid)["Umask"].endswith("077"),
                  20, "it runs")
            compare(process, waiting.pid, () if user else (
                "readable in `/proc` by its own user",))
            assert not [name for name in descriptors(waiting.pid)
                        if name not in ("pipe", "/dev/null", "socket",
                                        "anon_inode:[eventpoll]")]
        finally:
            waiting.kill()
            waiting.communicate(timeout=10)


def test_program_of_a_secret(world):
    """What `command:` runs: nothing of the agent's but its user."""
    told = ast.literal_eval((world.told / "all").read_text())
    table = documented()
    has = dict(line.split(":\t", 1) for line in told["status"].splitlines())
    user = pwd.getpwnam(USER)
    assert set(has["Uid"].split()) == {str(user.pw_uid)}
    assert table["`command:`", "user"] == f"`{USER}`"
    assert int(has["CapBnd"], 16) == int(has["CapEff"], 16) == 0
    assert table["`command:`", "capabilities"] == "none"
    assert has["NoNewPrivs"] == "1"
    assert table["`command:`", "new privileges"] == "no"
    assert has.get("VmLck", "0 kB").split()[0] == "0"
    assert "Max core file size        0                    0" in told["limits"]
    fd, out, err, *more = told["fd"]
    assert (fd, err) == ("/dev/null", "/dev/null")
    assert out.startswith("pipe:") and not [
        name for name in more if not name.startswith("/proc/")]
    names = {pair.partition("=")[0] for pair in told["environ"].split("\0")}
    assert names - {"", "LC_CTYPE"} <= {"PATH", "HOME", "LANG", "USER"}
    _, session, pid, umask = told["ids"]
    assert session == pid and umask == 0o077


# Locked memory.

def _caps() -> int:
    return int(status("self")["CapPrm"], 16)


def _locked_kib(pid) -> int:
    return int(status(pid)["VmLck"].split()[0])


def _agent(lab, name: str, wrapper: list):
    agent = lab.make_agent({}, name, [lab.directory / f"{name}.d" / "sock"])
    agent.wrapper = wrapper
    agent.start()
    return agent


@unwatched      # sanitizers lock nothing
def test_memory_is_locked(lab):
    """All of it, and what is added later: by the unit's limit, or by a root
    who may lift it, or with the capability."""
    if _caps() >> CAP_SYS_RESOURCE & 1:
        wrapper = ["prlimit", "--memlock=65536:65536"]
    else:       # as with AmbientCapabilities=CAP_IPC_LOCK
        wrapper = ["setpriv", "--reuid", USER, "--regid", USER,
                   "--clear-groups", "--inh-caps", "+ipc_lock",
                   "--ambient-caps", "+ipc_lock"]
    assert _caps() >> CAP_IPC_LOCK & 1
    shutil.copy(BUILD / "mailtokend", lab.directory)
    agent = lab.make_agent({}, sockets=[lab.directory / "s" / "sock"])
    agent.seal_key.write_text("0" * 64 + "\n")
    agent.seal_key.chmod(0o600)
    shutil.chown(agent.seal_key, USER, USER)
    log = lab.directory / "locked.log"
    process = Process([*wrapper, lab.directory / "mailtokend", "-f", "-c",
                       agent.conf], log, env=client_environment())
    try:
        process.wait_log("event=ready")
        assert NOT_LOCKED not in process.text()
        has = status(process.pid)
        resident, locked = (int(has[name].split()[0])
                            for name in ("VmRSS", "VmLck"))
        # But for what the kernel itself maps there.
        assert locked > 0.9 * int(has["VmSize"].split()[0]) > resident / 2
        smaps = Path(f"/proc/{process.pid}/smaps").read_text()
        heap = smaps[smaps.index("[heap]"):]
        assert " lo " in re.search(r"VmFlags: (.*)", heap)[1] + " "
    finally:
        process.stop()


def test_memory_that_cannot_be_locked(lab):
    """It says so once, with the remedy, and works."""
    agent = _agent(lab, "limited", LIMITED)
    assert _locked_kib(agent.process.pid) == 0
    assert limits(agent.process.pid)["Max locked memory"] == ["1048576"] * 2
    event, = agent.events(NOT_LOCKED)
    for words in "LimitMEMLOCK=infinity", "memlock=-1", "encrypted swap":
        assert words in event["text"]
    agent.do("reload")
    assert len(agent.events(NOT_LOCKED)) == 1
    agent.stop()
    agent.wrapper = []
    # The command says nothing of it: that would be in every login's way.
    done = subprocess.run([*LIMITED, BUILD / "mailtoken", "explain", "535"], capture_output=True, text=True, timeout=30,
                          env=client_environment())
    assert "memory" not in done.stdout + done.stderr


def test_unit_lifts_the_limit():
    unit = PAGE.parents[1] / "helpers" / "mailtokend.service"
    assert "\nLimitMEMLOCK=infinity\n" in unit.read_text()


# A root who has what the policies give, and no more.

@pytest.mark.parametrize("policy, rule", [
    ("apparmor/usr.sbin.mailtokend", r"(?m)^  capability (\w+),$"),
    ("selinux/mailtoken.te",
     r"allow mailtokend_t self:capability \{ ([\w ]+) \};")])
def test_capabilities_of_the_policies_are_enough(lab, policy, rule):
    """To make the key, and where there is one, in directories that are the
    agent's user's already."""
    text = (PAGE.parents[1] / policy).read_text()
    given = " ".join(re.findall(rule, text)).split()
    assert "chown" in given and "sys_admin" not in given
    name = Path(policy).stem
    agent = lab.make_agent({}, name, [lab.directory / f"{name}.d" / "sock"])
    agent.wrapper = ["setpriv", "--bounding-set",
                     ",".join(["-all"] + [f"+{cap}" for cap in given])]
    for _ in range(2):
        agent.start()
        has = status(agent.process.pid)
        assert {has[key] for key in ("CapPrm", "CapEff", "CapBnd")} == {
            "0" * 16}
        assert agent.seal_key.owner() == "root"
        agent.stop()


# Files and sockets.

def test_modes_and_owners(world):
    agent = world.agent
    names = {path.name.rpartition(".")[2] for path in agent.state.iterdir()}
    assert names == {"grant", "lock"}
    for path, mode, owner in (
            (world.socket, 0o666, "root"),
            (world.socket.parent, 0o755, USER),
            (agent.state, 0o700, USER), (agent.seal_key, 0o640, "root"),
            *((path, 0o600, USER) for path in agent.state.iterdir())):
        has = path.lstat()
        assert (oct(has.st_mode & 0o7777), has.st_uid) == (
            oct(mode), pwd.getpwnam(owner).pw_uid), path


def test_no_link_is_followed_to_a_state_directory(lab):
    """An empty one of root's becomes the agent's, unless a link leads there:
    the directory above may be the agent's user's."""
    agent = lab.make_agent({}, sockets=[lab.directory / "links.sock"])
    agent.state.rmdir()
    target = lab.directory / "roots"
    for link in True, False:
        if link:
            target.mkdir(mode=0o700)
            agent.state.symlink_to(target)
        else:
            agent.state.unlink()
            agent.state.mkdir(mode=0o700)
        subprocess.run([BUILD / "mailtoken", "-c", agent.conf, "rekey",
                        "--first"], capture_output=True, timeout=30,
                       env=client_environment())
        owner = agent.state.stat().st_uid
        assert owner == (0 if link else pwd.getpwnam(USER).pw_uid)


# Who is whom.

def as_another(job, user, gid: int = None, groups: tuple = ()):
    """job() in a child of that user's; returns what it returned."""
    there, here = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups)
            os.setresgid(*[user.pw_gid if gid is None else gid] * 3)
            os.setresuid(*[user.pw_uid] * 3)
            os.write(here, json.dumps([job(), os.getpid()]).encode())
        finally:
            os._exit(0)
    os.close(here)
    with open(there, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    assert text, "the child has failed"
    return json.loads(text)


def get(world, account=ACCOUNT):
    return lambda: wire.ask(world.socket, op="get", account=account)


def ask_on(s: socket.socket, account: str = ACCOUNT) -> dict:
    s.settimeout(20)
    s.sendall(f"version=1\nop=get\naccount={account}\n\n".encode())
    return wire.parse(wire.receive(s))


@pytest.mark.parametrize("gid, groups, allowed", [
    (NOBODY.pw_gid, (), True),              # as the primary one
    (DAEMON.pw_gid, (NOBODY.pw_gid,), True),
    (DAEMON.pw_gid, tuple(range(5000, 5200)) + (NOBODY.pw_gid,), True),
    # So many are looked at; of who has more, the primary one only.
    (DAEMON.pw_gid, tuple(range(5000, 6023)) + (NOBODY.pw_gid,), True),
    (DAEMON.pw_gid, tuple(range(5000, 6024)) + (NOBODY.pw_gid,), False),
    (NOBODY.pw_gid, tuple(range(5000, 65000)), True),
    # What passwd and group say of the user does not matter: the process
    # has not got it.
    (DAEMON.pw_gid, (), False),
    (DAEMON.pw_gid, tuple(range(5000, 5200)), False),
])
@pytest.mark.parametrize("user", [NOBODY, DAEMON], ids=["nobody", "daemon"])
def test_groups_of_the_process_count(world, user, gid, groups, allowed):
    answer, _ = as_another(get(world, "group@contoso.example"), user, gid,
                           groups)
    assert ("token" in answer) == allowed
    assert allowed or answer["kind"] == "denied"


def test_user_decides_whatever_the_group(world):
    assert "token" in as_another(get(world), NOBODY, 0, (0,))[0]
    answer, _ = as_another(get(world), DAEMON, NOBODY.pw_gid, (NOBODY.pw_gid,))
    assert answer["kind"] == "denied"


def test_identity_is_that_of_the_connect(world):
    """Who connects as a stranger stays one, whatever it becomes: root by a
    set-uid program, or a child of another user's."""
    def becomes_root():
        os.seteuid(DAEMON.pw_uid)
        s = wire.connect(world.socket)
        os.seteuid(0)
        s.sendall(b"version=1\nop=status\n\n")
        return wire.parse(wire.receive(s))
    answer, _ = as_another(becomes_root, pwd.getpwnam("root"))
    assert answer["kind"] == "denied"

    def child_drops_to_nobody():
        os.setegid(DAEMON.pw_gid)
        os.seteuid(DAEMON.pw_uid)
        s = wire.connect(world.socket)
        os.seteuid(0)
        os.setresgid(*[NOBODY.pw_gid] * 3)
        os.setresuid(*[NOBODY.pw_uid] * 3)
        return ask_on(s)
    answer, _ = as_another(child_drops_to_nobody, pwd.getpwnam("root"))
    assert answer["kind"] == "denied"


def handed_over(world, giver, taker) -> tuple:
    """giver connects, and passes the descriptor to taker, who asks; returns
    the answer, giver's pid and taker's."""
    one, other = socket.socketpair()
    one.settimeout(20)
    other.settimeout(20)

    def connects():
        s = wire.connect(world.socket)
        socket.send_fds(one, [b"x"], [s.fileno()])
        one.recv(1)             # its pid stays its own until the answer
        return {}

    def asks():
        _, (fd,), _, _ = socket.recv_fds(other, 1, 1)
        answer = ask_on(socket.socket(fileno=fd))
        other.send(b"x")
        return answer
    there, here = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(here, str(as_another(connects, giver)[1]).encode())
        finally:
            os._exit(0)
    os.close(here)
    answer, taken_by = as_another(asks, taker)
    with open(there, "rb") as pipe:
        connected_by = int(pipe.read())
    os.waitpid(pid, 0)
    one.close()
    other.close()
    return answer, connected_by, taken_by


def test_passed_descriptors(world):
    """Whom allow names, may hand a connection on, as it may the token; a
    stranger's connection is a stranger's in anybody's hands.  The log names
    who connected."""
    answer, connected_by, taken_by = handed_over(world, NOBODY, DAEMON)
    assert "token" in answer
    event = world.agent.events("token", ACCOUNT)[-1]
    assert (event["uid"], event["pid"], event["result"]) == (
        str(NOBODY.pw_uid), str(connected_by), "ok")
    assert taken_by != connected_by
    answer, connected_by, _ = handed_over(world, DAEMON, NOBODY)
    assert answer["kind"] == "denied"
    event = world.agent.events("token", ACCOUNT)[-1]
    assert (event["uid"], event["pid"], event["result"]) == (
        str(DAEMON.pw_uid), str(connected_by), "denied")
    answer, _, _ = handed_over(world, pwd.getpwnam("root"), DAEMON)
    assert "token" in answer


def test_descriptors_that_are_sent_are_not_taken(world, tmp_path):
    """They would fill its table, or keep what they are of open."""
    pid = world.agent.process.pid
    marked = tmp_path / "marked"
    marked.touch()
    before = descriptors(pid)
    with open(marked, "rb") as f:
        fds = array.array("i", [f.fileno()] * 200)
        for last in b"\n", b"":
            open_ones = []
            for _ in range(8):
                s = wire.connect(world.socket)
                s.sendmsg([b"version=1\nop=get\naccount=a\n" + last],
                          [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
                open_ones.append(s)
            for s in open_ones:
                if last:
                    assert wire.parse(wire.receive(s))["status"] == "error"
            if not last:
                until(lambda: len(descriptors(pid)) == len(before) + 8, 10,
                      "their connections")
                assert str(marked) not in descriptors(pid)
            for s in open_ones:
                s.close()
    until(lambda: descriptors(pid) == before, 15, "the end of them")


def test_directories_of_a_socket(lab):
    """Everybody may pass, whatever umask the agent has."""
    agent = lab.make_agent({})
    made = agent.directory / "run" / "mailtoken"
    agent.settings["listen"] = made / "agent.sock"
    agent.write()
    agent.start()
    assert [oct(path.stat().st_mode & 0o7777) for path in (
        made.parent, made, made / "agent.sock")] == ["0o755", "0o755", "0o666"]
