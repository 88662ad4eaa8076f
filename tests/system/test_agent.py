"""mailtokend: privileges, configuration, state, its end."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import threading
import time

import pexpect
import pytest

from lab import tenant, wire
from lab.agent import (BUILD, EX_CONFIG, EX_NOPERM, EX_TEMPFAIL, USER,
                       client_environment)
from lab.diskfault import FULL_DISK, DiskFault
from lab.lab import ACCOUNT
from lab.process import Process
from lab.wait import until

OTHER = "other@contoso.example"
IDLE_S = 10         # a connection without a request
# The descriptor must be number 3, and LISTEN_PID the agent's own.
HAND_OVER = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ |= {"LISTEN_FDS": "1", "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def served(lab):
    """An agent with two accounts, started."""
    lab.start_fault()
    lab.endpoints = {name: lab.fault.endpoint(name, mode="rotate")
                     for name in (ACCOUNT, OTHER)}
    agent = lab.make_agent({name: lab.faulty(endpoint)
                            for name, endpoint in lab.endpoints.items()})
    for name, endpoint in lab.endpoints.items():
        agent.do("import", name, agent=False, give=endpoint.refresh_token)
    agent.start()
    return lab


def in_background(job) -> tuple:
    """Starts job() in a thread; returns the thread and where its result is."""
    results = []
    thread = threading.Thread(target=lambda: results.append(job()))
    thread.start()
    return thread, results


def ask_slowly(lab):
    """A client that waits for a renewal that takes two seconds."""
    endpoint = lab.endpoints[ACCOUNT]
    until(lambda: endpoint.in_flight == 0, 10, "a quiet endpoint")
    endpoint.delay, before = 2, endpoint.count
    job = in_background(lambda: lab.agent.cli("refresh", ACCOUNT))
    until(lambda: endpoint.count > before, 5, "the request")
    return job


def test_privileges(served):
    pid = served.agent.process.pid
    status = dict(line.split(":\t", 1) for line in
                  open(f"/proc/{pid}/status").read().splitlines())
    user = pwd.getpwnam(USER)
    assert set(status["Uid"].split()) == {str(user.pw_uid)}
    assert set(status["Gid"].split()) == {str(user.pw_gid)}
    assert set(status["Groups"].split()) <= {str(user.pw_gid)}
    assert int(status["CapEff"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    # The files of a process that is not dumpable belong to root.
    assert os.stat(f"/proc/{pid}/environ").st_uid == 0


def test_reload_keeps_waiters(served):
    thread, results = ask_slowly(served)
    served.agent.accounts["third@contoso.example"] = served.faulty(
        served.fault.endpoint("third"))
    served.agent.write()
    served.agent.process.signal(signal.SIGHUP)
    until(lambda: served.agent.events("reload"), 10, "the reload")
    thread.join(20)
    assert results[0].returncode == 0, results[0].stderr
    assert "third@contoso.example" in served.agent.cli("status").stdout


def test_reload_heals_no_login(served):
    """While the old token lasts, `status` would call it well."""
    endpoint, agent = served.endpoints[ACCOUNT], served.agent
    until(lambda: endpoint.in_flight == 0, 10, "a quiet endpoint")
    endpoint.mode = "50076-v2"
    assert agent.cli("refresh", ACCOUNT).returncode == EX_NOPERM
    endpoint.delay, before = 1, endpoint.count
    agent.do("reload")
    until(lambda: endpoint.count > before, 10, "another try")
    assert state_of(agent) == "reauth"      # it is under way
    until(lambda: endpoint.in_flight == 0, 10, "its end")
    assert state_of(agent) == "reauth"
    endpoint.mode, endpoint.delay = "rotate", 0
    agent.do("reload")
    until(lambda: state_of(agent) == "ok", 10, "a good login")


def state_of(agent) -> str:
    return json.loads(agent.cli("status", "--json", ACCOUNT).stdout)[0]["state"]


def test_bad_configuration_is_refused_at_reload(served):
    agent = served.agent
    good = agent.conf.read_text()
    agent.write_text(good + "frobnicate = yes\n")
    line = len(good.splitlines()) + 1
    done = agent.cli("reload")
    assert done.returncode == EX_CONFIG
    assert f"mailtoken.conf:{line}" in done.stderr + agent.text()
    agent.process.signal(signal.SIGHUP)
    until(lambda: agent.text().count(f"mailtoken.conf:{line}") >= 2, 10,
          "the complaint in the log")
    assert agent.do("token", ACCOUNT).strip()
    agent.write_text(good)
    agent.do("reload")


@pytest.mark.parametrize("option, code", [("--help", 0), ("--frob", 64)])
def test_usage(option, code):
    done = subprocess.run([BUILD / "mailtokend", option], timeout=20,
                          env=client_environment(), capture_output=True,
                          text=True)
    assert done.returncode == code
    assert "usage: mailtokend" in (done.stderr if code else done.stdout)


def test_a_person_sees_why_it_does_not_start(tmp_path):
    """Without -f the log is syslog's, which nobody looks at just then."""
    child = pexpect.spawn(str(BUILD / "mailtokend"),
                          ["-c", str(tmp_path / "absent.conf")],
                          timeout=20, encoding="utf-8")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == EX_CONFIG
    assert "cannot-start" in child.before and "mailtoken add" in child.before


def test_removed_account_is_no_longer_served(served):
    agent = served.agent
    del agent.accounts[OTHER]
    agent.write()
    agent.do("reload")
    answer = wire.ask(served.socket, op="get", account=OTHER)
    assert answer["status"] == "error" and answer["kind"] == "config"
    assert (agent.state / f"{OTHER}.grant").exists()


def test_term_answers_who_waits(served):
    """And keeps the one-time refresh token that was on its way."""
    thread, results = ask_slowly(served)
    assert served.agent.stop() == 0
    thread.join(20)
    assert "Connection" not in results[0].stderr
    served.agent.start()
    served.agent.do("refresh", ACCOUNT)
    assert served.endpoints[ACCOUNT].alive


@pytest.mark.parametrize("damage, words", [
    (lambda data: b"", "empty"),
    (lambda data: data[:len(data) // 2], "truncated|incomplete|cut"),
    (lambda data: data.replace(b"version=2 ", b"version=3\n", 1), "newer"),
    (lambda data: b"\x00" * len(data), "."),
])
def test_broken_state_of_one_account(served, damage, words):
    """It alone fails, its file stays as it is, and the others go on."""
    agent = served.agent
    agent.stop()
    path = agent.state / f"{ACCOUNT}.grant"
    broken = damage(path.read_bytes())
    path.write_bytes(broken)
    agent.start()
    assert agent.do("token", OTHER).strip()
    for with_agent in (True, False):
        done = agent.cli("token", ACCOUNT, agent=with_agent)
        assert done.returncode == EX_CONFIG, done.stderr
        assert ACCOUNT in done.stderr
        assert any(word in done.stderr for word in words.split("|"))
        assert done.stdout == ""
    done = agent.cli("import", ACCOUNT, give="never-to-be-seen")
    assert done.returncode == EX_CONFIG
    assert path.read_bytes() == broken
    assert ACCOUNT in agent.cli("status").stdout


@pytest.mark.parametrize("mode, owner, words", [
    (0o644, USER, "chmod"),
    (0o600, "root", "chown"),
])
def test_bad_secret_file_stops_one_account(served, mode, owner, words):
    """Readable by others, or not readable by the agent."""
    agent = served.agent
    agent.accounts[ACCOUNT]["client_secret"] = agent.secret(
        "client.secret", "never-to-be-seen", mode)
    shutil.chown(agent.directory / "client.secret", owner)
    agent.write()
    agent.cli("reload")
    done = agent.cli("refresh", ACCOUNT)
    assert done.returncode == EX_CONFIG, done.stderr
    assert words in done.stderr and "client.secret" in done.stderr
    agent.do("refresh", OTHER)
    assert "never-to-be-seen" not in agent.text() + done.stderr


def test_full_disk(served):
    """The new token is served, the one-time refresh token that came with it
    is kept in memory and saved as soon as that is possible."""
    agent = served.agent
    disk = DiskFault(agent.state, agent.directory / "disk")
    agent.stop()
    agent.environment = disk.environment
    agent.start()
    agent.environment = {}
    disk.order(1, FULL_DISK)
    before = agent.grant(ACCOUNT)
    agent.do("refresh", ACCOUNT)
    token = agent.do("token", ACCOUNT).strip()
    assert token == served.endpoints[ACCOUNT].access_tokens[-1]
    assert agent.events("state-not-saved", ACCOUNT)
    assert agent.grant(ACCOUNT) == before

    disk.order()
    agent.do("refresh", ACCOUNT)
    assert (agent.grant(ACCOUNT)["refresh_token"]
            == served.endpoints[ACCOUNT].refresh_token)
    agent.stop()
    agent.start()
    agent.do("refresh", ACCOUNT)
    assert served.endpoints[ACCOUNT].alive


def test_state_that_cannot_be_written(served):
    """Until somebody mends it no one-time refresh token is spent; the token
    that is there is served."""
    agent, endpoint = served.agent, served.endpoints[ACCOUNT]
    agent.do("refresh", ACCOUNT)
    before, count = agent.grant(ACCOUNT), endpoint.count
    agent.state.chmod(0o500)
    done = agent.cli("refresh", ACCOUNT)
    assert done.returncode == EX_CONFIG, done.stderr
    assert "no token was asked for" in done.stderr
    assert endpoint.count == count and agent.grant(ACCOUNT) == before

    agent.state.chmod(0o700)
    agent.do("refresh", ACCOUNT)
    assert endpoint.count == count + 1 and endpoint.alive
    assert agent.grant(ACCOUNT)["refresh_token"] == endpoint.refresh_token


def test_refresh_that_fails_says_so(served):
    """Though the token of before is still good, and served."""
    agent, endpoint = served.agent, served.endpoints[ACCOUNT]
    before = agent.do("token", ACCOUNT)
    endpoint.mode = "500"
    done = agent.cli("refresh", ACCOUNT)
    assert done.returncode == EX_TEMPFAIL and "500" in done.stderr
    assert "renewed" not in done.stdout + done.stderr
    assert agent.events("refresh", ACCOUNT)[-1]["result"] == "retry"
    assert agent.do("token", ACCOUNT) == before
    endpoint.mode = "rotate"
    assert "renewed" in agent.cli("refresh", ACCOUNT).stderr


def test_admin_only(served):
    """status, refresh and reload are not for everybody."""
    for command in (["status"], ["refresh", ACCOUNT], ["reload"]):
        done = served.agent.cli(*command, user="nobody")
        assert done.returncode == EX_NOPERM, (command, done.stderr)
        assert done.stdout == ""


def test_allowed_by_supplementary_group(served):
    agent = served.agent
    agent.accounts[ACCOUNT]["allow"] = "group:mail"
    agent.write()
    agent.do("reload")
    done = agent.cli("token", ACCOUNT, user="nobody")
    assert (done.returncode, done.stdout) == (EX_NOPERM, "")
    assert agent.events("token", ACCOUNT)[-1]["result"] == "denied"
    done = agent.cli("token", ACCOUNT, user="nobody", groups=["mail"])
    assert done.returncode == 0 and done.stdout, done.stderr
    assert agent.cli("token", OTHER, user="nobody",
                     groups=["mail"]).returncode == EX_NOPERM


@pytest.mark.parametrize("request_bytes", [
    b"version=1\nop=get\n\nop=get\n\n",
    b"version=1\nop=get\nop=get\n\n",
    b"version=1\nop=get\naccount=../../etc/passwd\n\n",
    b"version=2\nop=get\naccount=a\n\n",
    b"version=1\nop=dance\n\n",
    b"\n",
    b"GET / HTTP/1.1\r\n\n",
    b"\x00\xff" * 2000 + b"\n\n",
    b"version=1\nop=get\naccount=" + b"a" * 40000,
    b"version=1\nop=reject\naccount=nobody\ngeneration=1\nreason=no\n\n",
], ids=range(10))
def test_malformed_requests(shared_agent, request_bytes):
    answer = wire.ask_raw(shared_agent.sockets[0], request_bytes)
    assert answer == {} or answer["status"] == "error"
    assert shared_agent.cli("status").stdout


@pytest.fixture(scope="module")
def shared_agent(shared_lab):
    shared_lab.start_fault()
    agent = shared_lab.make_agent(
        {ACCOUNT: shared_lab.faulty(shared_lab.fault.endpoint("one"))})
    return agent.start()


def test_certificates_of_many_accounts(lab):
    """More than are read at once, each with a file of its own: when each of
    them ends is known soon, also after all have been replaced."""
    names = [f"box{i}@contoso.example" for i in range(40)]
    ends, contents = [], []
    for days in 60, 90:
        cert, key = tenant.certificate(lab.directory, f"days{days}", days)
        contents.append(cert.read_text() + key.read_text())
        ends.append(days * 86400)
    endpoint = lab.start_fault().endpoint("one")
    agent = lab.make_agent({})
    for i, name in enumerate(names):
        path = agent.secret(f"own{i}.pem", contents[0]).removeprefix("file:")
        agent.accounts[name] = lab.faulty(
            endpoint, grant="client_credentials", client_certificate=path)
    agent.write()
    agent.start()

    def status() -> list:
        return json.loads(agent.do("status", "--json"))

    def known(life_s: int) -> bool:
        """Made a few minutes ago, or less."""
        return all(-3600 < account["credential_expires_at"] - time.time()
                   - life_s < 60 for account in status())
    until(lambda: all(account["state"] == "ok" for account in status()), 60,
          "tokens")
    until(lambda: known(ends[0]), 30, "the end of each")
    for i in range(len(names)):
        agent.secret(f"own{i}.pem", contents[1])
    count = endpoint.count
    agent.do("reload")
    until(lambda: known(ends[1]), 30, "the new end of each")
    assert endpoint.count == count


def test_connection_limits(lab):
    """Clients that say nothing: refused when too many, dropped when idle."""
    agent = lab.make_agent({}, max_connections_per_uid=8)
    agent.start()
    idle = [wire.connect(lab.socket) for _ in range(8)]
    answer = wire.ask(lab.socket, op="status")
    assert answer["status"] == "error" and answer["kind"] == "retry"
    done = agent.cli("status")
    assert done.returncode == EX_TEMPFAIL and answer["text"] in done.stderr
    since = time.monotonic()
    for s in idle:
        wire.receive(s)         # ends when the agent closes it
        s.close()
    assert time.monotonic() - since < IDLE_S + 3
    assert wire.ask(lab.socket, op="status")["status"] == "ok"


def test_socket_and_readiness_of_systemd(lab):
    """LISTEN_FDS in, READY=1 out."""
    agent = lab.make_agent({})
    path = lab.directory / "handed-over.sock"
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        listener.bind(str(path))
        listener.listen(8)
        path.chmod(0o666)
        notify.bind(str(lab.directory / "notify"))
        (lab.directory / "notify").chmod(0o666)
        notify.settimeout(20)
        agent.process = Process(
            ["/usr/bin/python3", "-c", HAND_OVER, str(listener.fileno()),
             BUILD / "mailtokend", "-f", "-c", agent.conf], agent.log,
            env=client_environment(NOTIFY_SOCKET=f"{lab.directory}/notify"),
            pass_fds=(listener.fileno(),))
        assert b"READY=1" in notify.recv(4096)
        assert wire.ask(path, op="status")["status"] == "ok"
        assert not lab.socket.exists()
        assert agent.stop() == 0
        assert path.exists()    # it is systemd's
