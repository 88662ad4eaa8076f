"""On one host, without mail: get, login, and the load of the plugin."""

import contextlib
import os
import shutil
import subprocess
import time
from pathlib import Path

from lab import wire
from lab.agent import BUILD, client_environment
from lab.lab import ACCOUNT, AGENT_PASSWORD, Lab
from lab.process import Process
from lab.wait import until
from report import at_most, fact, median, quartiles, say

PROGRAMS = ("ask", "echo", "grants", "init", "logins", "state")
TOKEN_BYTES = 2000
DAY_S = 86400
CLIENT = "postfix"      # who asks: neither root nor the agent


def install(lab: Lab) -> Path:
    """The programs, where every user can run them."""
    there = lab.directory / "bench"
    if not there.exists():
        there.mkdir(mode=0o755)
        for name in PROGRAMS:
            shutil.copy(BUILD / "tests" / "bench" / name, there)
        # A page that is not on the disk yet counts as dirty.
        plain = there / "plain"
        plain.mkdir(mode=0o755)
        shutil.copy(lab.plugins() / "libplain.so", plain)
        os.sync()
    return there


def unasked(lab: Lab) -> dict:
    """Keys of an account whose provider is never asked: nobody is there."""
    secret = lab.directory / "client-secret"
    if not secret.exists():
        secret.write_text("not used")
        secret.chmod(0o600)
        shutil.chown(secret, "mailtoken", "mailtoken")
    return {"provider": "custom", "grant": "client_credentials",
            "token_endpoint": "http://127.0.0.1:9/token",
            "insecure_http": "yes", "client_id": "bench", "scope": "mail",
            "client_secret": f"file:{secret}", "allow": CLIENT}


def agent_with(lab: Lab, names: list, token: str, name: str, sockets=None):
    """An agent that has a token, good for a day, for every name."""
    agent = lab.make_agent({}, name, sockets)
    agent.accounts = dict.fromkeys(names, unasked(lab))
    agent.write()
    file = lab.directory / "token"
    file.write_text(token)
    subprocess.run([install(lab) / "grants", agent.conf, file, str(DAY_S)],
                   check=True, timeout=300)
    return agent


def state(lab: Lab, number: int) -> list:
    """Reading sealed grants, against plain ones."""
    say(f"state: {number} files")
    there = lab.directory / "state-bench"
    there.mkdir(mode=0o700)
    out = subprocess.run([install(lab) / "state", there, str(number)],
                         check=True, timeout=120, capture_output=True,
                         text=True).stdout
    sealed, plain = (int(word) / 1000 for word in out.split())
    return [fact("reading a plain one", plain, " us", 1),
            fact("reading a sealed one", sealed, " us", 1),
            at_most("sealed / plain", sealed / plain, 2, digits=2)]


def request(account: str) -> bytes:
    return (f"version=1\nop=get\naccount={account}\nservice=smtp\n"
            "host=smtp.contoso.example\n\n").encode()


def answer_of(socket: Path, question: bytes) -> bytes:
    with wire.connect(socket) as s:
        s.sendall(question)
        return wire.receive(s)


def start_echo(lab: Lab, answer: bytes) -> Process:
    socket, file = echo_socket(lab), lab.directory / "answer"
    file.write_bytes(answer)
    echo = Process([install(lab) / "echo", socket, file],
                   lab.directory / "echo.log")
    lab.ends.callback(echo.stop)
    until(socket.exists, 10, "the echo server")
    socket.chmod(0o666)
    return echo


def echo_socket(lab: Lab) -> Path:
    return lab.directory / "echo.sock"


@contextlib.contextmanager
def placed(pids: list, cpus: set):
    """The processes on these processors, and then where they were before."""
    before = {pid: os.sched_getaffinity(pid) for pid in pids}
    try:
        for pid in pids:
            os.sched_setaffinity(pid, cpus)
        yield
    finally:
        for pid, where in before.items():
            os.sched_setaffinity(pid, where)


def places() -> dict:
    """Where the client and the servers may run.  Left to itself the scheduler
    may put one server beside the client and another apart from it, and that
    makes more of a difference than all that they do: so all three."""
    cpus = sorted(os.sched_getaffinity(0))
    ways = {"anywhere": (set(cpus), set(cpus)),
            "one processor": ({cpus[0]}, {cpus[0]})}
    if len(cpus) > 1:
        ways["two processors"] = ({cpus[0]}, {cpus[1]})
    return ways


def ask(lab: Lab, rounds: int, gets: int, questions: bytes,
        *sockets: Path) -> list:
    """For each round the microseconds of one round trip with each socket."""
    file = lab.directory / "requests"
    file.write_bytes(questions)
    done = subprocess.run(
        [install(lab) / "ask", str(rounds), str(gets), file, *sockets],
        check=True, timeout=300, stdout=subprocess.PIPE, text=True,
        user=CLIENT)
    return [[int(ns) / 1000 for ns in line.split()]
            for line in done.stdout.splitlines()]


def compare(lab: Lab, echo: Process, agent, rounds: int, gets: int,
            questions: bytes):
    """For each way to place them: the medians of the echo server's times, of
    the agent's, of their ratios, and how far those spread."""
    servers = [echo.pid, agent.process.pid]
    sockets = [echo_socket(lab), agent.sockets[0]]
    for way, (client, server) in places().items():
        with placed(servers, server), placed([0], client):
            ask(lab, 1, gets, questions, *sockets)
            pairs = ask(lab, rounds, gets, questions, *sockets)
        ratios = [b / a for a, b in pairs]
        yield (way, median(a for a, _ in pairs), median(b for _, b in pairs),
               median(ratios), quartiles(ratios))


def get(lab: Lab, echo: Process, rounds: int, gets: int) -> list:
    say(f"get: {rounds} rounds of {gets} with each server")
    rows = []
    for way, bare, ours, ratio, spread in compare(
            lab, echo, lab.agent, rounds, gets, request(ACCOUNT)):
        rows += [
            fact(f"{way}: bare echo of the same bytes", bare, " us", 1),
            fact(f"{way}: get from the agent's memory", ours, " us", 1),
            at_most(f"{way}: get / echo (half of all rounds: {spread})",
                    ratio, 2, digits=2),
        ]
    return rows


def _environment(lab: Lab, plugins: Path) -> dict:
    return client_environment(SASL_PATH=str(plugins),
                              MAILTOKEN_SOCKET=str(lab.socket))


def _logins(lab: Lab, prefix: list, mech: str, number: int):
    there = install(lab)
    subprocess.run(
        [*prefix, there / "logins", str(number), mech, ACCOUNT,
         AGENT_PASSWORD], check=True, timeout=300, user=CLIENT,
        env=_environment(lab, lab.plugins()), capture_output=True)


def _instructions(*only):
    """Counts all, or what happens within a function."""
    def count(lab: Lab, scratch: Path, mech: str, number: int) -> int:
        out = scratch / "callgrind"
        _logins(lab, ["valgrind", "--tool=callgrind",
                      f"--callgrind-out-file={out}",
                      *(f"--toggle-collect={name}" for name in only)],
                mech, number)
        totals = [line for line in out.read_text().splitlines()
                  if line.startswith(("summary:", "totals:"))]
        counted = int(totals[-1].split()[1])
        assert counted > 0, "callgrind has counted nothing"
        return counted
    return count


def _calls(lab: Lab, scratch: Path, mech: str, number: int) -> int:
    out = scratch / "strace"
    _logins(lab, ["strace", "-f", "-o", out], mech, number)
    return len(out.read_text().splitlines())


def login(lab: Lab, number: int) -> list:
    say(f"login: {number} under callgrind and strace")
    scratch = lab.directory / "scratch"
    scratch.mkdir(mode=0o755)
    shutil.chown(scratch, CLIENT)
    few = 10

    def each(count, mech):
        return (count(lab, scratch, mech, few + number)
                - count(lab, scratch, mech, few)) / number
    response, whole = _instructions("respond*"), _instructions()
    return [
        at_most("instructions, sasl_client_new to initial response",
                each(response, "XOAUTH2"), 22000),
        fact("the same of PLAIN", each(response, "PLAIN")),
        fact("instructions, with sasl_dispose", each(whole, "XOAUTH2")),
        fact("the same of PLAIN", each(whole, "PLAIN")),
        at_most("system calls", each(_calls, "XOAUTH2"), 15),
        fact("the same of PLAIN", each(_calls, "PLAIN")),
    ]


def _init(lab: Lab, plugins: Path) -> list:
    done = subprocess.run(
        [install(lab) / "init"], check=True, timeout=30, text=True,
        stdout=subprocess.PIPE, env=_environment(lab, plugins))
    return [int(n) for n in done.stdout.split()]


def init(lab: Lab, rounds: int) -> list:
    say(f"sasl_client_init: {rounds} rounds")
    plain = install(lab) / "plain"
    both = install(lab) / "both"
    both.mkdir(mode=0o755)
    for name in ("libplain.so", "libxoauth2.so"):
        shutil.copy(lab.plugins() / name, both)
    os.sync()
    time.sleep(1)
    pairs = [(_init(lab, plain), _init(lab, both)) for _ in range(rounds)]

    def more(i):
        return median(with_us[i] - without[i] for without, with_us in pairs)
    return [
        fact("time without the plugin",
             median(p[0][0] for p in pairs) / 1000, " us", 1),
        at_most("time more with it", more(0) / 1000, 100, " us", 1),
        at_most("mapped objects more", more(1), 1),
        at_most("private dirty memory more", more(2), 32, " kB"),
    ]
