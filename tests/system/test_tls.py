"""Whom the agent tells its secrets: the provider, and nobody that stands in
its place or on the way."""

import base64
import json
import socket
import ssl
import subprocess
import urllib.parse

import pytest

from lab import ca, idp
from lab.agent import BUILD, EX_CONFIG, EX_OK, client_environment
from lab.lab import ACCOUNT
from lab.tlsfault import Proxy, TlsFault, issue, self_signed
from lab.wait import until

PROVIDER = "login.contoso.example"
OTHER_NAME = "mail.fabrikam.example"
PROXY_PASSWORD = "proxy-pass-4711"
HERE = "IP:127.0.0.1"
WRITE = "write https://"

# Of Python, about the old versions of TLS that we want to be refused.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

# Account, what the reason must say.
REFUSED = {
    "wrong-name": "the certificate is for another host",
    "expired": "certificate has expired",
    "self-signed": "the certificate is not trusted by ca_file",
    "other-ca": "the certificate is not trusted by ca_file",
    "system-ca": "the certificate is not trusted; name the CA",
    "tls-1.0": "it speaks no TLS 1.2 or newer",
    "tls-1.1": "it speaks no TLS 1.2 or newer",
    "redirect-302": "answered with a redirect (302), which is not followed",
    "redirect-307": "answered with a redirect (307), which is not followed",
    "redirect-308": "answered with a redirect (308), which is not followed",
}


def accounts(lab, servers) -> dict:
    """One at each server; where redirects lead, is a good endpoint."""
    good, second, landing = (servers[n] for n in ("good", "second", "landing"))
    points = {name: servers[name].endpoint(name)
              for name in REFUSED if name in servers}
    points |= {name: good.endpoint(name)
               for name in ("first", "other-ca", "system-ca")}
    points["second"] = second.endpoint("second")
    lab.landed = landing.endpoint("landed")
    for status in (302, 307, 308):
        name = f"redirect-{status}"
        points[name] = good.endpoint(
            name, mode=good.redirect(status, lab.landed.url))
    lab.points = points
    trust = {name: lab.ca.certificate for name in points}
    trust["second"] = trust["other-ca"] = lab.second_ca.certificate
    made = {name: lab.faulty(point, ca_file=trust[name], allow="nobody")
            for name, point in points.items()}
    for keys in made.values():
        del keys["insecure_http"]
    del made["system-ca"]["ca_file"]
    return made


@pytest.fixture(scope="module")
def world(shared_lab):
    """An agent with an account for each kind of provider, all asked once."""
    lab = shared_lab
    lab.second_ca = ca.make(lab.directory / "second-ca")
    good = lab.ca.server_certificate, lab.ca.server_key
    servers = {
        "good": TlsFault(*good),
        "second": TlsFault(lab.second_ca.server_certificate,
                           lab.second_ca.server_key),
        "landing": TlsFault(*good),
        "wrong-name": TlsFault(*issue(lab.ca, "other", "DNS:" + OTHER_NAME)),
        "expired": TlsFault(*issue(lab.ca, "old", HERE, days=0)),
        "self-signed": TlsFault(*self_signed(lab.ca.certificate.parent)),
        "tls-1.0": TlsFault(*good, newest=ssl.TLSVersion.TLSv1),
        "tls-1.1": TlsFault(*good, newest=ssl.TLSVersion.TLSv1_1),
    }
    for server in servers.values():
        lab.ends.callback(server.stop)
    lab.servers = servers
    agent = lab.make_agent(accounts(lab, servers), sockets=[lab.socket])
    for name, point in lab.points.items():
        agent.do("import", name, give=point.refresh_token, agent=False)
    agent.start()
    for name in ("first", *REFUSED):    # first's connection is kept
        agent.cli("refresh", name)
    return lab


def status(agent, name: str) -> dict:
    return json.loads(agent.cli("status", "--json", name).stdout)[0]


def login(lab, name: str) -> str:
    """What a program on libsasl2 is told."""
    return subprocess.run(
        [BUILD / "tests/system/hosts/saslhost", "-a", name, "-u", name, "-w",
         "mailtoken:"], timeout=20, text=True, stdout=subprocess.PIPE,
        env=client_environment(SASL_PATH=str(lab.plugins(BUILD)),
                               MAILTOKEN_SOCKET=str(lab.socket))).stdout


@pytest.mark.parametrize("name", REFUSED)
def test_refused_with_the_reason_everywhere(world, name):
    agent, words = world.agent, REFUSED[name]
    row = status(agent, name)
    assert words in row["text"], row
    assert row["state"] == "config" and row["expires_at"] == 0
    assert words in agent.cli("status").stdout
    said = agent.events("change-needed", name)
    assert len(said) == 1 and words in said[0]["text"]
    told = login(world, name)
    assert words in told and "token_len" not in told, told
    done = agent.cli("refresh", name, agent=False)      # the command alone
    assert done.returncode == EX_CONFIG and words in done.stderr, done.stderr


def test_what_was_refused_was_told_nothing(world):
    for name in REFUSED:
        redirected = name.startswith("redirect")
        assert (world.points[name].count > 0) == redirected, name
    assert world.landed.count == 0


def test_old_servers_would_have_answered(world):
    """Who lets TLS 1.0 and 1.1 pass, gets through to them."""
    for name, version in ("tls-1.0", "TLSv1"), ("tls-1.1", "TLSv1.1"):
        context = ssl.create_default_context(cafile=world.ca.certificate)
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = ssl.TLSVersion.TLSv1
        port = world.servers[name].server.server_port
        with socket.create_connection(("127.0.0.1", port), 10) as plain:
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as s:
                assert s.version() == version


def test_each_account_has_its_own_ca(world):
    """first's and other-ca's are the same server: a connection that one has
    verified does not serve the other."""
    for name in "first", "second":
        world.agent.do("refresh", name)
        assert "token_len" in login(world, name)
        assert world.points[name].count > 0
    world.agent.do("refresh", "first")
    assert world.agent.cli("refresh", "other-ca").returncode == EX_CONFIG
    assert world.points["other-ca"].count == 0


@pytest.mark.parametrize("keys", [
    {"token_endpoint": "http://127.0.0.1/token"},
    {"token_endpoint": f"http://{PROVIDER}/token", "insecure_http": "yes"},
    {"token_endpoint": "http://127.0.0.1.contoso.example/token",
     "insecure_http": "yes"},
    {"issuer": f"http://{PROVIDER}/"},
])
def test_http_is_refused(world, keys):
    """And nobody needs to try it: the configuration is not taken."""
    conf = world.directory / "http.conf"
    conf.write_text("[account x]\nprovider = custom\ngrant = refresh_token\n"
                    "client_id = native\n" + "".join(
                        f"{k} = {v}\n" for k, v in keys.items()))
    conf.chmod(0o600)
    done = world.agent.cli("check", conf)
    assert done.returncode == EX_CONFIG
    said = done.stdout + done.stderr
    assert f"{conf}:" in said and WRITE in said
    done = subprocess.run([BUILD / "mailtokend", "-n", "-c", conf], timeout=10,
                          text=True, capture_output=True)
    assert done.returncode == EX_CONFIG and WRITE in done.stderr


@pytest.fixture
def proxied(shared_lab):
    """An agent whose only way out is a proxy, to a provider that only the
    proxy knows how to reach."""
    lab = shared_lab
    server = TlsFault(*issue(lab.ca, "provider", "DNS:" + PROVIDER),
                      host=PROVIDER)
    proxy = Proxy(server.server.server_port)
    point = server.endpoint("proxied", mode="rotate")
    name = f"agent-{proxy.port}"
    agent = lab.make_agent({}, name, [lab.directory / f"{name}.d" / "sock"])
    agent.accounts[ACCOUNT] = lab.faulty(
        point, ca_file=lab.ca.certificate,
        client_secret=agent.secret("secret", idp.CLIENT_SECRET))
    del agent.accounts[ACCOUNT]["insecure_http"]
    agent.write()
    agent.environment = {
        "HTTPS_PROXY": f"http://relay:{PROXY_PASSWORD}@127.0.0.1:{proxy.port}"}
    agent.do("import", ACCOUNT, give=point.refresh_token, agent=False)
    yield agent, proxy, point
    agent.stop()
    proxy.stop()
    server.stop()


def forms(secret: str) -> set:
    return {secret, urllib.parse.quote_plus(secret), urllib.parse.quote(secret),
            base64.b64encode(secret.encode()).decode().rstrip("=")}


def test_a_proxy_passes_on_and_sees_nothing(proxied):
    agent, proxy, point = proxied
    agent.start()
    until(lambda: status(agent, ACCOUNT)["state"] == "ok", 15, "a token")
    agent.do("refresh", ACCOUNT)
    assert agent.do("token", ACCOUNT).strip() == point.access_tokens[-1]
    agent.stop()
    agent.do("refresh", ACCOUNT, agent=False)       # the command, too
    assert point.count == 3
    for head in proxy.heads:
        lines = head.splitlines()
        assert lines[0].startswith(f"CONNECT {PROVIDER}:"), head
        assert any(line.startswith("Proxy-Authorization: Basic ")
                   for line in lines)
    seen = "".join(proxy.heads) + proxy.passed.decode("latin-1")
    assert len(proxy.passed) > 3000
    secrets = [*point.secrets, idp.CLIENT_SECRET]
    assert len(secrets) > 6
    assert not [s[:6] for s in secrets if any(f in seen for f in forms(s))]
    assert PROXY_PASSWORD not in agent.text() + agent.cli("status").stderr


@pytest.mark.parametrize("answer, state", [(407, "config"), (502, "retry")])
def test_a_proxy_that_refuses_is_named(proxied, answer, state):
    agent, proxy, point = proxied
    proxy.refuse = answer
    agent.start()
    agent.cli("refresh", ACCOUNT)
    row = status(agent, ACCOUNT)
    assert row["state"] == state, row
    assert "proxy" in row["text"] and str(answer) in row["text"]
    assert point.count == 0
    assert PROXY_PASSWORD not in agent.text() + row["text"]
    proxy.refuse = None
    assert agent.cli("refresh", ACCOUNT).returncode == EX_OK


def test_a_proxy_with_a_certificate_of_its_own_is_refused(proxied, world):
    """One that wants to listen in, as firewalls do."""
    agent, proxy, point = proxied
    mitm = TlsFault(*issue(world.second_ca, "mitm", "DNS:" + PROVIDER))
    proxy.to = mitm.server.server_port
    stolen = mitm.endpoint("proxied")
    agent.start()
    agent.cli("refresh", ACCOUNT)
    assert "not trusted by ca_file" in status(agent, ACCOUNT)["text"]
    assert stolen.count == 0 and point.count == 0
    mitm.stop()
