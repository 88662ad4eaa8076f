"""mailtoken inspect: what is in an access token, and what is wrong with it."""

import base64
import json
import re
import secrets
import time

import pytest

from lab.agent import EX_CONFIG, EX_OK, EX_TEMPFAIL, EX_USAGE

PERSON = "relay@contoso.example"
ROBOT = "robot"
TENANT = "aaaaaaaa-1111-2222-3333-444444444444"
APP = "11111111-2222-3333-4444-555555555555"
OBJECT = "99999999-8888-7777-6666-555555555555"
OFFICE = "https://outlook.office.com"
OFFICE365 = "https://outlook.office365.com"


def jwt(claims: dict) -> str:
    """Of the shape of Entra ID's; nobody verifies the signature."""
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
    header = {"typ": "JWT", "alg": "RS256", "kid": "lab"}
    return ".".join((part(json.dumps(header).encode()),
                     part(json.dumps(claims).encode()),
                     part(secrets.token_bytes(256))))


def claims(**more) -> dict:
    now = int(time.time())
    return {"aud": OFFICE, "iss": f"https://sts.windows.net/{TENANT}/",
            "iat": now - 60, "nbf": now - 60, "exp": now + 3600,
            "app_displayname": "Mail relay", "appid": APP, "oid": OBJECT,
            "tid": TENANT, "ver": "1.0"} | more


def person(**more) -> dict:
    return claims(upn=PERSON, idtyp="user",
                  scp="IMAP.AccessAsUser.All SMTP.Send") | more


def robot(**more) -> dict:
    return claims(aud=OFFICE365, idtyp="app", sub=OBJECT,
                  roles=["IMAP.AccessAsApp", "SMTP.SendAsApp"]) | more


@pytest.fixture(scope="module")
def world(shared_lab):
    lab = shared_lab
    lab.start_fault()
    lab.points = {name: lab.fault.endpoint(name) for name in (PERSON, ROBOT)}
    agent = lab.make_agent({
        PERSON: lab.faulty(lab.points[PERSON], services="smtp imap",
                           client_id=APP, allow="nobody"),
        ROBOT: lab.faulty(lab.points[ROBOT], services="smtp imap",
                          grant="client_credentials", client_id=APP)},
        sockets=[lab.socket])
    agent.accounts[ROBOT]["client_secret"] = agent.secret("robot", "secret")
    agent.write()
    agent.do("import", PERSON, give=lab.points[PERSON].refresh_token,
             agent=False)
    agent.start()
    return lab


def give(world, account: str, token: str):
    world.points[account].access_token = token
    world.agent.do("refresh", account)


def inspect(world, account: str, token: str, *arguments, **kw):
    """The command's end; the token is in none of its words."""
    give(world, account, token)
    done = world.agent.cli("inspect", account, *arguments, **kw)
    for text in (done.stdout, done.stderr):
        for part in token.split("."):
            assert part not in text
    return done


def read(world, account: str, claims_: dict, *arguments) -> dict:
    done = inspect(world, account, jwt(claims_), "--json", *arguments)
    answer = json.loads(done.stdout)
    answer["status"] = done.returncode
    answer["keys"] = [f["key"] for f in answer["findings"]]
    return answer


def test_a_good_delegated_token(world):
    answer = read(world, PERSON, person())
    assert (answer["status"], answer["keys"]) == (EX_OK, [])
    assert answer["audience"] == OFFICE
    assert answer["app_id"] == APP and answer["app_name"] == "Mail relay"
    assert answer["tenant"] == TENANT and answer["user"] == PERSON
    assert answer["object_id"] == OBJECT
    assert answer["scopes"] == ["IMAP.AccessAsUser.All", "SMTP.Send"]
    assert answer["roles"] == [] and answer["powershell"] == []
    assert not answer["app_only"] and not answer["opaque"]
    assert abs(answer["expires_at"] - time.time() - 3600) < 60


def test_for_people(world):
    done = inspect(world, PERSON, jwt(person(aud="https://graph.microsoft.com",
                                             scp="Mail.Send")))
    assert done.returncode == EX_CONFIG
    lines = done.stdout.splitlines()
    assert lines[0].startswith("WARNING: the token is for Microsoft Graph")
    assert lines[1].startswith("    to do: ")
    assert "for (audience)  https://graph.microsoft.com" in lines
    assert any(re.fullmatch(r"expires +\S+ \S+ UTC \(in (59|60) min\)", line)
               for line in lines)


@pytest.mark.parametrize("change, status, keys", [
    ({"aud": "00000003-0000-0000-c000-000000000000"}, EX_CONFIG,
     ["audience_graph"]),
    ({"aud": "https://graph.microsoft.com"}, EX_CONFIG, ["audience_graph"]),
    ({"aud": "https://management.azure.com"}, EX_CONFIG, ["audience"]),
    ({"aud": "00000002-0000-0ff1-ce00-000000000000"}, EX_OK, []),
    ({"aud": "https://partner.outlook.cn"}, EX_OK, []),
    ({"scp": "SMTP.Send"}, EX_CONFIG, ["missing_permission"]),
    ({"appid": OBJECT}, EX_CONFIG, ["client_id"]),
    ({"exp": 1700000000}, EX_TEMPFAIL, ["expired"]),
    ({"upn": "anna@contoso.example"}, EX_OK, ["other_user"])])
def test_what_is_wrong_with_a_delegated_token(world, change, status, keys):
    answer = read(world, PERSON, person(**change))
    assert (answer["status"], answer["keys"]) == (status, keys)
    for finding in answer["findings"]:
        assert finding["cause"] and finding["todo"]


def test_an_application_gets_its_powershell(world):
    answer = read(world, ROBOT, robot(), "--mailbox", "info@contoso.example")
    assert (answer["status"], answer["keys"]) == (EX_OK, [])
    assert answer["app_only"]
    assert answer["roles"] == ["IMAP.AccessAsApp", "SMTP.SendAsApp"]
    assert answer["powershell"] == [
        "Connect-ExchangeOnline",
        f"New-ServicePrincipal -AppId {APP} -ObjectId {OBJECT}",
        "Add-MailboxPermission -Identity 'info@contoso.example' -User "
        f"{OBJECT} -AccessRights FullAccess",
        "Add-RecipientPermission -Identity 'info@contoso.example' -Trustee "
        f"{OBJECT} -AccessRights SendAs -Confirm:$false",
        "Set-CASMailbox -Identity 'info@contoso.example' "
        "-SmtpClientAuthenticationDisabled $false",
        "Get-TransportConfig | Format-List SmtpClientAuthenticationDisabled"]
    done = inspect(world, ROBOT, jwt(robot()))
    for line in answer["powershell"]:
        assert ("    " + line.replace("'info@contoso.example'", "<MAILBOX>")
                in done.stdout.splitlines())


def test_an_application_without_roles(world):
    answer = read(world, ROBOT, robot(roles=[]))
    assert answer["status"] == EX_CONFIG
    assert answer["keys"] == ["missing_permission"] * 2
    answer = read(world, ROBOT, robot(roles=["IMAP.AccessAsApp",
                                             "Mail.Send"]))
    assert answer["keys"] == ["missing_permission"]
    assert "High Volume Email" in answer["findings"][0]["todo"]


def test_a_hostile_token(world):
    """What is in a token comes from strangers."""
    evil = robot(appid="x; Remove-Mailbox anna", oid=OBJECT + "\n; rm",
                 app_displayname="\x1b]0;title\x07\x1b[2J\u009b31m",
                 roles=["\x1b[31m", "SMTP.SendAsApp"] * 300)
    done = inspect(world, ROBOT, jwt(evil))
    assert not any(ord(c) < 0x20 and c != "\n" or ord(c) > 0x7e
                   for c in done.stdout)
    script = done.stdout.partition("PowerShell")[2]
    assert "Remove-Mailbox" not in script and "rm" not in script.split()
    assert "-AppId <APPLICATION_ID>" in script


@pytest.mark.parametrize("token", [
    "ya29." + secrets.token_urlsafe(60), "at-" + secrets.token_urlsafe(40),
    "EwB" + secrets.token_urlsafe(300), "a.b.c", "eyJhbGciOiJub25lIn0.bm8.x",
    "one.two.three.four.five"],
    ids=["google", "provider", "outlook", "letters", "unsigned", "five"])
def test_an_opaque_token(world, token):
    give(world, PERSON, token)
    done = world.agent.cli("inspect", PERSON)
    assert done.returncode == EX_OK and token not in done.stdout
    assert "opaque" in done.stdout
    assert "provider        custom" in done.stdout
    answer = json.loads(world.agent.do("inspect", PERSON, "--json"))
    assert answer["opaque"] and answer["account"] == PERSON
    assert abs(answer["expires_at"] - time.time() - 3600) < 60


def test_without_the_agent(world):
    """The same from the state, by the same core."""
    give(world, PERSON, jwt(person()))
    done = world.agent.cli("inspect", PERSON, "--json", agent=False)
    assert done.returncode == EX_OK
    assert json.loads(done.stdout)["user"] == PERSON


def test_who_may_not_read_the_configuration(world):
    """The agent knows who may have the token; that is enough."""
    give(world, PERSON, jwt(person(appid=OBJECT)))
    done = world.agent.cli("inspect", PERSON, "--json", user="nobody")
    assert done.returncode == EX_OK, done.stderr
    answer = json.loads(done.stdout)
    assert answer["user"] == PERSON and answer["findings"] == []


@pytest.mark.parametrize("arguments", [
    [], ["a", "b"], [PERSON, "--mailbox"], [PERSON, "--nonsense"],
    [PERSON, "--mailbox", "anna"], [PERSON, "--mailbox", "a'; b@x"],
    [PERSON, "--mailbox", "a$(x)@y"]])
def test_wrong_usage(world, arguments):
    done = world.agent.cli("inspect", *arguments)
    assert done.returncode == EX_USAGE and done.stderr
