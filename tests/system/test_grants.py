"""Every grant, by the agent and by the command without it; and what a
certificate, a federated token or a slow command does to them."""

import grp
import json
import re
import subprocess
import time

import pytest

from lab import azure, idp, tenant
from lab.agent import EX_CONFIG, EX_OK, EX_TEMPFAIL, USER, ensure_user
from lab.azure import APP_SERVICE, FEDERATION, METADATA, RESOURCE
from lab.lab import ACCOUNT
from lab.marks import unwatched
from lab.wait import until

OTHER = "other@contoso.example"
NO_PROXY_HERE = "http://127.0.0.1:1"    # nobody listens there
# Runs a program that sees a directory of ours as /var/opt.
IN_ARC = ["unshare", "--mount", "sh", "-c",
          'mount --bind "$0" /var/opt && exec "$@"']


@pytest.fixture(scope="module")
def clouds(shared_lab):
    """A lab with the identity provider and Azure's endpoints."""
    ensure_user()
    shared_lab.start_idp()
    shared_lab.arc = shared_lab.directory / "arc"
    keys = shared_lab.arc / "azcmagent" / "tokens"
    keys.mkdir(parents=True)
    shared_lab.azure = azure.Azure(keys, grp.getgrnam(USER).gr_gid)
    shared_lab.ends.callback(shared_lab.azure.stop)
    return shared_lab


@pytest.fixture
def fresh(clouds, request):
    """Returns an agent that is configured by a function of its lab."""
    azure_ = clouds.azure
    azure_.refuse = azure_.realm = None
    azure_.deaf = False
    azure_.asked.clear()
    made = []

    def make(accounts=None, **settings):
        name = f"agent-{len(list(clouds.directory.iterdir()))}"
        agent = clouds.make_agent(
            accounts or {}, name,
            [clouds.directory / f"{name}.sock.d" / "agent.sock"], **settings)
        made.append(agent)
        return agent
    yield make
    for agent in made:
        agent.stop()


def configure(agent, **keys):
    agent.accounts[ACCOUNT] = keys
    agent.write()


def app(lab, agent, **more):
    configure(agent, **lab.app_only(agent, **more))


def service_account(lab, agent):
    uri = lab.idp.google_token_endpoint
    configure(agent, provider="custom", grant="jwt_bearer", subject=ACCOUNT,
              token_endpoint=uri, scope=idp.MAIL_SCOPE,
              ca_file=lab.ca.certificate,
              service_account_key=agent.secret(
                  "service.json", lab.idp.application.service_account(uri)))


def secret_by_command(lab, agent):
    """One that takes time, and has every character that is difficult."""
    program = agent.directory / "vault"
    program.write_text("#!/bin/sh\nsleep 0.2\nread line </dev/stdin\n"
                       f"test \"$1\" = relay && cat {agent.directory}/kept\n")
    program.chmod(0o755)
    agent.secret("kept", idp.CLIENT_SECRET)
    configure(agent, **lab.delegated(
        grant="client_credentials", client_id="daemon-basic",
        client_auth="basic", scope=idp.APP_SCOPE,
        client_secret=f"command:{program} relay"))


def federated(lab, agent):
    path = agent.directory / "federated-token"
    lab.azure.assertion = "eyJ.one.sig"
    path.write_text(lab.azure.assertion)
    configure(agent, provider="custom", grant="workload_identity",
              client_id="app", client_assertion_file=path, insecure_http="yes",
              token_endpoint=lab.azure.url + FEDERATION,
              scope=RESOURCE + "/.default")


def machine(agent, **more):
    """An account with nothing to say but whose it is."""
    configure(agent, provider="microsoft", grant="managed_identity", **more)


def imds(lab, agent):
    agent.environment = {"AZURE_POD_IDENTITY_AUTHORITY_HOST": lab.azure.url,
                         "http_proxy": NO_PROXY_HERE,
                         "ALL_PROXY": NO_PROXY_HERE}
    machine(agent, identity="client_id:11111111-2222-3333-4444-555555555555")


def app_service(lab, agent):
    agent.environment = {"IDENTITY_ENDPOINT": lab.azure.url + APP_SERVICE,
                         "IDENTITY_HEADER": lab.azure.identity_header,
                         "http_proxy": NO_PROXY_HERE}
    machine(agent, identity="resource_id:/subscriptions/1/x")


def arc(lab, agent):
    agent.environment = {"IDENTITY_ENDPOINT": lab.azure.url + METADATA,
                         "IMDS_ENDPOINT": lab.azure.url}
    agent.wrapper = [*IN_ARC, lab.arc]
    machine(agent)


AT_PROVIDER = {
    "certificate PS256": app,
    "certificate RS256":
        lambda lab, agent: app(lab, agent, assertion_algorithm="RS256"),
    "encrypted key": lambda lab, agent: app(lab, agent, encrypted=True),
    "service account": service_account,
    "secret by a command": secret_by_command,
}
# What the endpoint is asked with besides.
AT_AZURE = {
    "federation": (federated, FEDERATION, "client_id", "app"),
    "IMDS": (imds, METADATA, "client_id",
             "11111111-2222-3333-4444-555555555555"),
    "App Service": (app_service, APP_SERVICE, "mi_res_id",
                    "/subscriptions/1/x"),
    "Arc": (arc, METADATA, "resource", RESOURCE),
}


def both_ways(agent, good) -> list:
    """A token without the agent, then two by it; good() knows a token."""
    tokens = [agent.do("token", ACCOUNT, agent=False).strip()]
    agent.start()
    assert agent.do("token", ACCOUNT).strip() == tokens[0]      # from disk
    for _ in range(2):
        agent.do("refresh", ACCOUNT)
        tokens.append(agent.do("token", ACCOUNT).strip())
    assert len(set(tokens)) == 3 and all(map(good, tokens))
    log = agent.text()
    assert not [token for token in tokens if token in log]
    return tokens


def status(agent, name: str = ACCOUNT) -> dict:
    rows = json.loads(agent.cli("status", "--json", name).stdout)
    return rows[0]


@pytest.mark.parametrize("case", AT_PROVIDER)
def test_grant_at_a_provider(clouds, fresh, case):
    agent = fresh()
    AT_PROVIDER[case](clouds, agent)
    assert agent.cli("check").returncode == EX_OK
    before = len(clouds.idp.requests())
    both_ways(agent, clouds.idp.expires)
    asked = clouds.idp.requests()[before:]
    assert len(asked) == 3 and not any(r["error"] for r in asked), asked
    assert status(agent)["grant"] == agent.accounts[ACCOUNT]["grant"]


@pytest.mark.parametrize("case", AT_AZURE)
def test_grant_at_azure(clouds, fresh, case):
    make, path, key, value = AT_AZURE[case]
    agent = fresh()
    make(clouds, agent)
    assert agent.cli("check").returncode == EX_OK
    both_ways(agent, clouds.azure.issued.__contains__)
    assert [p for p, _ in clouds.azure.asked] == [path] * 3
    assert all(form[key] == value for _, form in clouds.azure.asked)
    row = status(agent)
    life = row["expires_at"] - time.time()
    if path == FEDERATION:
        assert 3500 < life <= 3600
    else:
        assert 86000 < life <= 86400
        # Half-way, since nobody said when; the jitter is a tenth.
        assert 30000 < row["next_at"] - time.time() < 50000
    log = agent.text()
    assert not [s for s in [*clouds.azure.secrets,
                            clouds.azure.identity_header] if s in log]


def test_arc_is_challenged_each_time_and_reads_no_other_file(clouds, fresh):
    agent = fresh()
    arc(clouds, agent)
    before = clouds.azure.challenges
    agent.do("refresh", ACCOUNT, agent=False)
    agent.do("refresh", ACCOUNT, agent=False)
    assert clouds.azure.challenges == before + 2
    clouds.azure.deaf = True        # challenges for ever
    done = agent.cli("refresh", ACCOUNT, agent=False)
    assert done.returncode == EX_CONFIG and "status 401" in done.stderr
    assert clouds.azure.challenges == before + 4
    clouds.azure.deaf = False
    for realm in ("/etc/shadow", azure.TOKENS + "/../../../../etc/x.key",
                  azure.TOKENS + "/gone.key"):
        clouds.azure.realm = realm
        done = agent.cli("refresh", ACCOUNT, agent=False)
        assert done.returncode == EX_CONFIG, done.stderr
    assert "gone.key: No such file" in done.stderr


@pytest.mark.parametrize("answer, code, words", [
    ((400, {"error": "invalid_request",
            "error_description": "Identity not found"}), EX_CONFIG,
     "IMDS answered with status 400, invalid_request: Identity not found"),
    ((429, {}), EX_TEMPFAIL, "status 429"),
    ((410, {}), EX_TEMPFAIL, "status 410"),
    ((404, {}), EX_TEMPFAIL, "status 404"),
    ((503, {}), EX_TEMPFAIL, "status 503"),
])
def test_identity_refused(clouds, fresh, answer, code, words):
    agent = fresh()
    imds(clouds, agent)
    clouds.azure.refuse = answer
    done = agent.cli("token", ACCOUNT, agent=False)
    assert done.returncode == code and words in done.stderr, done.stderr
    assert done.stdout == ""


def test_federated_token_is_read_again(clouds, fresh):
    agent = fresh()
    federated(clouds, agent)
    path = agent.accounts[ACCOUNT]["client_assertion_file"]
    agent.start()
    until(lambda: status(agent)["state"] == "ok", 10, "a first token")
    # As kubelet does it: a new one, which the old one's end makes urgent.
    clouds.azure.assertion = "eyJ.two.sig"
    done = agent.cli("refresh", ACCOUNT)
    assert done.returncode == EX_CONFIG and "AADSTS700213" in done.stderr
    path.write_text("eyJ.two.sig\n")
    agent.do("refresh", ACCOUNT)
    # While it is being replaced.
    for text in ("", None):
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
        done = agent.cli("refresh", ACCOUNT, agent=False)
        assert done.returncode == EX_TEMPFAIL and str(path) in done.stderr
        done = agent.cli("refresh", ACCOUNT)    # what there is will do
        assert done.returncode == EX_TEMPFAIL and str(path) in done.stderr
        row = status(agent)
        assert row["state"] == "retry" and str(path) in row["text"]
        assert agent.do("token", ACCOUNT).strip() == clouds.azure.issued[-1]


@unwatched
def test_slow_command_holds_up_nobody(clouds, fresh):
    agent = fresh()
    program = agent.directory / "slow"
    started = agent.directory / "started.d" / "yes"
    started.parent.mkdir()
    started.parent.chmod(0o777)
    program.write_text(f"#!/bin/sh\n: >{started}\nsleep 4\n"
                       f"cat {agent.directory}/kept\n")
    program.chmod(0o755)
    agent.secret("kept", idp.CLIENT_SECRET)
    federated(clouds, agent)
    agent.accounts[OTHER] = clouds.delegated(
        grant="client_credentials", client_id="daemon-secret",
        scope=idp.APP_SCOPE, client_secret=f"command:{program}")
    agent.write()
    agent.start()
    until(started.exists, 10, "the command's start")
    begin = time.monotonic()
    agent.do("refresh", ACCOUNT)
    agent.do("token", ACCOUNT)
    assert status(agent, OTHER)["state"] == "new"
    assert time.monotonic() - begin < 2
    until(lambda: status(agent, OTHER)["state"] == "ok", 10, "the secret")


@pytest.mark.parametrize("program, words", [
    ("/bin/false --password=sesame", "/bin/false"),
    ("/nowhere/vault sesame", "/nowhere/vault"),
    ("/bin/true sesame", "/bin/true"),
])
def test_command_that_fails(clouds, fresh, program, words):
    agent = fresh()
    configure(agent, **clouds.delegated(
        grant="client_credentials", client_id="daemon-secret",
        scope=idp.APP_SCOPE, client_secret=f"command:{program}"))
    agent.start()
    for by_agent in (True, False):
        done = agent.cli("token", ACCOUNT, agent=by_agent)
        assert done.returncode == EX_CONFIG and words in done.stderr
        assert "sesame" not in done.stderr + agent.text()
        assert f"{agent.conf}:" in done.stderr


def test_what_ends_soon_is_said(clouds, fresh):
    agent = fresh()
    certificate, key = tenant.certificate(agent.directory, "ending", 20)
    for path in (certificate, key):
        path.chmod(0o644 if path == certificate else 0o600)
        subprocess.run(["chown", USER, path], check=True, timeout=10)
    configure(agent, **clouds.delegated(
        grant="client_credentials", client_id="daemon-cert",
        scope=idp.APP_SCOPE, client_certificate=certificate, client_key=key))
    tomorrow = time.strftime("%Y-%m-%d", time.gmtime(time.time() + 2 * 86400))
    agent.accounts[OTHER] = clouds.delegated(
        grant="client_credentials", client_id="daemon-secret",
        scope=idp.APP_SCOPE, client_secret_expires=tomorrow,
        client_secret=agent.secret("kept", idp.CLIENT_SECRET))
    agent.write()
    agent.start()
    row = status(agent)
    assert row["credential"] == "certificate"
    assert 19 * 86400 < row["credential_expires_at"] - time.time() <= 20 * 86400
    assert row["login_idle_at"] == 0
    table = agent.cli("status").stdout
    assert re.search("^    certificate ends in (19|20) days$", table, re.M)
    assert "client secret ends in" in table
    assert "client_credentials" in table
    agent.do("reload")
    agent.cli("refresh", OTHER)
    said = {line["account"]: line for line in agent.events("expires")}
    assert len(agent.events("expires")) == 2
    assert said[ACCOUNT]["what"] == "certificate"
    assert said[ACCOUNT]["days"] in ("19", "20")
    assert str(certificate) in said[ACCOUNT]["text"]
    assert said[OTHER]["what"] == "client_secret"
    # A new one, and nobody needs to be told.
    tenant.certificate(agent.directory, "ending", 90)
    subprocess.run(["chown", USER, certificate, key], check=True, timeout=10)
    agent.do("reload")
    until(lambda: status(agent)["credential_expires_at"] - time.time()
          > 80 * 86400, 10, "the new certificate in status")
    assert "certificate ends" not in agent.cli("status").stdout


@pytest.mark.parametrize("ago, words", [(1, None), (170, "9 days"),
                                        (181, "not used for too long")])
def test_a_login_that_idles_is_said(fresh, ago, words):
    """Google forgets a login after 180 days; it is not asked here, since the
    way there is a proxy that nobody runs."""
    agent = fresh()
    agent.environment = {"https_proxy": NO_PROXY_HERE}
    configure(agent, provider="google", grant="refresh_token", client_id="app",
              client_secret=agent.secret("kept", "any"))
    agent.do("import", ACCOUNT, give="1//rt", agent=False)
    used = int(time.time()) - ago * 86400 - 60
    agent.change_grant(ACCOUNT, login_at=used)
    agent.start()
    assert status(agent)["login_idle_at"] == used + 180 * 86400
    table = agent.cli("status").stdout
    assert ("login" in table) == (words is not None)
    assert words is None or words in table
