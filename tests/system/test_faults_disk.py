"""The disk

Every command that writes, and the agent, are run once for each of their calls that change what is on disk, and each time another call
is the last one, or fails. These are the programs as they are installed: a library that is preloaded
(tests/system/hosts/diskfault.c) counts the calls below one directory and strikes at the n-th. Killed: by SIGKILL, before or after the
call. Power cut: killed after the call, and then whatever was not synced is taken back; each state that can be there is tried, from
"no name of a file that was not synced" to "all names, and files empty that were not". Afterwards the program is started anew, without
a fault: a login that the provider takes must be there, a new token is got with it, what other accounts have is untouched, and no
temporary file stays. A command that failed must have said so, in one sentence and by its exit code.

What can be lost, and why: docs/STORE.md."""

import shutil
from collections import Counter
from dataclasses import dataclass, field
from errno import EDQUOT, EIO, ENOSPC, EROFS

import pytest

from lab import sealed, wire
from lab.agent import EX_CONFIG, EX_NOPERM, EX_OK, EX_TEMPFAIL, USER
from lab.diskfault import (DIE_AFTER, DIE_BEFORE, FAULTS, SHORT, SHORT_FULL,
                           DiskFault, picture, power_cuts, put_back)
from lab.ledger import FULL, times
from lab.wait import until

ONE = "one@contoso.example"
TWO = "two@contoso.example"
THREE = "three@contoso.example"
OLD, NEW = "old-refresh-token", "new-refresh-token"
CODES = {"ENOSPC": EX_TEMPFAIL, "EDQUOT": EX_TEMPFAIL, "EIO": EX_TEMPFAIL,
         "EROFS": EX_CONFIG, "short write, then ENOSPC": EX_TEMPFAIL}
OLD_TOKENS = [OLD]          # that were on disk before a try
REFRESH = "refresh by the command"
# After these the provider's answer may be gone.
SPENDS = {fault.name for fault in FAULTS if fault.dies or
          fault.name in ("EIO from here on", "EROFS from here on")}
ADD = ["add", THREE, "--provider", "google", "--client-id", "native",
       "--client-secret", "file:/etc/none", "--allow", "postfix"]


class Host:
    """Two accounts at an endpoint each, whose refresh tokens are good for
    one use.  The state is what a test makes of it."""

    def __init__(self, lab, name: str):
        self.endpoints = {account: lab.fault.endpoint(
            f"{name}/{account}", mode="rotate") for account in (ONE, TWO)}
        self.socket = lab.directory / f"{name}.sock.d" / "agent.sock"
        self.agent = lab.make_agent({}, name, [self.socket])
        self.directory = self.agent.directory
        self.archive = self.directory / "archive"
        secret = self.agent.secret("secret", "application-secret")
        self.agent.secret("passphrase", "four words are enough")
        self.sealing = ["--passphrase-file", str(self.directory / "passphrase")]
        self.agent.accounts = {
            account: lab.faulty(endpoint, client_secret=secret)
            for account, endpoint in self.endpoints.items()}
        self.agent.write()
        self.disk = DiskFault(self.directory,
                              lab.directory / f"{name}.diskfault")
        self.fault, self.spent = None, Counter()

    @property
    def endpoint(self):
        return self.endpoints[ONE]

    def provider_takes(self, token: str):
        self.endpoint.refresh_token, self.endpoint.alive = token, True

    def log_in(self, account: str = ONE, token: str = OLD):
        self.endpoints[account].refresh_token = token
        self.endpoints[account].alive = True
        self.cli("import", account, give=token)

    def cli(self, *words, ok: bool = True, give: str = None, **more):
        done = self.agent.cli(*words, agent=False, give=give, **more)
        assert not ok or done.returncode == EX_OK, (words, done.stderr)
        return done

    def token_on_disk(self) -> str:
        """None: there is no login."""
        if not (self.agent.state / f"{ONE}.grant").exists():
            return None
        return self.agent.grant(ONE).get("refresh_token")

    def other(self) -> bytes:
        path = self.agent.state / f"{TWO}.grant"
        return path.read_bytes() if path.exists() else None

    def works(self):
        """The provider takes what is on disk, and what comes is kept."""
        self.provider_takes(self.token_on_disk())
        self.cli("refresh", ONE)
        assert self.endpoint.alive
        assert self.token_on_disk() == self.endpoint.refresh_token
        token = self.cli("token", ONE).stdout.strip()
        assert token == self.endpoint.access_tokens[-1]

    def is_tidy(self):
        """Nothing is left of what was not finished."""
        left = [path.name for path in self.directory.rglob(".*")
                if path.is_file()]
        assert not left, left


def begin_with_nothing(host):
    shutil.rmtree(host.agent.state)
    host.agent.seal_key.unlink(missing_ok=True)


def begin_logged_in(host):
    host.log_in(TWO)
    host.log_in(ONE)


def begin_to_restore(host):
    begin_logged_in(host)
    host.cli("export", str(host.archive), *host.sealing)
    begin_with_nothing(host)
    for name in ("secret", "mailtoken.conf"):
        (host.directory / name).unlink()


def begin_with_archive(host):
    begin_logged_in(host)
    host.archive.write_text("what was there before\n")


def begin_without_configuration(host):
    host.agent.conf.unlink()


def new_login(host, failed: bool):
    """An import of NEW; where nothing is there it is made again."""
    if not failed:
        assert host.token_on_disk() == NEW
    if host.token_on_disk() is None:
        host.cli("import", ONE, give=NEW)
    assert host.token_on_disk() in (OLD, NEW)


def renewed(host, failed: bool):
    """Where the provider has answered and nothing could be saved any more, a
    refresh token for one use is lost: that is said in clear words."""
    if host.token_on_disk() == host.endpoint.refresh_token:
        return
    assert failed, "said to be saved"
    assert host.fault.name in SPENDS, host.fault
    host.spent[host.fault.name] += 1
    assert host.token_on_disk() in OLD_TOKENS
    done = host.cli("refresh", ONE, ok=False)
    assert done.returncode == EX_NOPERM and not host.endpoint.alive
    assert "the login is no longer good: mailtoken login" in done.stderr


def logged_out(host, failed: bool):
    assert failed or not host.token_on_disk()
    if not host.token_on_disk():
        done = host.cli("token", ONE, ok=False)
        assert done.returncode == EX_NOPERM
        assert f"mailtoken login {ONE}" in done.stderr
        host.cli("import", ONE, give=NEW)


def restored(host, failed: bool):
    if failed:
        host.cli("restore", str(host.archive), *host.sealing)
    assert host.token_on_disk() == OLD
    assert (host.directory / "secret").read_text() == "application-secret\n"


def keyed_anew(host, failed: bool):
    assert host.token_on_disk() == OLD
    known = list(sealed.keys(host.agent.seal_key))
    assert failed or len(known) == 1
    host.cli("rekey")
    assert len(list(sealed.keys(host.agent.seal_key))) == 1
    assert host.token_on_disk() == OLD


def first_key(host, failed: bool):
    assert failed or len(list(sealed.keys(host.agent.seal_key))) == 1
    host.cli("rekey", "--first")
    assert len(list(sealed.keys(host.agent.seal_key))) == 1
    host.cli("import", ONE, give=NEW)


def added(host, failed: bool):
    text = host.agent.conf.read_text()
    assert failed or THREE in text
    if THREE not in text:
        host.cli(*ADD)
    assert host.agent.conf.read_text().count(f"[account {THREE}]") == 1
    assert host.agent.conf.read_text().count("[account") == 3


def added_first(host, failed: bool):
    assert failed or host.agent.conf.exists()
    if not host.agent.conf.exists():
        host.cli(*ADD)
    assert host.agent.conf.read_text().count("[account") == 1
    host.agent.write()
    host.log_in()


def exported(host, failed: bool):
    """Whole, or what was there before."""
    if failed and (not host.archive.exists() or
                   host.archive.read_text(errors="replace").startswith("what")):
        host.cli("export", str(host.archive), *host.sealing)
    host.cli("restore", "--dry-run", str(host.archive), *host.sealing)


@dataclass
class Operation:
    name: str
    words: object           # of a host
    begin: object
    after: object           # what must be so when it has run
    give: str = None
    says: int = 1           # sentences of a failure
    keeps_other: bool = True
    some: int = len(FAULTS)     # faults for each call, in full
    every: int = 1              # of how many calls one is tried, else
    counts: Counter = field(default_factory=Counter)
    spent: Counter = field(default_factory=Counter)
    calls: int = 0


OPERATIONS = {made.name: made for made in (
    Operation("first login of a host", lambda host: ["import", ONE],
              begin_with_nothing, new_login, NEW),
    Operation("login in place of another", lambda host: ["import", ONE],
              begin_logged_in, new_login, NEW),
    Operation(REFRESH, lambda host: ["refresh", ONE],
              begin_logged_in, renewed),
    Operation("logout", lambda host: ["logout", ONE],
              begin_logged_in, logged_out),
    Operation("restore", lambda host: ["restore", str(host.archive),
                                       *host.sealing],
              begin_to_restore, restored, says=0, keeps_other=False, some=1, every=9),
    Operation("rekey", lambda host: ["rekey"], begin_logged_in, keyed_anew,
              keeps_other=False, some=4),
    Operation("first key", lambda host: ["rekey", "--first"],
              begin_with_nothing, first_key),
    Operation("add", lambda host: ADD, begin_logged_in, added),
    Operation("add, the first account", lambda host: ADD,
              begin_without_configuration, added_first),
    Operation("export", lambda host: ["export", str(host.archive),
                                      *host.sealing],
              begin_with_archive, exported, some=2, every=3),
)}

AGENT = Operation("refresh by the agent", None, None, None)
FAILS = ("a command fails with one sentence and the exit code; the agent "
         "serves from memory and saves later")
AND_THEN = {
    DIE_BEFORE: "a usable login at the next start, and nothing half written",
    DIE_AFTER: "a usable login at the next start, and nothing half written",
    ENOSPC: FAILS, EDQUOT: FAILS, EIO: FAILS,
    EROFS: "a command fails with one sentence and the exit code; the agent "
           "does not spend a refresh token that it could not replace",
    SHORT: "the rest is written", SHORT_FULL: FAILS,
}


@pytest.fixture(scope="module")
def lab(shared_lab):
    shared_lab.start_fault()
    return shared_lab


def chosen(operation, at: int) -> list:
    """The faults for the n-th call: all, or some each in turn."""
    some = operation.some if FULL else int(at % operation.every == 0)
    first = len(operation.name) * 3 + at * max(some, 1)
    return [FAULTS[(first + i) % len(FAULTS)] for i in range(some)]


class Tries:
    """One operation, again and again from the same beginning."""

    def __init__(self, lab, operation: Operation):
        self.operation = operation
        self.host = Host(lab, "disk-" + operation.name.replace(" ", "-"))
        operation.begin(self.host)
        self.before = picture(self.host.directory)
        self.tokens = {name: endpoint.refresh_token
                       for name, endpoint in self.host.endpoints.items()}
        self.other = self.host.other()

    def run(self, at: int = 0, fault=None):
        host = self.host
        put_back(host.directory, self.before)
        self.now = picture(host.directory)      # inodes are others now
        for name, endpoint in host.endpoints.items():
            endpoint.refresh_token, endpoint.alive = self.tokens[name], True
        host.disk.order(at, fault)
        return host.cli(*self.operation.words(host), ok=False,
                        give=self.operation.give,
                        environment=host.disk.environment)

    def check(self, failed: bool):
        host = self.host
        self.operation.after(host, failed)
        if self.operation.keeps_other:
            assert host.other() == self.other
        host.works()
        host.is_tidy()

    def check_words(self, fault, done):
        """Of a failure that the command has lived to tell."""
        said = done.stderr.splitlines()
        code = next(code for name, code in CODES.items()
                    if fault.name.startswith(name))
        assert done.returncode == code, done.stderr
        assert self.operation.says in (0, len(said)), said
        assert any(str(self.host.directory) in line for line in said), said

    def strike(self, at: int, fault):
        host = self.host
        host.fault = fault
        done = self.run(at, fault)
        died = done.returncode == -9
        if not host.disk.struck:
            return
        self.operation.counts[fault.name] += 1
        assert died == fault.dies, (at, fault.name, done)
        if not died and done.returncode != EX_OK:
            self.check_words(fault, done)
        if not fault.cut:
            self.check(done.returncode != EX_OK or
                       "could not be saved" in done.stderr)
            return
        taken = host.endpoint.refresh_token
        for image in power_cuts(self.now, host.disk.lines()):
            put_back(host.directory, image)
            host.provider_takes(taken)
            self.check(True)


def in_words(tries, at: int, fault) -> tuple:
    """For the report of a test that failed."""
    return (tries.host.directory.name, at, fault.name,
            [" ".join(line)[:120] for line in tries.host.disk.lines()])


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_call(lab, name):
    operation = OPERATIONS[name]
    tries = Tries(lab, operation)
    done = tries.run()
    assert done.returncode == EX_OK, done.stderr
    calls = operation.calls = tries.host.disk.count
    assert calls > 4
    # It has said that it is done: no power cut takes that back.
    for image in power_cuts(tries.now, tries.host.disk.lines()):
        put_back(tries.host.directory, image)
        tries.check(False)
    for at in range(1, calls + 1):
        faults = chosen(operation, at)
        if name == REFRESH and at == calls - 1:     # the rename
            faults = [f for f in FAULTS if f.name in SPENDS]
        elif name == REFRESH:                       # one of them writes
            faults = [*faults, *(f for f in FAULTS if f.what in
                                 (SHORT, SHORT_FULL) and f not in faults)]
        for fault in faults:
            try:
                tries.strike(at, fault)
            except AssertionError as e:
                raise AssertionError(in_words(tries, at, fault)) from e
    operation.spent = tries.host.spent


class AgentTries:
    """A refresh by the agent, again and again; it is started when it died."""

    def __init__(self, lab):
        self.host = Host(lab, "disk-agent")
        begin_logged_in(self.host)
        self.start()

    def start(self):
        agent = self.host.agent
        agent.environment = self.host.disk.environment
        self.host.disk.order()
        agent.start()
        agent.environment = {}

    def ask(self, op: str) -> dict:
        try:
            return wire.ask(self.host.socket, op=op, account=ONE)
        except OSError:
            return {}

    def refresh(self) -> dict:
        return self.ask("refresh")

    def strike(self, at: int, fault) -> bool:
        host = self.host
        host.fault = fault
        now, asked = picture(host.directory), host.endpoint.count
        OLD_TOKENS.append(host.token_on_disk())
        host.disk.order(at, fault)
        answer = self.refresh()
        if not host.disk.struck:
            return False
        if fault.dies:
            host.agent.process.popen.wait(20)
            self.check_death(fault, now)
            self.start()
        elif answer.get("status") != "ok":
            # Known before a token is spent; the old one is served.
            assert host.endpoint.count == asked, answer
            assert str(host.agent.state) in answer["text"], answer
            assert (fault.what != EROFS
                    or "no token was asked for" in answer["text"]), answer
            assert self.ask("get")["status"] == "ok"
        host.disk.order()
        answer = self.refresh()
        assert answer.get("status") == "ok", answer
        assert host.endpoint.alive
        assert host.token_on_disk() == host.endpoint.refresh_token
        host.is_tidy()
        return True

    def check_death(self, fault, now: dict):
        host, taken = self.host, self.host.endpoint.refresh_token
        images = (power_cuts(now, host.disk.lines()) if fault.cut
                  else [picture(host.directory)])
        for image in images:
            put_back(host.directory, image)
            host.provider_takes(taken)
            renewed(host, True)
            host.works()
            taken = host.endpoint.refresh_token if len(images) == 1 else taken


def test_each_call_of_the_agent(lab):
    tries = AgentTries(lab)
    tries.host.disk.order()
    assert tries.refresh()["status"] == "ok"
    AGENT.calls = tries.host.disk.count
    assert AGENT.calls > 6
    for at in range(1, AGENT.calls + 1):
        for fault in chosen(AGENT, at):
            try:
                AGENT.counts[fault.name] += tries.strike(at, fault)
            except AssertionError as e:
                raise AssertionError(in_words(tries, at, fault)) from e
    AGENT.spent = tries.host.spent
    tries.host.agent.stop()


ANSWERS_LOST = Counter()


@pytest.mark.parametrize("grace", [True, False])
@pytest.mark.parametrize("by", ["the agent", "the command"])
def test_an_answer_is_lost(lab, by, grace):
    """The provider has changed the refresh token, and the connection breaks."""
    host = Host(lab, f"disk-lost-{by[4:]}-{grace}")
    host.log_in()
    host.endpoint.grace = grace

    def refresh():
        return host.agent.cli("refresh", ONE, agent=by == "the agent")
    if by == "the agent":
        host.agent.start()
    assert refresh().returncode == EX_OK        # and no other is under way
    for _ in range(times(2, 10)):
        host.endpoint.cut, asked = 1, host.endpoint.count
        done = refresh()
        assert done.returncode == EX_TEMPFAIL, done.stderr
        if by == "the agent":       # it serves the token that it has
            host.agent.do("token", ONE)
        assert host.endpoint.count == asked + 1     # never twice by itself
        assert host.token_on_disk() != host.endpoint.refresh_token
        done = refresh()
        ANSWERS_LOST[grace] += 1
        assert grace == host.endpoint.alive
        if not grace:
            said = done.stderr + str(host.agent.events("login-needed", ONE))
            assert "the login is no longer good: mailtoken login" in said
            assert by == "the agent" or done.returncode == EX_NOPERM
            host.log_in(token=f"again-{host.endpoint.count}")
            assert refresh().returncode == EX_OK
        assert host.token_on_disk() == host.endpoint.refresh_token
    host.agent.stop()


def test_an_older_and_a_newer_file(lab, ledger):
    host, tried = Host(lab, "disk-versions"), 0
    begin_logged_in(host)
    path = host.agent.state / f"{ONE}.grant"
    for _ in range(times(2, 20)):
        text = sealed.text(path, host.agent.seal_key)
        path.write_bytes(text)
        assert text.startswith(b"version=1\n")
        host.works()
        assert sealed.is_sealed(path.read_bytes())
        tried += 1
    ledger.row("a state file of the version before", tried,
               "read, and written anew, sealed, with the next token")
    tried = 0
    for data in (b"version=3 key=0123456789abcdef x=y\n\x00\x01",
                 b"version=3\naccount=" + ONE.encode() + b"\n\n",
                 text.replace(b"binding=", b"colour=")):
        path.write_bytes(data)
        for words in (["refresh", ONE], ["token", ONE], ["logout", ONE],
                      ["import", ONE]):
            done = host.cli(*words, ok=False, give=NEW)
            assert done.returncode == EX_CONFIG
            assert "newer mailtoken" in done.stderr
            assert path.read_bytes() == data
            tried += 1
    ledger.row("a state file of a newer version", tried,
               "refused in one sentence, left byte by byte as it is")


def test_a_read_only_disk(lab, ledger):
    """Who has nothing to save for later gets tokens all the same."""
    host, tried = Host(lab, "disk-read-only"), 0
    endpoint = lab.fault.endpoint("disk-read-only/application")
    host.agent.accounts[THREE] = dict(
        host.agent.accounts[ONE], grant="client_credentials",
        token_endpoint=endpoint.url)
    host.agent.write()
    begin_logged_in(host)
    host.agent.environment = host.disk.environment
    host.agent.start()
    wire.ask(host.socket, op="refresh", account=THREE)
    host.disk.order(1, next(f for f in FAULTS if f.what == EROFS))
    for _ in range(times(3, 50)):
        answer = wire.ask(host.socket, op="refresh", account=THREE)
        assert answer["status"] == "ok", answer
        tried += 1
    assert host.agent.events("state-not-saved", THREE)
    host.disk.order()
    wire.ask(host.socket, op="refresh", account=THREE)
    assert host.agent.grant(THREE)["access_token"] == (
        endpoint.access_tokens[-1])
    host.agent.stop()
    ledger.row("the disk becomes read-only; an application's own token", tried,
               "served from memory, said in the log, and saved when the disk "
               "can be written again")


def test_it_all_adds_up(ledger):
    """The rows of what the tests above have counted."""
    everything = [*OPERATIONS.values(), AGENT]
    if not all(operation.calls for operation in everything):
        pytest.skip("only some of the tests have run")
    for fault in FAULTS:
        ledger.row(f"{fault.name}: each call of the commands and of the agent",
                   sum(op.counts[fault.name] for op in everything),
                   AND_THEN[fault.what])
    died = sum(count for op in (OPERATIONS[REFRESH], AGENT)
               for name, count in op.spent.items()
               if name.startswith(("killed", "power")))
    failed = sum(OPERATIONS[REFRESH].spent[name] for name in SPENDS
                 if name.startswith("E"))
    assert not any(AGENT.spent[name] for name in SPENDS if name[0] == "E")
    ledger.row("of these, killed between the provider's answer and the rename, "
               "and a refresh token is good for one use", died,
               "the next renewal is refused, and mailtoken login asked for, by "
               "the exit code and in words", lost="the login")
    ledger.row("of these, killed between the provider's answer and the rename, "
               "and a used refresh token stays good (Microsoft, Google)", died, "renewed with the one before")
    ledger.row("of these, the disk fails for good (EIO, EROFS) in that moment, "
               "under a command without the agent, and a refresh token is good "
               "for one use", failed,
               "said at once; the next renewal is refused, and mailtoken login "
               "asked for", lost="the login")
    ledger.row("the provider's answer is lost after it has changed the refresh "
               "token, and it takes the old one again for a while (Auth0, Okta)",
               ANSWERS_LOST[True], "the next try brings the same answer; "
               "nothing is asked twice by itself")
    ledger.row("the provider's answer is lost after it has changed the refresh "
               "token, and it does not", ANSWERS_LOST[False],
               "the next renewal is refused, and mailtoken login asked for",
               lost="the login")
    ledger.table("Calls that change the disk",
                 ["what", "calls", "tried"],
                 [[op.name, op.calls, op.counts.total()] for op in everything])
