"""Postfix asks the agent instead of a password file: socketmap_table(5)."""

import os
import shutil
import signal
import socket
import subprocess
import time

import pytest

from lab.agent import BUILD, EX_CONFIG, client_environment
from lab.lab import ACCOUNT
from lab.wait import until

TENANT = "*@contoso.example"
SENDERS = 300
LOOKUPS = "socketmap:unix:run/mailtoken/postfix.sock:sasl"
DEADLINE = 20


def netstring(text: bytes) -> bytes:
    return b"%d:%b," % (len(text), text)


def ask(path, *requests: bytes, user: str = None) -> list:
    """The answers to netstrings, or None where the agent hung up."""
    code = ("import socket, sys; s = socket.socket(socket.AF_UNIX);"
            "s.settimeout(20); s.connect(sys.argv[1]); f = s.makefile('rb');"
            "r = sys.stdin.buffer.read(); s.sendall(r);"
            "s.shutdown(socket.SHUT_WR); sys.stdout.buffer.write(f.read())")
    out = subprocess.run(
        ["/usr/bin/python3", "-c", code, path], input=b"".join(requests),
        capture_output=True, timeout=DEADLINE, check=True, user=user).stdout
    answers = []
    while out:
        n, rest = out.split(b":", 1)
        answers.append(rest[:int(n)].decode())
        assert rest[int(n):int(n) + 1] == b","
        out = rest[int(n) + 1:]
    return answers


@pytest.fixture(scope="module")
def world(shared_lab):
    lab = shared_lab
    lab.start_idp()
    lab.start_upstream(whole_tenant=True)
    lab.map = lab.chroot_socket.with_name("postfix.sock")
    agent = lab.make_agent({}, socketmap=lab.map)
    agent.accounts[TENANT] = lab.app_only(agent)
    agent.accounts[ACCOUNT] = lab.delegated()
    agent.accounts["fallback"] = lab.app_only(
        agent, mailbox="bounces@contoso.example",
        relayhost=f"[127.0.0.1]:{lab.up.port} [smtp.example]:587")
    agent.accounts["shut@contoso.example"] = lab.app_only(agent, allow="root")
    agent.accounts["reader@contoso.example"] = lab.app_only(
        agent, services="imap")
    agent.write()
    agent.do("import", ACCOUNT, give=lab.idp.login(ACCOUNT), agent=False)
    agent.start()
    return lab


@pytest.fixture(scope="module")
def relay(world):
    return world.start_downstream(
        smtp_sasl_password_maps=LOOKUPS,
        smtp_sender_dependent_authentication="yes")


def test_keys(world):
    hop = f"[127.0.0.1]:{world.up.port}"
    keys = {
        ACCOUNT: f"OK {ACCOUNT}:mailtoken:{ACCOUNT}",
        "bob@contoso.example": f"OK bob@contoso.example:mailtoken:{TENANT}",
        "Bob@Contoso.Example": f"OK Bob@Contoso.Example:mailtoken:{TENANT}",
        hop: "OK bounces@contoso.example:mailtoken:fallback",
        "[smtp.example]:587": "OK bounces@contoso.example:mailtoken:fallback",
        "bob@fabrikam.example": "NOTFOUND ",
        "127.0.0.1": "NOTFOUND ",
        "": "NOTFOUND ",
        "a b@contoso.example": "NOTFOUND ",
        "x:y@contoso.example": "NOTFOUND ",
        "@contoso.example": "NOTFOUND ",
        "*@contoso.example": "NOTFOUND ",
    }
    answers = ask(world.map, *(netstring(b"sasl " + k.encode())
                               for k in keys), user="postfix")
    assert dict(zip(keys, answers)) == keys
    assert len(answers) == len(keys)


def test_refusals(world):
    shut, reader, table = ask(
        world.map, netstring(b"sasl shut@contoso.example"),
        netstring(b"sasl reader@contoso.example"), netstring(b"other x"),
        user="postfix")
    assert shut.startswith("PERM uid ") and "'allow'" in shut
    assert reader.startswith("PERM ") and "not for smtp" in reader
    assert table.startswith("PERM ") and ":sasl" in table


@pytest.mark.parametrize("bytes_", [
    b"99999999999:", b"2049:sasl x", b"version=1\n", b"-1:x,", b"4:sasl,",
    b"5:sasl x,", b"07:sasl x,", b"\0" * 64,
    netstring(b"sasl x\0y"), b"6:sasl x;"],
    ids=range(10))
def test_hostile(world, bytes_):
    """What no Postfix says ends the connection, and nothing else."""
    assert ask(world.map, bytes_, user="postfix") == []
    assert ask(world.map, netstring(b"sasl x"), user="postfix") == [
        "NOTFOUND "]


def test_slow(world):
    """One byte at a time is as good as all at once; half is waited for."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(DEADLINE)
        s.connect(str(world.map))
        for byte in netstring(b"sasl " + ACCOUNT.encode()):
            s.sendall(bytes([byte]))
        assert b"OK " in s.recv(1000)
        s.sendall(b"9:sa")
        with socket.socket(socket.AF_UNIX) as other:
            other.settimeout(DEADLINE)
            other.connect(str(world.map))
            other.sendall(netstring(b"sasl x"))
            assert other.recv(100) == netstring(b"NOTFOUND ")


def test_300_senders(world, relay):
    """One application's token serves every mailbox of the tenant."""
    before = world.idp.count("client_credentials")
    for i in range(SENDERS):
        relay.send(sender=f"user{i}@contoso.example", subject=f"from {i},")
    relay.wait_empty(120)
    text = world.up.text()
    for i in range(SENDERS):
        assert f"sasl_username=user{i}@contoso.example" in text
    assert world.idp.count("client_credentials") - before <= 1
    assert not relay.deliveries("deferred")
    assert not relay.deliveries("bounced")


def test_next_hop(world, relay):
    """A sender that nobody knows, and the bounce's empty one."""
    relay.send(sender="stranger@fabrikam.example", subject="fallback")
    world.up.wait_words("sasl_username=bounces@contoso.example")


def test_postmap(world):
    """Postfix's own client."""
    done = subprocess.run(
        ["postmap", "-q", "carol@contoso.example",
         f"socketmap:unix:{world.map}:sasl"],
        capture_output=True, text=True, timeout=DEADLINE)
    assert done.stdout.strip() == f"carol@contoso.example:mailtoken:{TENANT}"


def test_commands(world):
    """With the agent and without it, by the account and by a mailbox."""
    agent = world.agent
    tokens = {agent.do("token", name, agent=away) for away in (True, False)
              for name in (TENANT, "dora@contoso.example")}
    assert len(tokens) == 1
    assert "renewed" in agent.cli("refresh", TENANT, agent=False).stderr
    added = agent.do("add", "*@fabrikam.example", "--dry-run", "--provider",
                     "microsoft", "--tenant", "fabrikam.example", "--grant",
                     "client_credentials", "--client-id", "x", "--services",
                     "smtp", "--client-secret", "credential:x", "--allow",
                     "postfix")
    assert added.lstrip().startswith("[account *@fabrikam.example]\n")
    # What is done to an account is done to the one that is named.
    for command in ("refresh", "logout"):
        done = agent.cli(command, "dora@contoso.example", agent=False)
        assert done.returncode == EX_CONFIG
        assert "there is no account dora@contoso.example" in done.stderr


def test_restart_under_load(world, relay):
    """The agent goes and comes back; nothing bounces, all of it arrives."""
    sent = len(relay.deliveries("sent"))
    relay.send(60, sender="busy@contoso.example", subject="before")
    world.agent.stop()
    relay.send(60, sender="busy@contoso.example", subject="without")
    world.agent.start()
    relay.send(60, sender="busy@contoso.example", subject="after")
    relay.drain(120)
    assert len(relay.deliveries("sent")) >= sent + 180
    assert not relay.deliveries("bounced")


def test_tokens(lab):
    """For other plugins: the token itself, to those who may have it."""
    endpoint = lab.start_fault().endpoint("a")
    path = lab.directory / "map" / "map.sock"
    agent = lab.make_agent(
        {"a@contoso.example": lab.faulty(endpoint)},
        socketmap=path, socketmap_answer="token")
    path.parent.mkdir(mode=0o755)
    shutil.chown(path.parent, "mailtoken")
    agent.do("import", "a@contoso.example", give=endpoint.refresh_token,
             agent=False)
    agent.start()
    question = netstring(b"sasl a@contoso.example")
    answers = ask(path, question, question, user="postfix")
    assert answers == [
        f"OK a@contoso.example:{endpoint.access_tokens[-1]}"] * 2
    assert ask(path, question, user="nobody")[0].startswith("PERM ")
    assert endpoint.access_tokens[-1] not in agent.text()
    until(lambda: agent.events("lookup"), 5, "a line in the log")


def connect(path) -> socket.socket:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(DEADLINE)
    s.connect(str(path))
    return s


def received(s) -> bytes:
    """All that comes until the agent hangs up."""
    data = b""
    while more := s.recv(65536):
        data += more
    return data


@pytest.fixture
def slow(lab):
    """Tokens instead of references, from a provider that takes its time."""
    fault = lab.start_fault()
    lab.map = lab.directory / "map" / "map.sock"
    lab.map.parent.mkdir(mode=0o755)
    shutil.chown(lab.map.parent, "mailtoken")
    lab.endpoints = {n: fault.endpoint(n, delay=2) for n in ("a", "b")}
    agent = lab.make_agent(
        {n: lab.faulty(e) for n, e in lab.endpoints.items()},
        socketmap=lab.map, socketmap_answer="token")
    for name, endpoint in lab.endpoints.items():
        agent.do("import", name, give=endpoint.refresh_token, agent=False)
    agent.start()
    return lab


def test_waiting(slow):
    """Who waits is answered: having said all, having asked on, and though
    the account is taken out meanwhile.  Who hangs up is forgotten."""
    agent = slow.agent
    said_all, asks_on, orphan, gone = (connect(slow.map) for _ in range(4))
    question = {n: netstring(b"sasl " + n.encode()) for n in slow.endpoints}
    said_all.sendall(question["a"])
    said_all.shutdown(socket.SHUT_WR)
    asks_on.sendall(question["a"] * 2000)
    asks_on.shutdown(socket.SHUT_WR)
    orphan.sendall(question["b"])
    orphan.shutdown(socket.SHUT_WR)
    gone.sendall(question["b"])
    gone.close()
    del agent.accounts["b"]
    agent.write()
    agent.process.signal(signal.SIGHUP)
    until(lambda: agent.events("reload"), 10, "the reload")
    assert not slow.endpoints["b"].access_tokens        # it still waits
    good = netstring(b"OK a:" + received(said_all).split(b":", 2)[2][:-1])
    assert received(asks_on) == good * 2000
    assert slow.endpoints["a"].access_tokens[-1].encode() in good
    assert b":OK b:" in received(orphan)
    assert ask(slow.map, question["b"]) == ["NOTFOUND "]
    for s in (said_all, asks_on, orphan):
        s.close()


def test_never_reads(slow):
    """A client that takes no answers stops being read, and nobody else."""
    until(lambda: slow.endpoints["a"].access_tokens, 10, "a token")
    question = netstring(b"sasl a")
    with connect(slow.map) as s:
        s.setblocking(False)
        sent = 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            try:
                sent += s.send(question * 100)
            except BlockingIOError:
                time.sleep(0.05)
        assert sent < 4 << 20
        assert ask(slow.map, question)[0].startswith("OK a:")


def test_leaves_at_once(slow):
    """Postfix keeps its connections; the agent does not wait for them."""
    agent = slow.agent
    until(lambda: len(agent.events("renewal")) == 2, 10, "the tokens")
    with connect(slow.map) as idle, connect(slow.map) as asks:
        idle.sendall(netstring(b"sasl nobody"))
        assert idle.recv(100) == netstring(b"NOTFOUND ")
        began = time.monotonic()
        assert agent.stop() == 0
        assert time.monotonic() - began < 5
        assert idle.recv(100) == b""
        assert asks.recv(100) == b""


def tell(lab, **keys) -> dict:
    """One request of docs/PROTOCOL.md."""
    with connect(lab.socket) as s:
        s.sendall("".join(f"{k}={v}\n" for k, v in (
            {"version": 1} | keys).items()).encode() + b"\n")
        lines = received(s).decode().splitlines()
    return dict(line.split("=", 1) for line in lines if line)


def test_one_mailbox_refuses(world):
    """A mailbox that the application may not open: its server refuses every
    token, and those of all others must go on."""
    bad = "noaccess@contoso.example"
    for _ in range(2):
        got = tell(world, op="get", account=bad)
        assert got["status"] == "ok", got
        refused = tell(world, op="reject", account=bad,
                       generation=got["generation"], reason="535 5.7.3")
        assert refused["status"] == "ok"
        other = tell(world, op="get", account="carol@contoso.example")
        assert other["status"] == "ok", other
        until(lambda: tell(world, op="get", account=bad)["generation"] !=
              got["generation"] or world.agent.events("reject")[1:], 10,
              "a fresh token")
    assert tell(world, op="get", account=TENANT)["status"] == "ok"


def test_no_socket(lab):
    """Started by what is not Postfix: it says so, and ends."""
    agent = lab.make_agent({})
    done = subprocess.run(
        [BUILD / "mailtokend", "-f", "--stdio", "-c", agent.conf],
        input=netstring(b"sasl x"), capture_output=True, timeout=DEADLINE,
        env=client_environment())
    assert b"nobody knows who is asking" in done.stderr
    assert done.stdout == b""
    assert done.returncode == 0


def test_spawn(lab):
    """A container that runs nothing but Postfix: master(8) starts mailtokend
    for each client of the table, and it answers with tokens."""
    lab.start_idp()
    lab.start_upstream(whole_tenant=True)
    agent = lab.make_agent({})
    agent.accounts[TENANT] = lab.app_only(agent)
    agent.write()
    # Nothing else runs as root here that would make the key.
    agent.do("rekey", "--first")
    program = lab.directory / "mailtokend"
    shutil.copy(BUILD / "mailtokend", program)
    relay = lab.start_downstream(
        smtp_sasl_password_maps="socketmap:unix:private/mailtoken:sasl",
        smtp_sender_dependent_authentication="yes")
    with open(relay.etc / "master.cf", "a") as master:
        master.write(f"mailtoken unix - n n - 0 spawn user=mailtoken"
                     f" argv={program} --stdio -c {agent.conf}\n")
    relay.run("postfix", "reload", check=True)
    until(lambda: (relay.spool / "private" / "mailtoken").exists(), 20,
          "the service's socket")
    for i in range(20):
        relay.send(sender=f"user{i}@contoso.example", subject=f"from {i},")
    relay.wait_empty(60)
    assert len(lab.arrived()) == 20
    assert not relay.deliveries("bounced")
    # Many processes, one lock, one request.
    assert lab.idp.count("client_credentials") == 1
    assert not any(token in relay.text() for token in lab.idp.issued())
