"""State is sealed with a key apart from it: docs/STORE.md."""

import os
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from lab import sealed, wire
from lab.agent import BUILD, EX_CONFIG, USER, client_environment
from lab.process import Process
from lab.wait import until

ONE = "one@contoso.example"
TWO = "two@contoso.example"
MANY = [f"box{i:02}@contoso.example" for i in range(20)]
KILLS = 80
PASSPHRASE = "four words are enough"
PLAIN = """version=1
account={account}
generation=7
obtained_at=0
expires_at=0
refresh_at=0
login_at=1780000000
binding=0
refresh_token={token}

"""


class Made:
    """An agent with accounts at an endpoint each, whose refresh tokens are
    good for one use."""

    count = 0

    def __init__(self, lab, accounts, **settings):
        Made.count += 1
        name = f"agent{Made.count}"
        self.endpoints = {account: lab.fault.endpoint(
            f"{name}/{account}", mode="rotate") for account in accounts}
        self.socket = lab.directory / f"{name}.sock.d" / "agent.sock"
        self.agent = lab.make_agent(
            {account: lab.faulty(endpoint)
             for account, endpoint in self.endpoints.items()},
            name, [self.socket], **settings)

    def log_in(self):
        for account, endpoint in self.endpoints.items():
            self.agent.do("import", account, agent=False,
                          give=endpoint.refresh_token)
        return self

    def files(self) -> dict:
        return {path.name: path.read_bytes()
                for path in self.agent.state.rglob("*") if path.is_file()}

    def grants(self) -> dict:
        return {name: data for name, data in self.files().items()
                if name.endswith(".grant")}

    def keys_used(self) -> set:
        return {sealed.key_of(data) if sealed.is_sealed(data) else None
                for data in self.grants().values()}

    def keys_known(self) -> list:
        return list(sealed.keys(self.agent.seal_key))

    def all_good(self):
        """What is on disk is what the provider gave out last."""
        for account, endpoint in self.endpoints.items():
            assert endpoint.alive, account
            assert (self.agent.grant(account)["refresh_token"]
                    == endpoint.refresh_token)

    def ask_all(self):
        for account in self.endpoints:
            answer = wire.ask(self.socket, op="refresh", account=account)
            assert answer["status"] == "ok", answer
        assert not self.agent.events("state-not-saved")

    def refresh_all(self):
        self.ask_all()
        self.all_good()

    def secrets(self) -> list:
        return [word for endpoint in self.endpoints.values()
                for word in endpoint.secrets + endpoint.access_tokens]

    def in_clear(self) -> list:
        return [(name, word[:6]) for name, data in self.files().items()
                for word in self.secrets() if word.encode() in data]


@pytest.fixture(scope="module")
def lab(shared_lab):
    shared_lab.start_fault()
    return shared_lab


@pytest.fixture
def made(lab):
    """Two accounts that are logged in; the agent does not run."""
    yield (made := Made(lab, [ONE, TWO]).log_in())
    made.agent.stop()


def start_fails(made) -> list:
    """The agent does not start; returns what it logs."""
    log = made.agent.directory / "refused"
    log.unlink(missing_ok=True)
    refused = Process([BUILD / "mailtokend", "-f", "-c", made.agent.conf],
                      log, env=client_environment())
    assert refused.popen.wait(20) == EX_CONFIG
    return [line for line in log.read_text().splitlines() if line]


def put_key(agent, data: bytes, mode: int = 0o640):
    """In one moment, as another file."""
    new = agent.seal_key.with_suffix(".other")
    new.write_bytes(data)
    new.chmod(mode)
    shutil.chown(new, "root", USER)
    new.rename(agent.seal_key)


def test_nothing_is_in_clear(made):
    agent = made.agent
    assert not made.in_clear()
    agent.start()
    made.refresh_all()
    assert not made.in_clear()
    agent.do("logout", ONE)
    agent.do("rekey")
    assert not made.in_clear()
    assert len(made.secrets()) > 6
    # Not because nothing is there.
    assert agent.grant(TWO)["refresh_token"] in made.secrets()
    key = agent.seal_key
    assert key.stat().st_mode & 0o777 == 0o640
    assert (key.owner(), key.group()) == ("root", USER)
    assert key.read_text().strip() not in agent.text()


def test_rekey_under_load(lab):
    made = Made(lab, MANY).log_in()
    agent = made.agent.start()
    before, stop, failed, answers = made.keys_known(), threading.Event(), [], []

    def ask(seed):
        choose = random.Random(seed)
        while not stop.is_set():
            for op in ("get", "refresh"):
                answer = wire.ask(made.socket, op=op,
                                  account=choose.choice(MANY))
                (answers if answer.get("status") == "ok"
                 else failed).append(answer)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(3):
            said = agent.cli("rekey")
            assert said.returncode == 0, said.stderr
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert not failed and len(answers) > 20
    assert not agent.events("state-not-saved")
    assert not agent.events("state-unreadable")
    assert len(made.keys_known()) == 1 and made.keys_known() != before
    assert made.keys_used() == set(made.keys_known())
    made.refresh_all()
    assert made.keys_used() == set(made.keys_known())
    agent.stop()
    made.all_good()


def test_rekey_is_killed_again_and_again(lab):
    """With the agent at work; whatever is there afterwards can be read."""
    made = Made(lab, MANY[:8]).log_in()
    agent = made.agent.start()
    made.ask_all()          # nothing is renewed by itself from here on
    command = [BUILD / "mailtoken", "-c", agent.conf, "rekey"]
    since = time.monotonic()
    subprocess.run(command, check=True, timeout=30, capture_output=True,
                   env=client_environment())
    took, choose, killed = time.monotonic() - since, random.Random(6), 0
    for turn in range(KILLS):
        rekey = subprocess.Popen(command, env=client_environment(),
                                 stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL)
        account = MANY[turn % 8]
        answer = wire.ask(made.socket, op="refresh", account=account)
        assert answer["status"] == "ok", answer
        time.sleep(choose.uniform(0, took))
        rekey.kill()
        killed += rekey.wait(10) == -signal.SIGKILL
        assert made.keys_used() <= set(made.keys_known())
        made.all_good()
    assert not agent.events("state-not-saved")
    assert not agent.events("state-unreadable")
    assert killed > KILLS / 4, (killed, took)
    agent.do("check")
    agent.do("rekey")
    assert len(made.keys_known()) == 1
    assert made.keys_used() == set(made.keys_known())
    assert not list(agent.directory.glob(".seal.key*"))
    agent.stop()
    agent.start()
    made.refresh_all()


@pytest.mark.parametrize("key", ["missing", "another"])
def test_not_the_key(made, key):
    """One clear error; what is there stays, and works with the key again."""
    agent = made.agent
    right = agent.seal_key.read_bytes()
    if key == "missing":
        agent.seal_key.unlink()
    else:
        agent.seal_key.write_text(os.urandom(32).hex() + "\n")
    before = made.files()
    said = start_fails(made)
    assert len(said) == 1 and str(agent.seal_key) in said[0], said
    assert "put that key back" in said[0]
    for words in (["token", ONE], ["import", ONE], ["logout", ONE],
                  ["rekey"], ["check"], ["rekey", "--first"]):
        done = agent.cli(*words, give="never-to-be-seen", agent=False)
        assert done.returncode == EX_CONFIG, (words, done.stderr)
        assert "put that key back" in done.stderr
        assert str(agent.seal_key) in done.stderr
    assert made.files() == before
    assert agent.seal_key.exists() == (key != "missing")
    agent.seal_key.write_bytes(right)
    agent.seal_key.chmod(0o640)
    shutil.chown(agent.seal_key, "root", USER)
    agent.start()
    made.refresh_all()


def test_the_key_goes_while_the_agent_runs(made):
    """It serves and saves on; a reload says what is missing."""
    agent = made.agent.start()
    right = agent.seal_key.read_bytes()
    agent.seal_key.unlink()
    made.ask_all()
    done = agent.cli("reload")
    assert done.returncode == EX_CONFIG
    assert "put that key back" in done.stderr
    made.ask_all()
    agent.seal_key.write_bytes(right)
    agent.seal_key.chmod(0o640)
    shutil.chown(agent.seal_key, "root", USER)
    made.all_good()
    agent.do("reload")
    made.refresh_all()


@pytest.mark.parametrize("key", ["another", "open to all"])
def test_a_key_of_no_use_comes_while_the_agent_runs(made, key):
    """Nothing is sealed with it and no refresh token spent, however often it
    is tried; with the right key all goes on."""
    agent = made.agent.start()
    made.refresh_all()
    right = agent.seal_key.read_bytes()
    before = made.grants()
    asked = {name: e.count for name, e in made.endpoints.items()}
    other = right if key == "open to all" else os.urandom(32).hex().encode()
    put_key(agent, other, 0o644 if key == "open to all" else 0o640)
    for _ in range(3):
        for account in made.endpoints:
            done = agent.cli("refresh", account)
            assert done.returncode == EX_CONFIG, done
            assert str(agent.seal_key) in done.stderr
    assert made.grants() == before
    assert {name: e.count for name, e in made.endpoints.items()} == asked
    put_key(agent, right)
    made.refresh_all()


def test_plain_files_of_before_are_sealed(lab):
    made = Made(lab, [ONE, TWO])
    agent = made.agent
    for account, endpoint in made.endpoints.items():
        path = agent.state / f"{account}.grant"
        path.write_text(PLAIN.format(account=account,
                                     token=endpoint.refresh_token))
        path.chmod(0o600)
        shutil.chown(path, USER, USER)
    kept = f"{TWO}.grant"
    before = made.files()
    said = agent.cli("check")
    assert said.returncode == 0, said.stderr
    assert made.files() == before and not agent.seal_key.exists()
    agent.do("refresh", ONE, agent=False)
    assert made.keys_used() == {None, *made.keys_known()}
    assert made.files()[kept] == before[kept]
    assert "2 state files" in agent.cli("rekey").stderr
    assert made.keys_used() == set(made.keys_known())
    assert not made.in_clear()
    agent.start()
    made.refresh_all()


def test_a_file_of_another_account_or_generation(made):
    agent = made.agent
    first, second = (agent.state / f"{name}.grant" for name in (ONE, TWO))
    data = first.read_bytes()
    second.write_bytes(data)
    first.write_bytes(data.replace(b"generation=1\n", b"generation=9\n"))
    for name in (ONE, TWO):
        done = agent.cli("token", name, agent=False)
        assert done.returncode == EX_CONFIG
        assert f"{name}.grant" in done.stderr
    done = agent.cli("rekey")
    assert done.returncode == EX_CONFIG
    assert "2 state files cannot be read" in done.stderr
    assert len(made.keys_known()) == 2


def test_check_tells_what_is_wrong_with_the_key(made):
    agent = made.agent
    agent.do("check")
    agent.seal_key.chmod(0o644)
    done = agent.cli("check")
    assert done.returncode == EX_CONFIG
    assert f"chmod 640 {agent.seal_key}" in done.stderr
    agent.seal_key.chmod(0o600)
    done = agent.cli("check")
    assert done.returncode == EX_CONFIG and "agent's group" in done.stderr
    agent.seal_key.chmod(0o640)
    # One file among others that are all right.
    lost = agent.state / f"{TWO}.grant"
    other = agent.directory / "other.key"
    other.write_text(os.urandom(32).hex() + "\n")
    sealed.seal(lost, other, sealed.text(lost, agent.seal_key))
    done = agent.cli("check")
    assert done.returncode == EX_CONFIG
    assert done.stderr.count("sealed with key") == 1
    assert f"account {TWO}" in done.stderr


def test_a_credential_of_systemd(lab):
    made = Made(lab, [ONE], seal_key="credential:state-key")
    agent = made.agent
    given = agent.directory / "credentials"
    given.mkdir(mode=0o755)
    said = agent.cli("import", ONE, agent=False, give="rt",
                     environment={"CREDENTIALS_DIRECTORY": str(given)})
    assert said.returncode == EX_CONFIG
    assert "no such credential" in said.stderr and not made.grants()
    beside, agent.seal_key = agent.seal_key, given / "state-key"
    (given / "state-key").write_text(os.urandom(32).hex() + "\n")
    agent.environment = {"CREDENTIALS_DIRECTORY": str(given)}
    made.log_in()
    agent.start()
    made.refresh_all()
    # Another key comes by systemd, too: rekey does the rest.
    old = (given / "state-key").read_text()
    agent.stop()
    (given / "state-key").write_text(os.urandom(32).hex() + "\n" + old)
    agent.start()
    assert "can be taken away now" in agent.cli("rekey").stderr
    newest = (given / "state-key").read_text().splitlines()[0]
    (given / "state-key").write_text(newest + "\n")
    agent.do("reload")
    made.refresh_all()
    assert not beside.exists() and not made.in_clear()
    agent.stop()


def test_none_is_as_before(lab):
    made = Made(lab, [ONE], seal_key="none").log_in()
    assert made.in_clear() and not made.agent.seal_key.exists()
    assert made.agent.cli("rekey").returncode == EX_CONFIG
    made.agent.start()
    made.refresh_all()
    made.agent.stop()


def test_an_archive_has_logins_and_not_the_key(lab, made):
    agent, archive = made.agent, made.agent.directory / "archive"
    agent.secret("passphrase", PASSPHRASE)
    words = ["--passphrase-file", str(agent.directory / "passphrase")]
    agent.do("export", str(archive), *words)
    # A host with another key, and another place for the configuration.
    other = Made(lab, [ONE, TWO])
    other.agent.accounts = agent.accounts
    other.agent.write()
    said = other.agent.cli("restore", str(archive), *words, agent=False)
    assert "2 logins" in said.stderr and "seal.key" not in said.stderr
    assert other.keys_used() == set(other.keys_known())
    assert other.keys_known() != made.keys_known()
    for name in (ONE, TWO):
        assert (other.agent.grant(name)["refresh_token"]
                == agent.grant(name)["refresh_token"])


def test_many_first_commands_make_one_key(lab):
    made = Made(lab, MANY[:8])
    threads = [threading.Thread(
        target=made.agent.cli, args=("import", account),
        kwargs={"agent": False, "give": endpoint.refresh_token})
        for account, endpoint in made.endpoints.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(made.keys_known()) == 1
    until(lambda: len(made.grants()) == 8, 5, "eight grants")
    made.all_good()
