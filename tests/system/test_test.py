"""mailtoken test: real logins, and what it says when they fail."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from lab import imap
from lab.agent import BUILD, EX_CONFIG, EX_OK, EX_TEMPFAIL, EX_USAGE
from lab.refusals import REFUSALS, Scripted

RELAY = "relay@contoso.example"
FAULTY = "anna@contoso.example"
SERVICES = ("smtp", "imap", "pop")
EXIT = {"ok": EX_OK, "retry": EX_TEMPFAIL, "reauth": 77, "config": EX_CONFIG,
        "denied": 77}


@pytest.fixture(scope="module")
def world(shared_lab):
    """A provider, Postfix and Dovecot as mail hosts, servers that refuse, and
    an agent with an account for either."""
    lab = shared_lab
    lab.start_idp()
    lab.start_fault()
    lab.start_upstream()
    lab.mailhost = imap.upstream(lab.directory / "mailhost", lab.ca,
                                 lab.idp.introspection_url,
                                 lab.start_fake().port)
    lab.ends.callback(lab.mailhost.stop)
    lab.mailhost.start()
    lab.scripted = {}
    for service in SERVICES:
        lab.scripted[service] = Scripted(lab.ca, service)
        lab.ends.callback(lab.scripted[service].stop)
    endpoint = lab.fault.endpoint("anna")
    agent = lab.make_agent({
        RELAY: lab.delegated(services="smtp imap pop"),
        FAULTY: lab.faulty(endpoint)}, sockets=[lab.socket])
    agent.do("import", RELAY, give=lab.idp.login(RELAY), agent=False)
    agent.do("import", FAULTY, give=endpoint.refresh_token, agent=False)
    agent.start()
    lab.endpoint = endpoint
    return lab


@pytest.fixture
def servers(world):
    yield world.scripted
    for server in world.scripted.values():
        server.refusal = None
        server.mechanisms = "LOGIN XOAUTH2"
        server.starttls = True


def run(world, account, service, port, *more, host="127.0.0.1", trust=True,
        **kw):
    """The exit status, and what --json has about the service."""
    ca = ("--ca", world.ca.certificate) if trust else ()
    done = world.agent.cli("test", account, f"--{service}", "--host",
                           f"{host}:{port}", *ca, "--json", *more, **kw)
    assert done.stdout, done.stderr
    answer = json.loads(done.stdout)
    assert len(answer["services"]) == 1
    nothing_secret(world, done)
    return done.returncode, answer["services"][0]


def nothing_secret(world, done):
    for text in (done.stdout, done.stderr):
        for secret in world.idp.issued() + world.endpoint.secrets:
            assert secret not in text


def refused(world, service, name, *more):
    server = world.scripted[service]
    server.refusal = name
    return run(world, FAULTY, service, server.port, *more)


@pytest.mark.parametrize("service, port", [
    ("smtp", lambda w: w.up.port),
    ("smtp", lambda w: w.mailhost.ports.submission),
    ("imap", lambda w: w.mailhost.ports.imaps),
    ("pop", lambda w: w.mailhost.ports.pop3s)],
    ids=["postfix", "dovecot-submission", "imap", "pop"])
def test_real_servers_take_the_token(world, service, port):
    status, said = run(world, RELAY, service, port(world))
    assert (status, said["verdict"]) == (EX_OK, "ok"), said
    assert "cause" not in said


def test_nothing_is_sent_or_changed(world, servers):
    for service in SERVICES:
        servers[service].commands.clear()
        assert run(world, FAULTY, service, servers[service].port)[0] == EX_OK
    assert servers["smtp"].commands == [
        "EHLO", "STARTTLS", "EHLO", "AUTH", "MAIL", "QUIT"]
    assert servers["smtp"].senders[-1] == f"MAIL FROM:<{FAULTY}>"
    assert servers["imap"].commands == [
        "CAPABILITY", "AUTHENTICATE", "EXAMINE", "LOGOUT"]
    assert servers["pop"].commands == ["CAPA", "AUTH", "STAT", "QUIT"]
    assert all(s.tokens[-1] == world.endpoint.access_tokens[-1]
               for s in servers.values())


def test_a_revoked_token_is_told_from_a_good_one(world):
    """Dovecot and Postfix answer with a challenge."""
    world.agent.do("refresh", RELAY)
    world.idp.revoke(world.agent.do("token", RELAY).strip())
    for service, port in (("smtp", world.up.port),
                          ("imap", world.mailhost.ports.imaps),
                          ("pop", world.mailhost.ports.pop3s)):
        status, said = run(world, RELAY, service, port)
        assert said["verdict"] == "token_refused", said
        assert (said["stage"], said["stale"]) == ("login", True)
        assert status == EXIT[said["kind"]]
    status, said = run(world, RELAY, "imap", world.mailhost.ports.imaps,
                       "--refresh")
    assert (status, said["verdict"]) == (EX_OK, "ok"), said


@pytest.mark.parametrize("name", REFUSALS)
def test_each_documented_text(world, servers, name):
    row = REFUSALS[name]
    status, said = refused(world, row.service, name)
    words = f"{row.code} {row.words}"
    assert said["stage"] == row.stage
    # What looks like a credential to a careful eye is taken out.
    shown = re.sub(r"[A-Za-z0-9._~+/=-]{40,}", "***", words)
    assert shown in said["said"]
    assert said["verdict"] != "ok" and said["cause"] and said["todo"]
    assert status == EXIT[said["kind"]] != EX_OK
    assert said["advice"], "no advice for these words"


@pytest.mark.parametrize("name", REFUSALS)
def test_explain_says_the_same(world, servers, name):
    row = REFUSALS[name]
    _, said = refused(world, row.service, name)
    explained = json.loads(world.agent.do(
        "explain", "--json", f"{row.code} {row.words}"))[0]
    assert said["advice"] == explained["key"]
    for key in ("kind", "cause"):
        assert said[key] == explained[key]
    # For this account: explain knows of none.
    assert said["todo"] == explained["todo"].replace("ACCOUNT", FAULTY)


VERDICTS = {
    "unsuccessful": "token_refused", "disabled-tenant": "smtp_auth_off",
    "disabled-mailbox": "smtp_auth_off", "threads": "throttled",
    "concurrent": "throttled", "not-authenticated": "mailbox_not_reachable",
    "imap-failed": "token_refused", "imap-throttled": "throttled",
    "imap-throttled-no": "throttled", "imap-unavailable": "throttled",
    "imap-not-connected": "mailbox_not_reachable",
    "pop-failed": "token_refused"}


@pytest.mark.parametrize("name", VERDICTS)
def test_what_is_wrong_is_told_apart(world, servers, name):
    _, said = refused(world, REFUSALS[name].service, name)
    assert said["verdict"] == VERDICTS[name]


@pytest.mark.parametrize("service", SERVICES)
def test_a_challenge_is_a_refusal(world, servers, service):
    _, said = refused(world, service, "challenge")
    assert (said["verdict"], said["stage"]) == ("token_refused", "login")
    assert '"status":"400"' in said["said"].replace(" ", "")


@pytest.mark.parametrize("service", SERVICES)
def test_no_xoauth2_offered(world, servers, service):
    servers[service].mechanisms = "LOGIN PLAIN"
    shown = len(servers[service].tokens)
    status, said = run(world, FAULTY, service, servers[service].port)
    assert (status, said["verdict"]) == (EX_CONFIG, "no_xoauth2")
    assert len(servers[service].tokens) == shown


def test_without_auth_at_all(world, servers):
    servers["smtp"].mechanisms = ""
    status, said = run(world, FAULTY, "smtp", servers["smtp"].port)
    assert (status, said["verdict"]) == (EX_CONFIG, "no_xoauth2")


def test_no_starttls_no_token(world, servers):
    server = servers["smtp"]
    server.starttls, shown = False, len(server.tokens)
    status, said = run(world, FAULTY, "smtp", server.port)
    assert (status, said["verdict"]) == (EX_CONFIG, "no_tls")
    assert len(server.tokens) == shown


@pytest.mark.parametrize("service", SERVICES)
def test_an_unknown_authority_gets_no_token(world, servers, service):
    shown = len(servers[service].tokens)
    status, said = run(world, FAULTY, service, servers[service].port,
                       trust=False)
    assert (status, said["verdict"]) == (EX_CONFIG, "tls_not_trusted")
    assert "certificate" in said["reason"]
    assert len(servers[service].tokens) == shown


def test_another_name_in_the_certificate(world, servers):
    status, said = run(world, FAULTY, "imap", servers["imap"].port,
                       host="ip6-localhost.example", environment={})
    assert said["verdict"] in ("cannot_connect", "tls_not_trusted")
    assert status != EX_OK


def test_nobody_listens(world):
    status, said = run(world, FAULTY, "imap", 1)
    assert (status, said["verdict"]) == (EX_TEMPFAIL, "cannot_connect")


def test_the_connection_breaks(world, servers):
    for service in SERVICES:
        status, said = refused(world, service, "gone")
        assert (status, said["verdict"]) == (EX_TEMPFAIL, "no_answer")


def test_a_young_token_and_a_renewed_one(world, servers):
    _, said = refused(world, "smtp", "unsuccessful")
    assert said["stale"] and "not about to expire" in said["note"]
    before = world.endpoint.count
    _, said = refused(world, "smtp", "unsuccessful", "--refresh")
    assert "renewed for this test" in said["note"]
    # A refusal alone makes no refresh.
    assert world.endpoint.count == before + 1
    _, said = refused(world, "smtp", "disabled-tenant")
    assert "note" not in said


def test_for_people(world, servers):
    """All services of the account, the worst one's exit status."""
    servers["imap"].refusal = "imap-not-connected"
    done = world.agent.cli("test", FAULTY, "--imap", "--host",
                           f"127.0.0.1:{servers['imap'].port}", "--ca",
                           world.ca.certificate)
    nothing_secret(world, done)
    lines = done.stdout.splitlines()
    assert re.fullmatch(rf"{FAULTY}: the token lives \d+ min", lines[0])
    assert re.fullmatch(r"imap +127\.0\.0\.1:\d+ +mailbox not reachable",
                        lines[1])
    assert lines[2] == ("      the server says: BAD User is authenticated but"
                        " not connected.")
    assert lines[3].startswith("      cause: ")
    assert lines[4].startswith("      to do: ")


def test_a_shared_mailbox(world, servers):
    run(world, FAULTY, "smtp", servers["smtp"].port, "--user",
        "info@contoso.example")
    assert servers["smtp"].senders[-1] == "MAIL FROM:<info@contoso.example>"


def test_a_very_long_token(world, servers):
    """It arrives whole; other programs may not manage."""
    world.endpoint.access_token = "at-" + "x" * 12000
    try:
        world.agent.do("refresh", FAULTY)
        done = world.agent.cli(
            "test", FAULTY, "--smtp", "--host",
            f"127.0.0.1:{servers['smtp'].port}", "--ca", world.ca.certificate)
        assert done.returncode == EX_OK
        assert servers["smtp"].tokens[-1] == world.endpoint.access_token
        assert "bytes; SMTP servers need not take more" in done.stderr
    finally:
        world.endpoint.access_token = None
        world.agent.do("refresh", FAULTY)


def test_a_custom_provider_has_no_known_host(world):
    done = world.agent.cli("test", FAULTY, "--smtp")
    assert done.returncode == EX_CONFIG
    assert "--host" in done.stdout


@pytest.mark.parametrize("arguments", [
    [], [RELAY, "--nonsense"], [RELAY, "--user"], [RELAY, "other"],
    [RELAY, "--smtp", "--host", "x/y"], [RELAY, "--smtp", "--host", "a@b"],
    [RELAY, "--smtp", "--host", "x:"], [RELAY, "--smtp", "--host", "x:99999"],
    [RELAY, "--smtp", "--host", "[::1"], [RELAY, "--smtp", "--host", ""],
    [RELAY, "--host", "x:25"],
    [RELAY, "--smtp", "--imap", "--host", "x:25"],
    [RELAY, "--user", "nobody"], [RELAY, "--user", "a b@x"],
    [RELAY, "--user", "a\r\nRCPT TO:<x@y>@z"], [RELAY, "--user", "a>@b"]])
def test_wrong_usage(world, arguments):
    done = world.agent.cli("test", *arguments)
    assert done.returncode == EX_USAGE and done.stderr


def test_an_unknown_account(world):
    done = world.agent.cli("test", "nobody@contoso.example")
    assert done.returncode == EX_CONFIG
    assert "nobody@contoso.example" in done.stderr


def test_the_token_is_in_no_argument(world, servers):
    """While it waits for a server, anyone may look at its command line."""
    servers["imap"].refusal = "silent"
    socket = str(world.socket)
    with subprocess.Popen(
            [BUILD / "mailtoken", "-c", world.agent.conf, "-s", socket, "test",
             FAULTY, "--imap", "--host",
             f"127.0.0.1:{servers['imap'].port}", "--ca",
             world.ca.certificate], stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True) as child:
        shown = len(servers["imap"].tokens)
        end = time.monotonic() + 10
        while len(servers["imap"].tokens) == shown:
            assert time.monotonic() < end
            time.sleep(0.02)
        token = servers["imap"].tokens[-1].encode()
        proc = Path("/proc", str(child.pid))
        for name in ("cmdline", "environ"):
            assert token not in (proc / name).read_bytes()
        servers["imap"].refusal = "gone"
        child.terminate()
        child.wait(10)
