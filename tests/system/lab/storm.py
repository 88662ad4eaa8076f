"""Agents, commands and clients at the same accounts, and kill -9."""

import ctypes
import os
import random
import select
import signal
import subprocess
import sys
import threading
import time
import traceback

from . import sealed, wire
from .agent import (BUILD, EX_NOPERM, EX_OK, EX_TEMPFAIL, READY,
                    client_environment)
from .logins import GONE
from .process import Process
from .wait import until

START_S = 0.05          # about; some are killed before they serve
SERVE_S = 0.15
COMMAND_S = 0.03
JUST_AFTER_S = 0.004    # an answer of the provider, where it hurts most
WRITING_S = 0.001       # about; a grant is being replaced
CLIENTS = 1             # for each agent: they must leave time for the rest
COMMANDS = 2
ROUND_S = 300           # a storm has to end then


class Killed:
    """A process that may have to die."""

    def __init__(self, popen: subprocess.Popen, provider):
        self.popen, self.provider = popen, provider
        self.answered = threading.Event()
        provider.processes[popen.pid] = self

    def kill(self) -> bool:
        """True: that is what it died of."""
        self.popen.kill()
        return self.ended() == -signal.SIGKILL

    def ended(self) -> int:
        code = self.popen.wait(60)
        self.provider.processes.pop(self.popen.pid, None)
        return code

    def was_killed(self) -> bool:
        return self.popen.returncode == -signal.SIGKILL


class Watch:
    """Of a directory: inotify(7), which Python lacks."""

    IN_CREATE, IN_NONBLOCK = 0x100, 0o4000

    def __init__(self, directory):
        libc = ctypes.CDLL(None, use_errno=True)
        self.fd = libc.inotify_init1(self.IN_NONBLOCK)
        assert libc.inotify_add_watch(self.fd, os.fsencode(directory),
                                      self.IN_CREATE) >= 0

    def wait(self, timeout: float):
        """For the next file that is made there."""
        if select.select([self.fd], [], [], 0)[0]:
            os.read(self.fd, 1 << 16)
        select.select([self.fd], [], [], timeout)

    def close(self):
        os.close(self.fd)


class Storm:
    """agents: the first goes on, the others are killed and started again.
    The last account is logged out and in, and so expected to be out."""

    def __init__(self, provider, agents: list, accounts: list, seed: int):
        self.provider, self.agents, self.seed = provider, agents, seed
        self.accounts, self.visitor = accounts[:-1], accounts[-1]
        self.killed = {"agent": 0, "command": 0}
        self.wrong, self.ended = [], threading.Event()
        self.served = self.started = self.commands = 0
        self.lock = threading.Lock()
        self.lost, self.healing = set(), threading.Lock()
        self.end = time.monotonic() + ROUND_S
        provider.hook = self._hook

    def _hook(self, when: str, request):
        if when == "answered" and isinstance(request.process, Killed):
            request.process.answered.set()

    def _count(self, what: str, wanted: int) -> bool:
        """Is there more to do?"""
        return (self.killed[what] < wanted and not self.ended.is_set()
                and not self.wrong and time.monotonic() < self.end)

    def run(self, agent_kills: int, command_kills: int):
        before = sys.getswitchinterval()
        sys.setswitchinterval(0.0002)   # who kills must not come late
        try:
            self._run(agent_kills, command_kills)
        finally:
            sys.setswitchinterval(before)

    def _run(self, agent_kills: int, command_kills: int):
        for agent in self.agents:
            self._start_agent(agent)
        killers = [threading.Thread(
            target=self._guarded, args=(self._kill_agent, number, agent,
                                        agent_kills))
            for number, agent in enumerate(self.agents[1:])]
        killers += [threading.Thread(
            target=self._guarded, args=(self._kill_commands, 10 + number,
                                        number == 0, command_kills))
            for number in range(COMMANDS)]
        clients = [threading.Thread(
            target=self._guarded, args=(self._ask, 20 + number, agent))
            for number in range(CLIENTS) for agent in self.agents]
        for thread in killers + clients:
            thread.start()
        for thread in killers:
            thread.join(ROUND_S + 60)
        self.ended.set()
        for thread in clients:
            thread.join(60)
        assert not self.wrong, (self.seed, self.wrong[:3])
        assert self.killed["agent"] >= agent_kills, self.killed
        assert self.killed["command"] >= command_kills, self.killed

    def _guarded(self, job, number: int, *rest):
        try:
            job(random.Random(f"{self.seed} {number}"), *rest)
        except Exception:       # a thread's end must be seen
            self.wrong.append(traceback.format_exc())

    def _begin(self, agent) -> Killed:
        agent.process = Process(
            [*agent.wrapper, BUILD / "mailtokend", "-f", "-c", agent.conf],
            agent.log, env=client_environment(**agent.environment))
        return Killed(agent.process.popen, self.provider)

    def _start_agent(self, agent) -> Killed:
        since = len(agent.text())
        begun = self._begin(agent)
        until(lambda: READY in agent.text()[since:], 30, READY, 0.01)
        return begun

    def _moment(self, choose, process: Killed, patience: float, most: float):
        """Any, one after an answer, or one in which a file is written."""
        pick = choose.random()
        if pick < 0.3:
            process.answered.clear()
            process.answered.wait(patience)
            time.sleep(choose.uniform(0, JUST_AFTER_S))
        elif pick < 0.6:
            watch = Watch(self.agents[0].state)
            watch.wait(patience)
            time.sleep(choose.uniform(0, WRITING_S))
            watch.close()
        else:
            time.sleep(choose.uniform(0, most))

    # The agents.

    def _kill_agent(self, choose, agent, wanted: int):
        """The first one runs already."""
        running = self.provider.processes[agent.process.pid]
        while True:
            self._moment(choose, running, 1, SERVE_S)
            self.killed["agent"] += running.kill()
            self.look()
            while choose.random() < 0.2:
                self._stillborn(agent, choose)
            if not self._count("agent", wanted):
                break
            running = self._start_agent(agent)
            self.started += 1
            self.all_have_tokens(agent)
        self._start_agent(agent)

    def _stillborn(self, agent, choose):
        begun = self._begin(agent)
        time.sleep(choose.uniform(0, START_S))
        self.killed["agent"] += begun.kill()
        self.look()

    def look(self):
        """Whatever has been killed: each file is whole, and has a login."""
        for account in self.accounts:
            grant = whole(self.agents[0], account)
            if not self.provider.one_time and not self.provider.good(
                    account, grant.get("refresh_token")):
                self.wrong.append(f"{account}: lost: {sorted(grant)}")

    def all_have_tokens(self, agent, timeout: float = 90):
        """At once, from an agent that has just begun; retry is not lost."""
        left, end = list(self.accounts), time.monotonic() + timeout
        while left:
            asked = time.time()
            answers = ask_all(agent.sockets[0], left)
            for account, answer in answers.items():
                if self._judge(account, answer, asked):
                    left.remove(account)
            if self.wrong:
                return
            if left and time.monotonic() > end:
                self.wrong.append(f"no token: {answers}")
                return
            if left:
                time.sleep(0.05)

    def _judge(self, account: str, answer: dict, asked: float) -> bool:
        """True: a token, or (one-time) the truth about a lost login."""
        if answer.get("status") == "ok":
            whose, until_s = self.provider.access.get(answer["token"],
                                                      (None, 0))
            if whose != account or until_s < asked - 1:
                self.wrong.append(f"{account}: a token of {whose}, which "
                                  f"ended {asked - until_s:.1f} s before")
            self.served += 1
            return True
        kind = answer.get("kind")
        if kind == "reauth" and (account == self.visitor or
                                 self.has_lost(account)):
            if "mailtoken login" not in answer["text"]:
                self.wrong.append(answer)
            return True
        if kind not in (None, "retry"):
            self.wrong.append((account, answer))
        return False

    # The clients.

    def _ask(self, choose, agent):
        while not self.ended.is_set():
            account = choose.choice(self.accounts + [self.visitor])
            asked = time.time()
            try:
                answer = wire.ask(agent.sockets[0], op="get", account=account)
            except OSError:
                time.sleep(0.01)        # killed, or not there yet
                continue
            self._judge(account, answer, asked)
            time.sleep(choose.uniform(0, 0.04))

    # The commands.

    def _kill_commands(self, choose, first: bool, wanted: int):
        while self._count("command", wanted):
            self.heal()
            words, give, there = self._command(choose, first)
            command = self._start_command(words, give, there)
            self._moment(choose, command, COMMAND_S, COMMAND_S)
            killed = command.kill()
            with self.lock:
                self.killed["command"] += killed
                self.commands += 1
            if not killed:
                self._check_end(words, command.popen.returncode)
            command.popen.stdin.close()
            self.look()

    def _command(self, choose, first: bool) -> tuple:
        """Words, standard input, with the agent?"""
        account = choose.choice(self.accounts)
        pick = choose.random()
        if pick < 0.35:
            return ["refresh", account], "", False
        if pick < 0.6:
            return ["token", account], "", choose.random() < 0.3
        if pick < 0.8 or not first:
            return (["import", account], self.provider.log_in(account),
                    choose.random() < 0.5)
        if pick < 0.88:
            return ["logout", self.visitor], "", True
        if pick < 0.95:
            return (["import", self.visitor],
                    self.provider.log_in(self.visitor), True)
        return ["rekey"], "", False

    def _start_command(self, words: list, give: str, there: bool) -> Killed:
        agent = self.agents[0]
        socket = agent.sockets[0] if there else agent.directory / "nobody"
        popen = subprocess.Popen(
            [*agent.wrapper, BUILD / "mailtoken", "-c", agent.conf, *words],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=client_environment(MAILTOKEN_SOCKET=str(socket)))
        made = Killed(popen, self.provider)
        try:
            popen.stdin.write(give.encode())
            popen.stdin.flush()
            if give:
                popen.stdin.close()
        except BrokenPipeError:
            pass
        return made

    def _check_end(self, words: list, code: int):
        """Of a command that was faster than its death."""
        fine = [EX_OK, EX_TEMPFAIL]
        if self.visitor in words or any(map(self.has_lost, words[1:])):
            fine.append(EX_NOPERM)
        if code not in fine:
            self.wrong.append((words, code))

    # One-time refresh tokens: what nobody can save.

    def has_lost(self, account: str) -> bool:
        return self.provider.one_time and any(
            request.account == account for request in self.provider.again)

    def heal(self):
        """A person logs in again where that was needed."""
        with self.healing:
            for request in list(self.provider.again):
                if not self.provider.one_time or request.login in self.lost:
                    continue
                self.lost.add(request.login)
                self.log_in(request.account)

    def log_in(self, account: str):
        first = self.agents[0]
        done = first.cli("import", account, give=self.provider.log_in(account))
        if done.returncode not in (EX_OK, EX_TEMPFAIL):
            self.wrong.append((account, done.returncode, done.stderr))
        for agent in self.agents[1:]:
            try:        # which was not told
                wire.ask(agent.sockets[0], op="refresh", account=account)
            except OSError:
                pass    # it is dead: it will read the state

    def causes(self) -> int:
        """Each refresh token that came twice was sent by a process that was
        killed before it could save the new one: it had been answered, or
        its request came after that of the one who had the lock next.
        Returns how many logins met with that."""
        for request in self.provider.again:
            login = request.login
            at = login.tokens.index(request.used)
            if self._died(request):
                continue
            assert self._died(login.requests[at]), (
                self.seed, request.account, at, login.requests[at].at,
                request.at)
            assert at == len(login.tokens) - 2 or not self.provider.one_time
        return len({request.login for request in self.provider.again})

    def _died(self, request) -> bool:
        """Of a kill, the process that made it."""
        if request.process is None:
            return self.provider.blind
        return request.process == GONE or request.process.was_killed()

    # Afterwards.

    def at_rest(self):
        """All agents run; nothing is left, and everything works."""
        self.heal()
        self.log_in(self.visitor)
        everything = self.accounts + [self.visitor]
        for agent in self.agents:
            for account in everything:
                until(lambda: self._renewed(agent, account), 60,
                      f"a token for {account}")
        agent = self.agents[0]
        agent.do("rekey", agent=False)
        for other in self.agents:
            assert not other.events("state-not-saved"), other.log
            assert not other.events("state-unreadable"), other.log
            other.stop()
        left = {path.name for path in agent.state.iterdir()}
        assert left == {f"{account}.{end}" for account in everything
                        for end in ("grant", "lock")}, left
        assert not list(agent.directory.glob(".*")), "temporary files"
        assert len(sealed.keys(agent.seal_key)) == 1
        for account in everything:
            assert self.provider.good(
                account, whole(agent, account)["refresh_token"])

    def _renewed(self, agent, account: str) -> bool:
        if wire.ask(agent.sockets[0], op="refresh",
                    account=account)["status"] == "ok":
            return True
        self.heal()     # it has found out only now
        return False


def whole(agent, account: str) -> dict:
    """The grant, while others may be changing it and the key."""
    for turn in range(20):
        try:
            return agent.grant(account)
        except Exception:       # the key may have come or gone meanwhile
            if turn == 19:
                raise
            time.sleep(0.01)
    return {}


def ask_all(path, accounts: list, op: str = "get") -> dict:
    """All at once; {} from an agent that went away."""
    answers, sockets = {}, []
    try:
        for account in accounts:
            sockets.append((account, s := wire.connect(path)))
            s.sendall(f"version=1\nop={op}\naccount={account}\n\n".encode())
        for account, s in sockets:
            answers[account] = wire.parse(wire.receive(s))
    except OSError:
        pass
    finally:
        for _, s in sockets:
            s.close()
    return answers


def descriptors(pid: int) -> int:
    """0 where root may not look (a container without CAP_SYS_PTRACE)."""
    try:
        return len(os.listdir(f"/proc/{pid}/fd"))
    except PermissionError:
        return 0


def zombies(pid: int) -> list:
    """Children that nobody has waited for."""
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as stat:
                words = stat.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if words[0] == "Z" and int(words[1]) == pid:
            found.append(int(name))
    return found
