"""Nothing leaks.

Every secret in these tests is a canary that no other text has: refresh and access tokens, client secrets, keys, passphrases, assertions,
codes and verifiers. Real programs meet each failure; then all that they have written, said or left is searched for
any 12 characters of any of them: as they are, and encoded as in a URL, in base64, hexadecimal or JSON. Searched are the agent's log
(there is no level that says more), what every command prints, the answers at its socket, the state and all other files, arguments and
environment of all processes all the time, core dumps, and the memory of who has had a secret."""

import base64
import collections
import ctypes
import json
import os
import pwd
import re
import resource
import shutil
import signal
import subprocess
import threading
import urllib.parse
from pathlib import Path

import pytest

from lab import canary, fakesmtp, idp, memory, tenant, wire
from lab.agent import BUILD, EX_OK, USER, client_environment
from lab.echo import GOOD, MODES, Echo
from lab.lab import ACCOUNT
from lab.ledger import times
from lab.wait import until

HOSTS = BUILD / "tests" / "system" / "hosts"
PAUSE_S = 0.005
MAN = Path(__file__).parents[2] / "docs" / "mailtoken.conf.5"
SIGNS = "+/ %&=~"
PTRACE_ATTACH = 16


class Watcher:
    """Arguments and environments of all processes that come of this one."""

    def __init__(self):
        self.texts, self.looks = set(), 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.ended.wait(PAUSE_S):
            self._look_at_children(str(os.getpid()), set())
            self.looks += 1

    def _look_at_children(self, pid: str, met: set):
        try:
            for task in os.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{task}/children",
                          encoding="ascii") as f:
                    for child in set(f.read().split()) - met:
                        met.add(child)
                        self._look(child)
                        self._look_at_children(child, met)
        except OSError:
            pass                # it has ended

    def _look(self, pid: str):
        try:
            for name in "cmdline", "environ":
                with open(f"/proc/{pid}/{name}", "rb") as f:
                    self.texts.add(f.read())
        except OSError:
            pass

    def stop(self):
        self.ended.set()
        self.thread.join(10)


class Scene:
    """An agent with an account for each kind of secret, all of a provider
    that quotes; what was shown; and the secrets."""

    def __init__(self, lab):
        self.lab, self.secrets, self.shown = lab, canary.Secrets(), []
        self.looked_at, self.texts = {}, set()
        self.numbers = collections.Counter()
        self.keepers = set()        # files whose purpose it is
        self.tenant = tenant.application()
        self.watcher = Watcher()
        lab.ends.callback(self.watcher.stop)
        self.echo = Echo(self.note, lambda: canary.make())
        lab.ends.callback(self.echo.stop)
        self.agent = lab.make_agent({}, sockets=[lab.socket])
        self.accounts()
        self.agent.write()
        self.refresh_token = self.new("refresh token")
        for name in ("refresh", "out"):
            self.agent.do("import", name, give=self.refresh_token, agent=False)
        self.agent.start()

    def note(self, name: str, secret: str):
        self.numbers[name] += 1
        self.secrets.add(f"{name} {self.numbers[name]}", secret)

    def new(self, name: str, more: str = "") -> str:
        secret = canary.make(more)
        self.note(name, secret)
        return secret

    def file(self, name: str, text: str) -> str:
        self.keepers.add(self.agent.directory / name)
        return self.agent.secret(name, text)

    def here(self, **keys) -> dict:
        return {"provider": "custom", "token_endpoint": self.echo.url,
                "insecure_http": "yes", "client_id": "an-application",
                "scope": "mail", "allow": "nobody"} | keys

    def accounts(self):
        agent, app = self.agent, self.tenant
        program = agent.directory / "vault"
        program.write_text(f"#!/bin/sh\ncat {agent.directory}/vault.kept\n")
        program.chmod(0o755)
        self.file("vault.kept", self.new("secret of a command", SIGNS))
        phrase = self.file("phrase", self.new("passphrase"))
        key = subprocess.run(
            ["openssl", "pkcs8", "-topk8", "-in", app.key, "-v2",
             "aes-256-cbc", "-passout", phrase], check=True, timeout=30,
            capture_output=True, text=True).stdout
        self.note("key", "".join(key.splitlines()[3:7]))
        account = json.loads(app.service_account(self.echo.url))
        self.note("key", "".join(account["private_key"].splitlines()[3:7]))
        certificate = agent.directory / "relay.pem"
        certificate.write_text(app.certificate.read_text())
        ends = {name + "_endpoint": self.echo.url.replace("/token", "/" + name)
                for name in ("authorization", "device_authorization",
                             "revocation")}
        login = self.here(
            grant="refresh_token", client_auth="post",
            client_secret=self.file("post", self.new("client secret", SIGNS)),
            **ends)
        agent.accounts = {
            "refresh": login, "out": login,
            "basic": self.here(
                grant="client_credentials", client_auth="basic",
                client_secret=self.file("basic", self.new("client secret",
                                                          SIGNS))),
            "command": self.here(grant="client_credentials",
                                 client_secret=f"command:{program}"),
            "certificate": self.here(
                grant="client_credentials", client_certificate=certificate,
                client_key=self.file("key", key).removeprefix("file:"),
                client_key_passphrase=phrase),
            "service": self.here(
                grant="jwt_bearer", subject=ACCOUNT,
                service_account_key=self.file("service", json.dumps(account))),
            "federated": self.here(
                grant="workload_identity",
                client_assertion_file=self.file(
                    "federated", ".".join(self.new("assertion")
                                          for _ in range(3))
                ).removeprefix("file:")),
        }
        del agent.accounts["service"]["client_id"]

    def run(self, *args, purpose: bool = False, **how):
        """purpose: what it prints to standard output is the secret."""
        done = self.agent.cli(*args, **how)
        self.shown += [done.stderr, "" if purpose else done.stdout]
        return done

    def files(self):
        for path in self.lab.directory.rglob("*"):
            if path.is_file() and path not in self.keepers:
                yield path

    def leaks(self, again: bool = False) -> list:
        """What has come since the last time and shows a secret: nothing.
        again: what was looked at before, too."""
        if again:
            self.looked_at.clear()
            self.texts.clear()
        shown, self.shown = self.shown, []
        new = set(self.watcher.texts) - self.texts
        self.texts |= new
        found = [(text, seen) for text in [*shown, *new]
                 if (seen := self.secrets.seen(text))]
        for path in list(self.files()):
            try:
                since = self.looked_at.get(path, 0)
                data = path.read_bytes() if path.name != "log" else (
                    path.read_bytes()[since:])
                self.looked_at[path] = since + max(0, len(data) - 200)
                if seen := self.secrets.seen(data):
                    found.append((path, seen))
            except FileNotFoundError:
                pass            # a program's copy of what it replaces
        return found


@pytest.fixture(scope="module")
def scene(shared_lab):
    return Scene(shared_lab)


@pytest.fixture(autouse=True)
def good_again(scene):
    yield
    scene.echo.mode = GOOD


def test_the_search_finds_what_is_there(scene):
    """In every disguise; and nothing where nothing is."""
    secret = canary.make(SIGNS)
    named = {"it": secret}
    assert canary.seen(named, "x" + secret[:canary.WINDOW])
    assert canary.seen(named, secret[20:50])
    assert canary.seen(named, urllib.parse.quote_plus(secret)[-30:])
    assert canary.seen(named, json.dumps({"a": secret}))
    assert canary.seen(named, secret.encode().hex())
    for before in range(4):
        text = base64.b64encode(b"u" * before + secret.encode() + b"\1\1")
        assert canary.seen(named, text)
        assert canary.seen(named, text[:len(text) * 2 // 3])
    assert not canary.seen(named, secret[:canary.WINDOW - 1])
    # And it finds them here: in the files that must have them.
    for path in scene.keepers:
        assert scene.secrets.seen(path.read_bytes()), path
    assert not scene.leaks()


def test_provider_that_quotes(scene, ledger):
    """By the agent and without it; then what the agent says of it later."""
    before, tried = scene.echo.count, 0
    for mode in MODES:
        scene.echo.mode = mode
        # One or two of them each time, or all.
        for name in list(scene.agent.accounts)[tried % times(5, 1)::times(5, 1)]:
            scene.run("refresh", name)
            scene.run("refresh", name, agent=False)
        tried += 1
        scene.run("status")
        scene.run("status", "--json")
        assert not scene.leaks(), mode
    tried = scene.echo.count - before
    # They were asked, and what the provider says is told, but for that.
    assert tried >= len(MODES) * times(1, 12)
    assert "***" in scene.agent.text()
    ledger.row("a provider that quotes tokens, secrets, assertions and "
               "passwords in its error, whole, cut, encoded, in headers or "
               "redirects; or answers with a token that is none", tried,
               "logged and shown without them")


def test_login_that_fails(scene, ledger):
    """Code and verifier, device code, and the token to be revoked."""
    tried = 0
    for mode in list(MODES)[::times(6, 1)]:
        scene.echo.mode = mode
        paste(scene)
        scene.run("revoke", "out")
        tried += 2
    for mode in list(MODES)[:times(1, 9)]:
        scene.echo.mode = mode
        scene.run("login", "out", "--device")
        tried += 1
    assert {"code 1", "code_verifier 1", "device code 1"} <= set(scene.secrets.named)
    assert not scene.leaks()
    ledger.row("a login or a revocation at such a provider", tried,
               "the person sees why, without code, verifier or token")


def paste(scene):
    """The person's URL has the state; that is its purpose."""
    command = subprocess.Popen(
        [BUILD / "mailtoken", "-c", scene.agent.conf, "login", "out",
         "--paste"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env=client_environment(
            MAILTOKEN_SOCKET=str(scene.lab.socket)))
    shown = ""
    while not (found := re.search(r"^http\S+authorization\?(\S+)$", shown,
                                  re.M)):
        line = command.stdout.readline()
        assert line, shown
        shown += line
    asked = dict(urllib.parse.parse_qsl(found[1]))
    rest, _ = command.communicate(asked["redirect_uri"] + "?" +
        urllib.parse.urlencode({"code": scene.new("code"),
                                "state": asked["state"]}) + "\n", timeout=20)
    scene.shown += [shown, rest]
    assert command.returncode != EX_OK, rest


# Configuration and files.

def keys_of_configuration() -> list:
    return re.findall(r"^\.It Ic (\w+)", MAN.read_text(), re.M)


def test_secret_in_the_wrong_place(scene, ledger, tmp_path):
    """As the value of every key, as a key, as a section, as a reference."""
    agent, tried = scene.agent, 0
    good = agent.conf.read_text()
    conf = agent.directory / "wrong.conf"
    secret = scene.new("secret in the wrong place")
    spaced = scene.new("secret in the wrong place", SIGNS)
    lines = [f"{key} = {value}" for key in keys_of_configuration()
             for value in (secret, spaced, f"file:{secret}")]
    assert len(lines) > 100
    lines += [secret, f"{secret} = yes", f"[{secret}]",
              f"client_secret = {secret}", f"= {secret}"]
    scene.keepers |= {conf, agent.conf}
    for line in lines[::times(7, 1)]:
        for text in (good.replace("[agent]", f"[agent]\n{line}", 1),
                     good.replace("[account basic]",
                                  f"[account basic]\n{line}", 1)):
            conf.write_text(text)
            conf.chmod(0o640)
            shutil.chown(conf, "root", USER)
            done = subprocess.run(
                [BUILD / "mailtokend", "-n", "-c", conf], text=True,
                capture_output=True, timeout=30, env=client_environment())
            scene.shown += [done.stderr, done.stdout]
            tried += 1
    for command in ("check", str(conf)), ("list", ), ("status", ):
        scene.run(*command)
    # A reload of such a one is refused, in the log and to who asked.
    agent.write_text(good.replace("[account basic]",
                                  f"[account basic]\n{spaced} = x", 1))
    assert scene.run("reload").returncode != EX_OK
    agent.write_text(good)
    assert scene.run("reload").returncode == EX_OK
    assert not scene.leaks()
    ledger.row("a secret in the configuration where it does not belong: the "
               "value of another key, a key, a kind of section", tried,
               "the file and the line are named, not what is there")


def broken_files(scene) -> list:
    """(name, keys of an account, what is in its file)."""
    directory = scene.agent.directory
    key = scene.tenant.key.read_text()
    lines = key.splitlines()
    scene.note("key", "".join(lines[3:7]))
    words = scene.new("broken")
    account = scene.tenant.service_account(scene.echo.url)
    certificate = {"grant": "client_credentials",
                   "client_certificate": directory / "relay.pem"}
    service = {"grant": "jwt_bearer", "subject": ACCOUNT}
    plain = {"grant": "client_credentials", "client_auth": "basic"}
    return [
        ("two lines", plain, "client_secret", f"{words}\n{words}\n"),
        ("nul", plain, "client_secret", f"{words}\0{words}"),
        ("control", plain, "client_secret", f"{words}\x1b[2J{words}"),
        ("huge", plain, "client_secret", words * 20000),
        ("key cut", certificate, "client_key", key[:len(key) // 2]),
        ("key with words", certificate, "client_key",
         "\n".join(lines[:5] + [words] + lines[5:])),
        ("no key", certificate, "client_key", words),
        ("account cut", service, "service_account_key", account[:-20]),
        ("account's key broken", service, "service_account_key",
         account.replace("BEGIN", "BEGINS")),
        ("account twice", service, "service_account_key", account * 2),
    ]


def test_files_that_are_no_good(scene, ledger):
    agent, tried = scene.agent, 0
    for name, keys, key, text in broken_files(scene):
        for mode in (0o600, 0o644, 0o000)[:times(1, 3)]:
            reference = scene.file("broken", text.rstrip("\n"))
            (agent.directory / "broken").chmod(mode)
            if key == "client_key":
                reference = reference.removeprefix("file:")
            agent.accounts["broken"] = scene.here(**keys, **{key: reference})
            if key == "service_account_key":
                del agent.accounts["broken"]["client_id"]
            agent.write()
            scene.run("reload")
            scene.run("refresh", "broken")
            scene.run("refresh", "broken", agent=False)
            scene.run("check")
            tried += 4
    del agent.accounts["broken"]
    agent.write()
    agent.do("reload")
    assert not scene.leaks()
    ledger.row("files with secrets that are cut, too large, of the wrong "
               "kind, readable by others or by nobody", tried,
               "named, and not quoted")


COMMANDS = {
    "fails": "echo {0}; echo {0} >&2; exit 3",
    "is killed": "echo {0}; kill -9 $$",
    "says too much": "while echo {0}; do :; done",
    "prints two lines": "echo {0}; echo {0}",
    "prints nonsense": "printf '{0}\\001\\002\\n'",
    "is slow": "echo {0}; sleep 60",
}


def test_commands_that_fail(scene, ledger):
    agent = scene.agent
    program = agent.directory / "failing"
    agent.settings["http_timeout"] = "2"
    secret = scene.new("secret of a failing command")
    scene.keepers.add(program)
    agent.accounts["failing"] = scene.here(
        grant="client_credentials", client_secret=f"command:{program}")
    agent.write()
    scene.run("reload")
    for text in list(COMMANDS.values())[:times(5, 6)]:
        program.write_text("#!/bin/sh\n" + text.format(secret) + "\n")
        program.chmod(0o755)
        scene.run("refresh", "failing")
    del agent.accounts["failing"], agent.settings["http_timeout"]
    agent.write()
    agent.do("reload")
    assert not scene.leaks()
    ledger.row("a program of `command:` that prints the secret, also to its "
               "standard error, and fails", times(5, 6),
               "its end is told, nothing of what it printed")


def test_imports_and_archives(scene, ledger, tmp_path):
    """Other programs' logins, whole and broken; wrong passphrases."""
    token = scene.new("foreign token")
    phrase = scene.new("passphrase", "/ %")
    formats = [token, f'{{"refresh_token": "{token}"}}',
               f'{{"refresh_token": "{token}", "refresh_token": "{token}"}}',
               f'{{"refresh_token": "{token}', f'{{"{token}": 1}}',
               f"refresh_token={token}\n", f"{token}\n{token}\n",
               f"\0{token}", f"[{ACCOUNT}]\nrefresh_token = {token}\n",
               f"<html>{token}</html>", token * 2000, f"Bearer {token}"]
    tried = 0
    for text in formats:
        path = tmp_path / "foreign"
        path.write_text(text)
        path.chmod(0o600)
        for args in (("--from", path), ("--from", "-"), ())[:times(1, 3)]:
            scene.run("import", "out", *args, give=text)
            tried += 1
    words = tmp_path / "phrase"
    words.write_text(phrase + "\n")
    words.chmod(0o600)
    archive = tmp_path / "archive"
    scene.run("export", archive, "--passphrase-file", words)
    for change in (lambda: words.write_text(scene.new("passphrase") + "\n"),
                   lambda: archive.write_bytes(archive.read_bytes()[:-40]),
                   lambda: archive.write_bytes(token.encode())):
        change()
        scene.run("restore", archive, "--passphrase-file", words, "--dry-run")
        tried += 1
    archive.write_bytes(b"")
    for args in (("inspect", "refresh"), ("inspect", "out", "--json"),
                 ("explain", "-"), ("rekey", ), ("check", ), ("list", "--json"), ("completion", "bash")):
        scene.run(*args, give=f"535 5.7.3 refused {token}\n")
        tried += 1
    assert not scene.leaks()
    ledger.row("imports of what is no login, archives and passphrases that do "
               "not fit", tried, "said without quoting")


def test_who_may_not_ask(scene, ledger):
    """Every operation, as a user that no account names."""
    tried = 0
    for op in ("get", "reject", "status", "refresh", "reload", "forget",
               "metrics", "nonsense"):
        for account in ("refresh", "basic", "absent"):
            there, here = os.pipe()
            assert as_user(lambda: os.write(here, json.dumps(wire.ask(
                scene.lab.socket, op=op, account=account)).encode()) and 0,
                "daemon") == 0
            os.close(here)
            with open(there, "rb") as pipe:
                scene.shown.append(pipe.read().decode())
            assert json.loads(scene.shown[-1])["status"] == "error"
            tried += 1
    assert not scene.leaks()
    ledger.row("requests of users who may not", tried,
               "an error, with nothing of the account in it")


# Mail servers.

class _Quoting(fakesmtp._Handler):
    def auth(self, rest: list):
        """Quotes the token in a challenge, or in its refusal as well."""
        if not rest:
            self.say("334 ")
            rest = [self.hear()]
        user, token = fakesmtp._parse(rest[0])
        words = json.dumps({"status": "401", "token": token, "user": user,
                            "parts": [token[i:i + 41] for i in range(
                                0, len(token), 41)]})
        self.say("334 " + base64.b64encode(words.encode()).decode())
        self.owner.logins.append(self.hear())
        self.say(f"535 5.7.8 {token if self.owner.mode == 'says it' else 'no'}")


def test_mail_server_that_quotes(lab, ledger):
    """Postfix logs what a server says to it, and all that it says itself
    when it is told to debug: that is not ours to keep back."""
    secrets = canary.Secrets()
    fault = lab.start_fault()
    lab.start_fake("quotes it")
    lab.fake.server.RequestHandlerClass = type("Handler", (_Quoting,),
                                               {"owner": lab.fake})
    token = canary.make()
    secrets.add("token", token)
    endpoint = fault.endpoint("one", access_token=token)
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint)})
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.start()
    agent.do("token", ACCOUNT)
    lab.start_downstream()
    lab.down.send(1)
    until(lambda: lab.fake.logins, 30, "the login")
    lab.down.settle()
    done = agent.cli("test", ACCOUNT, "--smtp", "--host",
                     f"127.0.0.1:{lab.fake.port}")
    assert "refused the token" in lab.down.text()
    assert agent.events("reject", ACCOUNT)
    for text in (lab.down.text(), agent.text(), done.stdout, done.stderr):
        assert not secrets.seen(text), text[-2000:]
    ledger.row("a mail server that quotes the token in its challenge",
               len(lab.fake.logins), "Postfix's log has our words, without it")

    lab.fake.mode, before = "says it", len(lab.fake.logins)
    lab.down.flush()
    until(lambda: len(lab.fake.logins) > before, 30, "the next login")
    lab.down.settle()
    theirs = [line for line in lab.down.text().splitlines()
              if secrets.seen(line)]
    assert theirs and all(f"said: 535 5.7.8 {token}" in line
                          for line in theirs), theirs[:3]
    assert not secrets.seen(agent.text())
    # Another program may pass on what it was told as it is.
    generation = agent.events("renewal", ACCOUNT)[-1]["generation"]
    assert wire.ask(lab.socket, op="reject", account=ACCOUNT,
                    generation=generation, reason=f"535 {token}, no; "
                    f"{token[:20]}")["status"] == "ok"
    assert agent.events("reject", ACCOUNT)[-1]["reason"] == '"535 ***, no; ***"'
    assert not secrets.seen(agent.text())
    ledger.row("a mail server that quotes the token in its refusal",
               len(lab.fake.logins) - before,
               "Postfix logs what a server says; the agent's log is without",
               "an access token, to who reads Postfix's log, if a server "
               "does so")


# Processes.

def as_user(job, user=USER):
    """job() in a child of that user's: its errno, or 0."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.setgroups([])
            os.setresgid(*[pwd.getpwnam(user).pw_gid] * 3)
            os.setresuid(*[pwd.getpwnam(user).pw_uid] * 3)
            code = job()
        except OSError as error:
            code = error.errno
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def attach(pid: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    return 0 if libc.ptrace(PTRACE_ATTACH, pid, 0, 0) == 0 else (
        ctypes.get_errno())


def test_memory_is_not_for_others(scene, ledger):
    pid, tried = scene.agent.process.pid, 0
    for user in USER, "nobody":
        for name in "mem", "environ", "maps", "auxv":
            assert as_user(lambda: open(f"/proc/{pid}/{name}", "rb").close()
                           or 0, user) in (1, 13), (user, name)
            tried += 1
        assert as_user(lambda: attach(pid), user) == 1
        tried += 1
    # The user itself could, with any other process of its own.
    other = subprocess.Popen(["sleep", "60"], user=USER, group=USER)
    try:
        assert as_user(lambda: open(f"/proc/{other.pid}/mem", "rb").close()
                       or 0) == 0
    finally:
        other.kill()
        other.wait(10)
    ledger.row("reading the agent's memory, and tracing it, as its own user "
               "and as another", tried, "refused by the kernel")


def crash(started, number: int) -> bool:
    """Did it leave a core?  With the limit lifted, if we may do that."""
    try:
        resource.prlimit(started.pid, resource.RLIMIT_CORE,
                         (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    except PermissionError:
        pass
    os.kill(started.pid, number)
    _, how = os.waitpid(started.pid, 0)
    started.returncode = -number
    assert os.WIFSIGNALED(how) and os.WTERMSIG(how) == number
    return os.WCOREDUMP(how)


def test_no_core(scene, ledger, tmp_path):
    """Even where the limit is lifted from outside."""
    tried = 0
    for number in signal.SIGSEGV, signal.SIGABRT, signal.SIGQUIT:
        started = subprocess.Popen(
            [BUILD / "mailtoken", "-c", scene.agent.conf, "import", "out"],
            cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, env=client_environment())
        started.stdin.write(scene.refresh_token.encode())
        started.stdin.flush()
        until(lambda: "Umask:\t0077" in Path(
            f"/proc/{started.pid}/status").read_text(), 20, "it runs")
        assert not crash(started, number)
        started.stdin.close()
        assert not crash(scene.agent.process.popen, number)
        scene.agent.start()
        tried += 2
    assert not list(tmp_path.iterdir())
    assert not scene.leaks()
    ledger.row("a crash of the agent or the command", tried,
               "no core, even if somebody lifts the limit")


# Memory.

def pieces(*secrets) -> dict:
    """piece -> secret, of what would be found of it in memory."""
    return {piece: secret for secret in secrets
            for piece in canary.forms(secret)}


def in_memory(pid: int, *secrets) -> list:
    return [piece for piece in memory.count(pid, pieces(*secrets))]


def test_agent_forgets(lab, ledger):
    """By logout, by an account's end, by a new token; over TLS."""
    lab.start_idp()
    agent = lab.make_agent({}, sockets=[lab.socket])
    names = [f"forgotten{i}@contoso.example" for i in range(times(2, 8))]
    agent.accounts = {name: lab.delegated(allow="root") for name in names}
    agent.accounts["app"] = lab.app_only(agent)
    agent.accounts["basic"] = lab.delegated(
        grant="client_credentials", client_id="daemon-basic",
        client_auth="basic", scope=idp.APP_SCOPE,
        client_secret=agent.secret("basic", idp.CLIENT_SECRET))
    agent.write()
    for name in names:
        agent.do("import", name, give=lab.idp.login(name), agent=False)
    agent.start()
    pid = agent.process.pid
    for name in agent.accounts:
        for _ in range(2):
            agent.do("refresh", name)
            agent.do("token", name)
    held = agent.do("token", names[-1]).strip()
    assert in_memory(pid, held)         # so the search finds what is there
    issued = [token for token in lab.idp.issued() if len(token) > 30]
    for name in names[:len(names) // 2]:
        agent.do("logout", name)
    for name in names + ["app", "basic"]:
        del agent.accounts[name]
    agent.write()
    agent.do("reload")
    left = until(lambda: not in_memory(pid, *issued), 10, "it forgets") and []
    key = "".join(lab.idp.application.key.read_text().splitlines()[3:7])
    left += in_memory(pid, key, idp.CLIENT_SECRET)
    assert not left
    ledger.row("the agent's memory, searched after logout and after an "
               "account has left the configuration: its tokens of before, "
               "secrets and keys, in what libraries have freed, too",
               len(issued) + 2, "none of them is there")


def next_step(host, word: str):
    assert host.stdout.readline().strip() == word
    return host.pid


def go_on(host):
    host.stdin.write("\n")
    host.stdin.flush()


@pytest.mark.parametrize("literal", [False, True])
def test_plugin_forgets(scene, ledger, literal):
    """The response is a copy of libsasl2's caller; the plugin's own ends with
    sasl_dispose()."""
    agent = scene.agent
    scene.run("refresh", "basic")
    token = (scene.new("literal") if literal
             else agent.do("token", "basic").strip())
    args = [HOSTS / "memoryhost", "basic", "3"]
    if literal:
        args.append(agent.directory / "literal")
        scene.file("literal", token)
        (agent.directory / "literal").chmod(0o644)
    response = f"user=basic\1auth=Bearer {token}\1\1"
    host = subprocess.Popen(
        args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env=client_environment(MAILTOKEN_SOCKET=str(scene.lab.socket),
                               SASL_PATH=str(scene.lab.plugins())))
    try:
        pid = next_step(host, "held")
        assert in_memory(pid, token)    # so the search finds what is there
        go_on(host)
        next_step(host, "disposed")
        assert not in_memory(pid, token, response)
        go_on(host)
        next_step(host, "done")
        assert not in_memory(pid, token, response)
        go_on(host)
        assert host.wait(10) == 0
    finally:
        host.kill()
        host.communicate(timeout=10)
    ledger.row("a mail program's memory after sasl_dispose(), of the token "
               + ("that was its password" if literal else "of the agent's"),
               3, "neither plugin nor libsasl2 has left any of it")


@pytest.mark.parametrize("mechanism, account", [
    ("XOAUTH2", "basic"), ("OAUTHBEARER", "federated")])
def test_library_forgets(scene, ledger, mechanism, account):
    """With the response, after a refusal, and so with two tokens."""
    agent = scene.agent
    scene.run("refresh", account)
    old = agent.do("token", account).strip()
    host = subprocess.Popen(
        [HOSTS / "libraryhost", "-w", "-m", mechanism, "-r", "535 5.7.3 no",
         scene.lab.socket, account], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env=client_environment())
    try:
        said = [until(host.stdout.readline, 20, "its words")]
        while said[-1].strip() != "held":
            said.append(until(host.stdout.readline, 20, said))
        tokens = [old, agent.do("token", account).strip()]
        assert old != tokens[1] and in_memory(host.pid, tokens[1])
        go_on(host)
        next_step(host, "freed")
        assert not in_memory(host.pid, *tokens)
        go_on(host)
        assert host.wait(10) == 0
    finally:
        host.kill()
        scene.shown += [*said, host.communicate(timeout=10)[0]]
    ledger.row(f"a program's memory after mailtoken_free(), of tokens and the "
               f"response for {mechanism}", 1,
               "libmailtoken has left nothing of them")


def test_at_the_end(scene, ledger):
    """All that was ever written, in all the state as well."""
    scene.agent.stop()
    assert not scene.leaks(again=True)
    state = list(scene.agent.state.iterdir())
    assert state and scene.watcher.looks > 100
    environments = [text for text in scene.watcher.texts
                    if b"MAILTOKEN_SOCKET" in text]
    assert environments                 # it has seen ours
    ledger.row("arguments and environment of all processes, looked at all the "
               "time", len(scene.watcher.texts), "no secret in any")
    ledger.row("the state and all other files that were written", len(
        list(scene.files())), "sealed, or without secrets")
