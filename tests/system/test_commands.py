"""The everyday commands: add, list, import, export, restore, completion."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import signal
import struct
import subprocess
import termios
from pathlib import Path

import pexpect
import pytest

from lab.agent import (BUILD, EX_CONFIG, EX_NOPERM, EX_OK, EX_TEMPFAIL,
                       EX_USAGE, USER, client_environment)
from lab.terminal import untouched
from lab.wait import until

EX_DATAERR = 65
CLIENT = "11111111-2222-3333-4444-555555555555"
ANNA = "anna@contoso.example"
RELAY = "relay@contoso.example"
PASSPHRASE = "never-to-be-seen, four words"
SECRET = "never-to-be-seen"


@pytest.fixture(scope="module")
def running(shared_lab):
    """An agent without accounts, and an endpoint for tokens."""
    shared_lab.start_fault()
    shared_lab.make_agent({}).start()
    return shared_lab


@pytest.fixture
def agent(running):
    """The agent with an empty configuration again."""
    running.agent.write()
    running.agent.do("reload")
    for path in running.agent.state.iterdir():
        path.unlink()
    return running.agent


def keys_of(endpoint, **more) -> list:
    """Arguments of add for an account at one of fault.py's endpoints."""
    keys = {"provider": "custom", "grant": "refresh_token",
            "token-endpoint": endpoint.url, "insecure_http": "yes",
            "client-id": "native", "scope": "mail", "allow": "postfix"} | more
    return [word for k, v in keys.items() for word in (f"--{k}", str(v))]


def served(agent, endpoint, account: str):
    assert agent.do("token", account) == endpoint.access_tokens[-1] + "\n"


# add

def test_an_account_is_added_and_served(running, agent):
    endpoint = running.fault.endpoint("added")
    before = agent.conf.read_bytes()
    done = agent.cli("add", ANNA, *keys_of(endpoint))
    assert done.returncode == EX_OK, done.stderr
    assert f"mailtoken login {ANNA}" in done.stderr and done.stdout == ""
    assert agent.conf.read_bytes().startswith(before)
    assert agent.do("check") == ""
    # The agent knows it already: no reload, no restart.
    assert agent.cli("token", ANNA).returncode == EX_NOPERM
    agent.do("import", ANNA, give=endpoint.refresh_token)
    served(agent, endpoint, ANNA)


def test_dry_run_writes_nothing(running, agent):
    before = agent.conf.read_bytes()
    done = agent.cli("add", ANNA, "--dry-run",
                     *keys_of(running.fault.endpoint("dry")))
    assert done.returncode == EX_OK and agent.conf.read_bytes() == before
    assert done.stdout.startswith(f"[account {ANNA}]\nprovider = custom\n")
    assert "insecure_http = yes\n" in done.stdout


MICROSOFT = ["--provider", "microsoft", "--tenant", "contoso.example",
             "--client-id", CLIENT, "--services", "smtp"]
REFUSED = {     # arguments; words of the complaint; exit code
    "nothing": ([], "--provider, --grant, --client-id", EX_USAGE),
    "no proof": (MICROSOFT + ["--grant", "client_credentials"],
                 "missing: --client-secret file:PATH", EX_USAGE),
    "a secret": (MICROSOFT + ["--client-secret", SECRET], "file:/PATH",
                 EX_USAGE),
    "unknown key": (["--servces", "smtp"], "servces", EX_USAGE),
    "twice": (MICROSOFT + ["--tenant=x.example"], "twice", EX_USAGE),
    "no value": (["--tenant"], "--tenant", EX_USAGE),
    "two lines": (MICROSOFT + ["--scope", "a\ninsecure_http = yes"],
                  "control character", EX_USAGE),
    "a comment": (MICROSOFT + ["--scope", "a ; b"], "comment", EX_USAGE),
    "no user": (MICROSOFT + ["--allow", "no-such-user"], "no-such-user",
                EX_USAGE),
    "wrong together": (MICROSOFT + ["--grant", "refresh_token",
                                    "--issuer", "https://x.example"],
                       "nothing was written", EX_CONFIG),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_right_is_not_added(agent, case):
    arguments, words, code = REFUSED[case]
    before = agent.conf.read_bytes()
    done = agent.cli("add", ANNA, *arguments)
    assert done.returncode == code, done.stderr
    assert words in done.stderr and SECRET not in done.stderr
    assert agent.conf.read_bytes() == before


@pytest.mark.parametrize("name", [RELAY, RELAY.upper(), "Relay@contoso.example"])
def test_an_account_is_never_overwritten(running, agent, name):
    arguments = keys_of(running.fault.endpoint("twice"))
    agent.do("add", RELAY, *arguments)
    before = agent.conf.read_bytes()
    done = agent.cli("add", name, *arguments)
    assert done.returncode == EX_CONFIG and "already" in done.stderr
    assert agent.conf.read_bytes() == before


def test_a_wrong_file_is_not_touched(running, agent):
    agent.write_text("[agnet]\n")
    done = agent.cli("add", ANNA, *keys_of(running.fault.endpoint("wrong")))
    assert done.returncode == EX_CONFIG and f"{agent.conf}:1:" in done.stderr
    assert agent.conf.read_bytes() == b"[agnet]\n"


def test_everything_of_the_file_is_kept(running, agent):
    """Comments, odd bytes, a missing newline, owner, mode, a link."""
    text = (b"\xef\xbb\xbf# caf\xc3\xa9 \xff\r\n" + agent.conf.read_bytes()
            + b"\n; the end")
    real = agent.directory / "real.conf"
    real.write_bytes(text)
    os.chown(real, 12345, 23456)
    real.chmod(0o604)
    agent.conf.unlink()
    agent.conf.symlink_to("real.conf")
    try:
        done = agent.cli("add", ANNA, *keys_of(running.fault.endpoint("kept")))
        assert done.returncode == EX_OK, done.stderr
        assert agent.conf.is_symlink()
        assert real.read_bytes().startswith(text + b"\n\n[account ")
        status = real.stat()
        assert (status.st_uid, status.st_gid) == (12345, 23456)
        assert status.st_mode & 0o7777 == 0o604
        assert not list(agent.directory.glob(".*"))
    finally:
        agent.conf.unlink()


def test_a_new_file_is_the_agents_to_read(running, agent):
    new = agent.directory / "new.conf"
    done = subprocess.run(
        [BUILD / "mailtoken", "-c", new, "-s", "/nowhere", "add", ANNA,
         *keys_of(running.fault.endpoint("new"))],
        capture_output=True, text=True, timeout=30, input="",
        env=client_environment())
    assert done.returncode == EX_OK, done.stderr
    assert new.owner() == "root" and new.group() == USER
    assert new.stat().st_mode & 0o7777 == 0o640
    new.unlink()


def test_a_full_disk_leaves_the_old_file(running, agent):
    """12 KiB of disk: the old file takes two pages, the new one three."""
    disk = agent.directory / "disk"
    disk.mkdir()
    old = agent.conf.read_text() + "# " + "x" * 7500 + "\n"
    command = [BUILD / "mailtoken", "-c", disk / "conf", "-s", "/nowhere",
               "add", ANNA, *keys_of(running.fault.endpoint("full"),
                                     scope="y" * 2000)]
    script = f"""
        mount -t tmpfs -o size=12k none {disk} || exit 98
        cat >{disk}/conf; chmod 600 {disk}/conf
        "$@" </dev/null; rc=$?
        ls -A {disk} >{disk}.names; cp {disk}/conf {disk}.after; exit $rc"""
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "sh",
                           *command], input=old, text=True, timeout=30,
                          capture_output=True, env=client_environment())
    assert done.returncode == EX_TEMPFAIL, done.stderr
    assert "No space left" in done.stderr and "make room" in done.stderr
    assert (agent.directory / "disk.after").read_text() == old
    assert (agent.directory / "disk.names").read_text() == "conf\n"


def at_terminal(agent, *arguments, **more) -> pexpect.spawn:
    return pexpect.spawn(
        str(BUILD / "mailtoken"), ["-c", str(agent.conf), *arguments],
        timeout=20, encoding="utf-8",
        env=client_environment(MAILTOKEN_SOCKET=str(agent.sockets[0])), **more)


def end_of(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def test_a_person_is_asked(agent):
    child = at_terminal(agent, "add", RELAY)
    for question, answer in (
            ("Provider ", "microsft"), ("write microsoft.*Provider ", ""),
            ("Grant ", "client_credentials"),
            (r"Tenant .*\[contoso.example\]", ""), ("Client ID:", CLIENT),
            ("File of the client secret:", "/nowhere/relay.secret"),
            (r"Services \[smtp\]", ""), ("Users ", "postfix"),
            ("Write this into", "y")):
        child.expect(question)
        child.sendline(answer)
    assert end_of(child) == EX_OK, child.before
    assert agent.conf.read_text().endswith(f"""
[account {RELAY}]
provider = microsoft
tenant = contoso.example
grant = client_credentials
client_id = {CLIENT}
client_secret = file:/nowhere/relay.secret
services = smtp
allow = postfix
""")
    assert "/nowhere/relay.secret" in child.before  # what to do next


@pytest.mark.parametrize("issuer, endpoint", [
    ("https://login.example.com", None),
    ("", "https://login.example.com/token")])
def test_a_person_is_asked_for_the_endpoints(agent, issuer, endpoint):
    child = at_terminal(agent, "add", RELAY, "--provider", "custom",
                        "--grant", "refresh_token", "--dry-run")
    child.expect("URL of the issuer:")
    child.sendline(issuer)
    if endpoint:
        child.expect("URL of the token endpoint:")
        child.sendline(endpoint)
    for question, answer in (("Client ID:", "any"), ("Scope ", "any"),
                             ("Users ", "postfix")):
        child.expect(question)
        child.sendline(answer)
    child.expect("Write this into")
    child.sendline("y")
    key = "token_endpoint" if endpoint else "issuer"
    assert end_of(child) == EX_OK, child.before
    assert f"{key} = {endpoint or issuer}\r\n" in child.before


@pytest.mark.parametrize("last", ["n", None])
def test_a_person_can_change_his_mind(agent, last):
    before = agent.conf.read_bytes()
    child = at_terminal(agent, "add", RELAY, *MICROSOFT)
    child.expect("Grant ")
    child.sendline("")
    child.expect("Users ")
    child.sendline("postfix")
    child.expect("Write this into")
    if last:
        child.sendline(last)
    else:
        child.sendeof()
    assert end_of(child) != EX_OK
    assert agent.conf.read_bytes() == before


# list

def test_list(running, agent):
    endpoint = running.fault.endpoint("list")
    agent.do("add", ANNA, *keys_of(endpoint, services="smtp imap",
                                   allow="postfix group:mail"))
    agent.do("add", RELAY, *keys_of(endpoint))
    assert agent.do("list", "--names", agent=False) == f"{ANNA}\n{RELAY}\n"
    rows = json.loads(agent.do("list", "--json", agent=False))
    assert [row["account"] for row in rows] == [ANNA, RELAY]
    assert rows[0]["services"] == ["smtp", "imap"]
    assert rows[0]["allow"] == ["postfix", "group:mail"]
    assert rows[0]["grant"] == "refresh_token"
    assert rows[0]["client_id"] == "native"
    text = agent.do("list", agent=False).splitlines()
    assert len(text) == 3 and text[1].split()[0] == ANNA


# import

def fernet(password: str, salt: bytes, count: int, text: str) -> str:
    """As python3-cryptography would; AES by openssl(1)."""
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, count)
    iv = bytes(range(16))
    sealed = subprocess.run(
        ["openssl", "enc", "-aes-128-cbc", "-K", key[16:].hex(), "-iv",
         iv.hex()], input=text.encode(), capture_output=True, check=True,
        timeout=30).stdout
    head = b"\x80" + struct.pack(">Q", 1700000000) + iv + sealed
    mac = hmac.new(key[:16], head, hashlib.sha256).digest()
    return base64.urlsafe_b64encode(head + mac).decode()


def proxy(token: str) -> str:
    salt = b"0123456789abcdef"
    return f"""\
[Email OAuth 2.0 Proxy configuration file]
documentation = This is where
\t[somebody@contoso.example] = is explained

[bert@contoso.example]
refresh_token = x

[{ANNA}]
token_url = https://login.microsoftonline.com/other.example/oauth2/v2.0/token
client_id = {CLIENT}
token_salt = {base64.b64encode(salt).decode()}
token_iterations = 1000
refresh_token = {fernet(PASSPHRASE, salt, 1000, token)}
"""


FORMATS = {
    "token": lambda token: token + "\n",
    "json": lambda token: json.dumps({"refresh_token": token}),
    "sasl-xoauth2": lambda token: json.dumps(
        {"access_token": "x", "expiry": "1700000000", "refresh_token": token,
         "client_id": CLIENT, "client_secret": SECRET, "user": ANNA}, indent=3),
    "mutt_oauth2": lambda token: json.dumps(
        {"registration": "microsoft", "authflow": "devicecode", "email": ANNA,
         "access_token": "x", "access_token_expiration": "2026-01-01T00:00:00",
         "refresh_token": token}),
    "oama": lambda token: json.dumps(
        {"access_token": "x", "email": ANNA, "exp_date": "2026-01-01 00:00 UTC",
         "expires_in": 3599, "refresh_token": token, "scope": "mail",
         "service": "microsoft", "token_type": "Bearer"}),
    "email-oauth2-proxy": proxy,
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_login_of_another_program_is_taken_over(running, agent, name):
    endpoint = running.fault.endpoint(f"import-{name}")
    agent.do("add", ANNA, *keys_of(endpoint))
    agent.secret("password", PASSPHRASE)
    saved = agent.directory / "saved"
    saved.write_text(FORMATS[name](endpoint.refresh_token))
    arguments = ["--from", str(saved)]
    if name == "email-oauth2-proxy":
        arguments += ["--mailbox", ANNA.upper(), "--password-file",
                      str(agent.directory / "password")]
    done = agent.cli("import", ANNA, *arguments)
    assert done.returncode == EX_OK, done.stderr
    assert "it works" in done.stderr
    # Of another application, and that is said with the line to write.
    assert (f"client_id = {CLIENT}" in done.stderr) == (
        CLIENT in saved.read_text())
    for secret in (endpoint.refresh_token, PASSPHRASE, SECRET):
        assert secret not in done.stderr + done.stdout
    served(agent, endpoint, ANNA)
    assert agent.grant(ANNA)["refresh_token"] == endpoint.refresh_token


SASL_XOAUTH2 = Path("/etc/sasl-xoauth2.conf")


@pytest.mark.skipif(SASL_XOAUTH2.exists(), reason="this host has one")
def test_the_configuration_of_sasl_xoauth2_tells_the_application(running,
                                                                 agent):
    endpoint = running.fault.endpoint("import-conf")
    agent.do("add", ANNA, *keys_of(endpoint))
    SASL_XOAUTH2.write_text(
        '{ // as shipped\n"client_id": "%s", "client_secret": "%s" }'
        % (CLIENT, SECRET))
    try:
        done = agent.cli("import", ANNA, "--from", "-", give=json.dumps(
            {"expiry": "0", "refresh_token": endpoint.refresh_token}))
    finally:
        SASL_XOAUTH2.unlink()
    assert done.returncode == EX_OK, done.stderr
    assert f"client_id = {CLIENT}" in done.stderr
    assert SECRET not in done.stderr


def test_import_from_a_pipe_with_a_password_from_the_terminal(running, agent):
    endpoint = running.fault.endpoint("import-asked")
    agent.do("add", ANNA, *keys_of(endpoint))
    saved = agent.directory / "saved"
    saved.write_text(proxy(endpoint.refresh_token))
    child = pexpect.spawn(
        "sh", ["-c", 'exec "$0" -c "$1" import "$2" --from - --mailbox "$2" '
               '<"$3"', str(BUILD / "mailtoken"), str(agent.conf), ANNA,
               str(saved)], timeout=20, encoding="utf-8",
        env=client_environment(MAILTOKEN_SOCKET=str(agent.sockets[0])))
    child.expect("not shown")
    # Corrected with backspace; never echoed.
    child.send(PASSPHRASE + "x\x7f\r")
    child.expect("it works")
    assert PASSPHRASE not in child.before
    assert end_of(child) == EX_OK


def test_a_terminal_is_never_left_mute(running, agent):
    agent.do("add", ANNA, *keys_of(running.fault.endpoint("mute")))
    child = pexpect.spawn("sh", ["-c", '"$0" -c "$1" import "$2"; stty -a',
                                 str(BUILD / "mailtoken"), str(agent.conf),
                                 ANNA], timeout=20, encoding="utf-8",
                          env=client_environment())
    child.expect("not shown")
    child.send("half of a tok\x03")
    child.expect("given up")
    child.expect(r"\becho\b")
    assert "-echo " not in child.before
    end_of(child)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_not_even_if_it_is_ended(running, agent, number):
    agent.do("add", ANNA, *keys_of(running.fault.endpoint("mute")))
    child = at_terminal(agent, "import", ANNA)
    was = untouched()
    child.expect("not shown")
    until(lambda: termios.tcgetattr(child.child_fd) != was, 5, "a mute one")
    child.send("half of a tok")
    child.kill(number)
    child.expect(pexpect.EOF)
    assert termios.tcgetattr(child.child_fd) == was
    child.close()
    assert child.signalstatus == number


NONSENSE = {    # file; words
    "empty": ("", "empty"),
    "words": ("two words", "more than one word"),
    "half": ('{"refresh_token": "x"', "JSON"),
    "no token": ('{"access_token": "x"}', "mailtoken login"),
    "gnupg": ("-----BEGIN PGP MESSAGE-----\n", "gpg -d FILE | mailtoken"),
    "somebody else's": (FORMATS["oama"]("x"), "not of bert@"),
    "client only": ('// sasl-xoauth2.conf\n{"client_id": "%s"}' % CLIENT,
                    f"client_id = {CLIENT}"),
    "wrong password": (proxy("x"), "password"),
}


@pytest.mark.parametrize("case", NONSENSE)
def test_nonsense_is_not_imported(running, agent, case):
    text, words = NONSENSE[case]
    agent.do("add", ANNA, *keys_of(running.fault.endpoint("nonsense")))
    agent.secret("password", "another password")
    arguments = ["--from", "-"]
    if case == "somebody else's":
        arguments += ["--mailbox", "bert@contoso.example"]
    if case == "wrong password":
        arguments += ["--mailbox", ANNA, "--password-file",
                      str(agent.directory / "password")]
    done = agent.cli("import", ANNA, *arguments, give=text)
    assert done.returncode == EX_DATAERR, done.stderr
    assert words in done.stderr
    assert not list(agent.state.glob("*.grant"))


# export and restore

@pytest.fixture
def exported(running, agent):
    """Two logins and a secret's file, in an archive."""
    endpoint = running.fault.endpoint("moved")
    agent.secret("client.secret", SECRET)
    agent.secret("passphrase", PASSPHRASE)
    for name in (ANNA, RELAY):
        agent.do("add", name, *keys_of(
            endpoint, **{"client-secret": f"file:{agent.directory}"
                         "/client.secret"}))
        agent.do("import", name, give=endpoint.refresh_token)
    archive = agent.directory / "archive"
    done = agent.cli("export", str(archive), "--passphrase-file",
                     str(agent.directory / "passphrase"))
    assert done.returncode == EX_OK, done.stderr
    agent.endpoint, agent.archive = endpoint, archive
    return agent


def restore(on, archive, *more, **how):
    return on.cli("restore", str(archive), "--passphrase-file",
                  str(archive.parent / "passphrase"), *more, **how)


def test_the_archive_tells_nothing(exported):
    data = exported.archive.read_bytes()
    assert exported.archive.stat().st_mode & 0o7777 == 0o600
    for secret in (SECRET, exported.endpoint.refresh_token, ANNA, "native"):
        assert secret.encode() not in data


def test_everything_comes_back_after_a_loss(exported):
    """The host is set up anew; archive and passphrase are what is left."""
    agent, kept = exported, exported.directory.parent / "kept"
    conf, secret = agent.conf.read_bytes(), agent.directory / "client.secret"
    kept.mkdir()
    for name in ("archive", "passphrase"):
        shutil.move(agent.directory / name, kept / name)
    agent.stop()
    shutil.rmtree(agent.state)
    agent.conf.unlink()
    secret.unlink()
    try:
        done = restore(agent, kept / "archive", agent=False)
        assert done.returncode == EX_OK, done.stderr
        assert "2 files and 2 logins" in done.stderr
        assert agent.conf.read_bytes() == conf
        assert (agent.conf.owner(), agent.conf.group()) == ("root", USER)
        assert secret.read_text() == SECRET + "\n"
        assert secret.owner() == USER
        assert secret.stat().st_mode & 0o7777 == 0o600
        assert agent.state.owner() == USER
        assert {p.owner() for p in agent.state.iterdir()} == {USER}
        agent.do("check")
    finally:
        shutil.rmtree(kept)
        agent.start()
    served(agent, exported.endpoint, RELAY)


def test_logins_come_to_another_agent(running, exported):
    """It has a configuration of its own: that stays, and is told of."""
    other = running.make_agent(
        {RELAY: running.faulty(exported.endpoint)}, name="other",
        sockets=[running.directory / "other.sock.d" / "agent.sock"])
    running.agent = exported
    conf = other.conf.read_bytes()
    other.start()
    assert other.cli("token", RELAY).returncode == EX_NOPERM
    done = restore(other, exported.archive)
    assert done.returncode == EX_CONFIG and "differs" in done.stderr
    assert f"account {ANNA}: is not in" in done.stderr
    assert f"account {RELAY}: the refresh token is stored, and it works" \
        in done.stderr
    assert other.conf.read_bytes() == conf
    served(other, exported.endpoint, RELAY)
    other.stop()


@pytest.mark.parametrize("way", ["elsewhere", "agent/../elsewhere", "link"])
def test_what_was_elsewhere_comes_back_if_that_is_wanted(running, exported,
                                                         way):
    """Else who makes an archive could give root a table of cron's."""
    agent, elsewhere = exported, exported.directory.parent / "elsewhere"
    way = agent.directory / "link" if way == "link" else (
        agent.directory.parent / way.replace("agent", agent.directory.name))
    elsewhere.mkdir()
    (agent.directory / "link").symlink_to(elsewhere)
    secret = elsewhere / "secret"
    secret.write_text(SECRET)
    secret.chmod(0o777)
    try:
        agent.do("add", "far@contoso.example", *keys_of(
            exported.endpoint, **{"client-secret": f"file:{way}/secret"}))
        agent.do("export", str(agent.archive), "--passphrase-file",
                 str(agent.directory / "passphrase"))
        secret.unlink()
        for more in ((), ("--dry-run",)):
            done = restore(agent, agent.archive, *more)
            assert done.returncode == EX_CONFIG
            assert "give --everywhere" in done.stderr
            assert not secret.exists()
        agent.conf.rename(agent.directory / "away")
        done = restore(agent, agent.archive, "--dry-run")
        (agent.directory / "away").rename(agent.conf)
        assert "logins would be restored" in done.stderr
        assert "no login was restored" not in done.stderr
        done = restore(agent, agent.archive, "--everywhere")
        assert done.returncode == EX_OK, done.stderr
        assert secret.read_text() == SECRET
        assert secret.stat().st_mode & 0o7777 == 0o644
    finally:
        shutil.rmtree(elsewhere)
        (agent.directory / "link").unlink()


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_an_archive_replaces_nothing_but_files(exported, kind):
    """Somebody's link in /tmp would choose what root replaces."""
    precious = exported.directory / "precious"
    place = exported.directory / kind
    precious.write_text("still here")
    place.symlink_to(precious) if kind == "link" else os.mkfifo(place)
    done = exported.cli("export", str(place), "--passphrase-file",
                        str(exported.directory / "passphrase"))
    assert done.returncode == EX_CONFIG
    assert f"{place}: " in done.stderr and "name a file" in done.stderr
    assert place.is_symlink() == (kind == "link")
    assert place.is_fifo() == (kind == "fifo")
    assert precious.read_text() == "still here"
    place.unlink()


def test_a_newer_login_stays_unless_forced(exported):
    agent, endpoint = exported, exported.endpoint
    old = agent.grant(RELAY)
    # As if it were of tomorrow.
    newer = int(old["login_at"]) + 86400
    agent.change_grant(RELAY, login_at=newer)
    done = restore(agent, exported.archive)
    assert done.returncode == EX_OK and "it stays" in done.stderr
    assert agent.grant(RELAY)["login_at"] == str(newer)
    before = int(agent.grant(RELAY)["generation"])
    done = restore(agent, exported.archive, "--force", "--dry-run")
    assert done.returncode == EX_OK
    assert agent.grant(RELAY)["login_at"] == str(newer)
    # Not told: what the agent has in memory must not win when it looks.
    done = restore(agent, exported.archive, "--force", agent=False)
    assert done.returncode == EX_OK, done.stderr
    assert agent.grant(RELAY)["login_at"] == old["login_at"]
    assert int(agent.grant(RELAY)["generation"]) > before
    agent.do("refresh", RELAY)
    assert agent.grant(RELAY)["login_at"] == old["login_at"]
    served(agent, endpoint, RELAY)


def test_of_one_login_the_copy_renewed_last_stays(exported):
    """After a rehearsal of a move, or with an old state put back: a strict
    provider takes the refresh token of the last renewal only."""
    agent = exported
    last = agent.grant(RELAY)
    # The second time, the first has moved the time of the login on.
    for seconds in (-3600, -10):
        agent.change_grant(
            RELAY, refresh_token="spent",
            obtained_at=int(last["obtained_at"]) + seconds)
        done = restore(agent, exported.archive)
        assert done.returncode == EX_OK, done.stderr
        assert "and 1 login" in done.stderr
        assert agent.grant(RELAY)["refresh_token"] == last["refresh_token"]
    agent.change_grant(RELAY, refresh_token="rotated",
                       obtained_at=int(last["obtained_at"]) + 10)
    done = restore(agent, exported.archive)
    assert done.returncode == EX_OK and "it stays" in done.stderr
    assert agent.grant(RELAY)["refresh_token"] == "rotated"


@pytest.mark.parametrize("case", ["cut", "altered", "another passphrase",
                                  "no archive"])
def test_what_is_damaged_restores_nothing(exported, case):
    agent, archive = exported, exported.archive
    data = bytearray(archive.read_bytes())
    if case == "cut":
        data = data[:-1]
    elif case == "altered":
        data[len(data) // 2] ^= 1
    elif case == "no archive":
        data = b"{}"
    else:
        agent.secret("passphrase", "another of four words")
    archive.write_bytes(data)
    for path in agent.state.iterdir():
        path.unlink()
    done = restore(agent, archive, agent=False)
    assert done.returncode == EX_DATAERR, done.stderr
    assert done.stderr.count("\n") == 1 and str(archive) in done.stderr
    assert not list(agent.state.iterdir())


def test_a_short_passphrase_is_refused_and_the_old_archive_stays(exported):
    before = exported.archive.read_bytes()
    exported.secret("passphrase", "eleven char")
    done = exported.cli("export", str(exported.archive), "--passphrase-file",
                        str(exported.directory / "passphrase"))
    assert done.returncode == EX_CONFIG and "12" in done.stderr
    assert exported.archive.read_bytes() == before


def test_a_passphrase_is_asked_for_twice(exported):
    before = exported.archive.read_bytes()
    for again, code in (("not the same at all", EX_CONFIG),
                        (PASSPHRASE, EX_OK)):
        child = at_terminal(exported, "export", str(exported.archive), RELAY)
        child.expect("Passphrase")
        child.send(PASSPHRASE + "\r")
        child.expect("again")
        child.send(again + "\r")
        assert end_of(child) == code, child.before
        assert PASSPHRASE not in child.before
        assert (exported.archive.read_bytes() == before) == (code != EX_OK)
    # Of the one account, only.
    for path in exported.state.iterdir():
        path.unlink()
    assert restore(exported, exported.archive).returncode == EX_OK
    assert [p.name for p in exported.state.glob("*.grant")] == [
        f"{RELAY}.grant"]


# completion

def complete(agent, shell: str, program: str) -> str:
    """Runs a shell with the command as mailtoken in the PATH."""
    return subprocess.run(
        [shell, "-c", program], cwd=agent.directory, text=True, timeout=30,
        capture_output=True, check=True, env=client_environment(
            PATH=f"{BUILD}:/usr/bin:/bin", HOME=str(agent.directory))).stdout


@pytest.fixture
def completed(running, agent):
    for name in (ANNA, RELAY):
        agent.do("add", name, *keys_of(running.fault.endpoint("complete")))
    return agent


CASES = [   # words so far; some of the choices, and one that is none
    ("mailtoken ", {"add", "import", "restore", "--help"}, ANNA),
    ("mailtoken i", {"import"}, "add"),
    ("mailtoken -c mailtoken.conf token ", {ANNA, RELAY}, "token"),
    ("mailtoken -c mailtoken.conf token r", {RELAY}, ANNA),
    ("mailtoken status --j", {"--json"}, ANNA),
    ("mailtoken add x --client-", {"--client-id", "--client-secret"},
     "--tenant"),
    ("mailtoken import x --format m", {"mutt_oauth2"}, "oama"),
    ("mailtoken import x --from mailto", {"mailtoken.conf"}, "--from"),
    ("mailtoken completion ", {"bash", "zsh", "fish"}, "sh"),
]


@pytest.mark.parametrize("line, choices, none", CASES)
def test_completion_in_bash(completed, line, choices, none):
    words = line.split(" ")
    out = complete(completed, "bash", f"""
        source <(mailtoken completion bash)
        COMP_WORDS=({' '.join(w or "''" for w in words)})
        COMP_CWORD={len(words) - 1}
        _mailtoken
        printf '%s\\n' "${{COMPREPLY[@]}}" """)
    assert choices <= set(out.split()), out
    assert none not in out.split()


def test_completion_is_right_in_every_shell(completed):
    for shell in ("bash", "zsh", "fish"):
        if shutil.which(shell):
            complete(completed, shell, f"mailtoken completion {shell} >script"
                     f" && {shell} -n script")


@pytest.mark.skipif(not shutil.which("fish"), reason="no fish here")
def test_completion_in_fish(completed):
    for line, choices, none in CASES:
        if "-c " in line:
            continue            # fish asks the command without options
        out = complete(completed, "fish", "mailtoken completion fish | source"
                       f"; complete -C '{line}'")
        found = {row.split("\t")[0] for row in out.splitlines()}
        if line != "mailtoken ":
            assert choices <= found, (line, out)
        assert none not in found


@pytest.mark.skipif(not shutil.which("zsh"), reason="no zsh here")
def test_completion_in_zsh(completed):
    (completed.directory / "_mailtoken").write_text(
        completed.do("completion", "zsh"))
    child = pexpect.spawn(
        "zsh", ["-f", "-i"], timeout=20, encoding="utf-8",
        cwd=str(completed.directory), dimensions=(50, 200),
        env=client_environment(PATH=f"{BUILD}:/usr/bin:/bin", TERM="dumb",
                               HOME=str(completed.directory)))
    child.sendline("PS1=; fpath=($PWD $fpath); autoload -U compinit; "
                   "compinit -u; unsetopt zle_bracketed_paste; echo rea''dy")
    child.expect("ready")
    child.send("mailtoken -c mailtoken.conf token rel\t")
    child.expect("relay@contoso.example")
    child.send("\x15mailtoken imp\t")
    child.expect("import ")
    child.close(force=True)


def test_each_command_says_its_usage(agent):
    text = agent.do("--help")
    names = [line.split()[0] for line in text.splitlines()
             if line.startswith("  ") and not line.startswith("  -")]
    assert {"add", "list", "import", "export", "restore", "completion",
            "token", "status", "check"} <= set(names)
    for name in names:
        assert agent.do(name, "--help").startswith(f"usage: mailtoken {name}")
