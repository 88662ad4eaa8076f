"""mailtokend under its own user, and the mailtoken command."""

import os
import pwd
import re
import shutil
import signal
import subprocess
from pathlib import Path

from . import sealed, watched
from .process import Process
from .wait import until

BUILD = Path(os.environ.get("BUILD", Path(__file__).parents[3] / "build"))
PLUGINS = Path(os.environ.get("PLUGINS", BUILD))     # see watched.py
USER = "mailtoken"
EX_OK, EX_USAGE, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 0, 64, 75, 77, 78
READY = "event=ready"


def ensure_user():
    try:
        pwd.getpwnam(USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell",
             "/usr/sbin/nologin", USER], check=True, timeout=30)


def client_environment(**more) -> dict:
    """Nothing of the caller's that could lead to another agent."""
    kept = {name: os.environ[name] for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")
            if name in os.environ}
    return {"PATH": "/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL": "C"} | kept | more


class Agent:
    """Its configuration, state and sockets below one directory.

    accounts: name -> keys of its section; agent: keys of [agent].
    environment is added to its own and the command's; wrapper is what both
    are run by."""

    def __init__(self, directory: Path, sockets: list, accounts: dict,
                 agent: dict = None):
        ensure_user()
        self.directory = directory
        self.sockets = [Path(s) for s in sockets]
        self.state = directory / "state"
        self.conf = directory / "mailtoken.conf"
        self.seal_key = directory / "seal.key"
        self.log = directory / "log"
        self.accounts = accounts
        self.settings = {
            "listen": " ".join(map(str, self.sockets)),
            "state_dir": self.state,
            "user": USER,
        } | (agent or {})
        self.process = None
        self.environment, self.wrapper = {}, watched.wrapper()
        directory.mkdir(mode=0o755, exist_ok=True)
        self.state.mkdir(mode=0o700)
        shutil.chown(self.state, USER, USER)
        for socket in self.sockets:
            socket.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            shutil.chown(socket.parent, USER, USER)
        self.write()

    def write(self):
        """Writes the configuration from settings and accounts."""
        text = "[agent]\n" + _keys(self.settings)
        for name, keys in self.accounts.items():
            text += f"\n[account {name}]\n" + _keys(keys)
        self.write_text(text)

    def write_text(self, text: str):
        self.conf.write_text(text)
        self.conf.chmod(0o640)
        shutil.chown(self.conf, "root", USER)

    def secret(self, name: str, value: str, mode: int = 0o600) -> str:
        """Puts a client secret into a file; returns the reference to it."""
        path = self.directory / name
        path.write_text(value + "\n")
        path.chmod(mode)
        shutil.chown(path, USER, USER)
        return f"file:{path}"

    def start(self):
        since = len(self.text())
        self.process = Process(
            [*self.wrapper, BUILD / "mailtokend", "-f", "-c", self.conf],
            self.log, env=client_environment(**self.environment))
        try:
            until(lambda: self._ready(since), 20 * watched.PATIENCE,
                  f"{READY} in {self.log}")
        except BaseException:
            self.stop()
            raise
        return self

    def _ready(self, since: int) -> bool:
        assert self.process.alive(), self.text()[-2000:]
        return READY in self.text()[since:]

    def stop(self) -> int:
        return self.process.stop() if self.process else 0

    def kill(self):
        self.process.signal(signal.SIGKILL)
        self.process.popen.wait(10)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def events(self, event: str, account: str = None) -> list:
        """The log's lines for an event, as dictionaries."""
        found = []
        for line in self.text().splitlines():
            pairs = dict(re.findall(r'(\w+)=("[^"]*"|\S+)', line))
            if pairs.get("event") == event and account in (
                    None, pairs.get("account")):
                found.append(pairs)
        return found

    def cli(self, *args, give: str = None, agent: bool = True,
            environment: dict = None, timeout: float = 30,
            user: str = None, groups: list = None
            ) -> subprocess.CompletedProcess:
        """Runs mailtoken; agent=False: as if the agent were away.  user and
        supplementary groups: instead of root."""
        socket = self.sockets[0] if agent else self.directory / "nobody"
        env = client_environment(MAILTOKEN_SOCKET=str(socket))
        program, who = BUILD / "mailtoken", {}
        if user:
            program = self._for_everybody(program)
            who = {"user": user, "group": pwd.getpwnam(user).pw_gid,
                   "extra_groups": groups or []}
        return subprocess.run(
            [*self.wrapper, program, "-c", self.conf, *args],
            input=give or "",
            env=env | self.environment | (environment or {}),
            timeout=timeout * watched.PATIENCE, text=True, capture_output=True, **who)

    def _for_everybody(self, program: Path) -> Path:
        """A copy of it where any user can run it: BUILD may be root's."""
        copy = self.directory / program.name
        if not copy.exists():
            shutil.copy(program, copy)
        return copy

    def do(self, *args, **kw) -> str:
        """The same for a command that must succeed; returns its stdout."""
        done = self.cli(*args, **kw)
        assert done.returncode == EX_OK, (args, done.returncode, done.stderr)
        return done.stdout

    def grant(self, account: str) -> dict:
        """What the state file says."""
        content = sealed.text(self.state / f"{account}.grant", self.seal_key)
        return dict(line.split("=", 1)
                    for line in content.decode().splitlines() if line)

    def change_grant(self, account: str, **keys):
        """As if something else had been stored."""
        text = "".join(f"{key}={value}\n" for key, value in
                       (self.grant(account) | keys).items()) + "\n"
        sealed.seal(self.state / f"{account}.grant", self.seal_key,
                    text.encode())


def _keys(pairs: dict) -> str:
    return "".join(f"{k} = {v}\n" for k, v in pairs.items())
