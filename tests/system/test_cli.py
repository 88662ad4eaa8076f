"""mailtoken: bad input, exit codes, what is data and what is words."""

import json
import os
import re

import pytest

from lab.agent import EX_CONFIG, EX_NOPERM, EX_OK, EX_TEMPFAIL, EX_USAGE
from lab.lab import ACCOUNT

SECRET = "never-to-be-seen"

GOOD = """\
[agent]
listen = {dir}/agent.sock
state_dir = {dir}/state
user = mailtoken

[account a@contoso.example]
provider = microsoft
grant = refresh_token
tenant = contoso.example
services = smtp
client_id = 11111111-2222-3333-4444-555555555555
client_secret = file:{dir}/good.secret
"""

# What to replace in GOOD, by what; the line that must be named (0: none),
# and words of the complaint.
BAD = {
    "unknown key": ("services = smtp", "servces = smtp", 10, "servces"),
    "repeated key": ("services = smtp", "services = smtp\nservices = imap",
                     11, "services"),
    "repeated section": ("good.secret\n",
                         "good.secret\n[account a@contoso.example]\nx = 1\n",
                         13, "a@contoso.example"),
    "unknown section": ("[agent]", "[agnet]", 1, "unknown section"),
    "missing tenant": ("tenant = contoso.example\n", "", 6, "tenant"),
    "missing provider": ("provider = microsoft\n", "", 6, "provider"),
    "unknown provider": ("= microsoft", "= microsft", 7, "provider"),
    "missing client_id": ("client_id", "#client_id", 6, "client_id"),
    "slash in a name": ("account a@", "account a/b@", 6, "name"),
    "control character in a name": ("account a@", "account a\x01@", 6,
                                    "control character"),
    "dots as a name": ("account a@contoso.example", "account ..", 6, "name"),
    "secret in the file": ("file:{dir}/good.secret", SECRET, 12, "file:"),
    "missing secret": ("good.secret", "missing.secret", 12, "missing.secret"),
    "group-readable secret": ("good.secret", "group.secret", 12, "chmod 600"),
    "world-readable secret": ("good.secret", "world.secret", 12, "chmod 600"),
    "empty secret": ("good.secret", "empty.secret", 12, "empty"),
    "secret is a pipe": ("good.secret", "pipe.secret", 12, "regular file"),
    "unknown user": ("user = mailtoken", "admin = no-such-user", 4,
                     "no-such-user"),
    "not a key": ("services = smtp", "services", 10, ""),
}


@pytest.fixture(scope="module")
def configuration(shared_lab):
    """Returns a function: text -> path of a configuration with that text."""
    agent = shared_lab.make_agent({})
    for name, text, mode in (("good", SECRET, 0o600), ("empty", "", 0o600),
                             ("group", SECRET, 0o640),
                             ("world", SECRET, 0o604)):
        agent.secret(f"{name}.secret", text, mode)
    (agent.directory / "empty.secret").write_text("")
    os.mkfifo(agent.directory / "pipe.secret", 0o600)

    def write(text: str) -> "Agent":
        agent.write_text(text.replace("{dir}", str(agent.directory)))
        return agent
    return write


def test_good_configuration(configuration):
    done = configuration(GOOD).cli("check")
    assert done.returncode == EX_OK, done.stderr


@pytest.mark.parametrize("case", BAD)
def test_bad_configuration(configuration, case):
    old, new, line, words = BAD[case]
    assert old in GOOD
    agent = configuration(GOOD.replace(old, new, 1))
    done = agent.cli("check", timeout=10)
    assert done.returncode == EX_CONFIG
    assert f"{agent.conf}:{line}: " in done.stderr
    assert words in done.stderr
    assert SECRET not in done.stderr + done.stdout
    assert "\x01" not in done.stderr


def test_every_error_is_reported(configuration):
    agent = configuration(GOOD.replace("[agent]", "[agent]\nx = 1").replace(
        "tenant = contoso.example", "y = 2"))
    done = agent.cli("check")
    lines = set(re.findall(rf"{agent.conf}:(\d+): ", done.stderr))
    assert {"2", "10"} <= lines and done.returncode == EX_CONFIG


def test_check_takes_a_file(configuration):
    agent = configuration(GOOD)
    other = agent.directory / "other.conf"
    other.write_text(GOOD.replace("services", "servces"))
    done = agent.cli("check", str(other))
    assert done.returncode == EX_CONFIG and f"{other}:10: " in done.stderr


def test_writable_configuration_is_refused(configuration):
    agent = configuration(GOOD)
    agent.conf.chmod(0o666)
    done = agent.cli("check")
    assert done.returncode == EX_CONFIG and "chmod" in done.stderr


def test_usage(configuration):
    agent = configuration(GOOD)
    for arguments in ([], ["dance"], ["token"], ["import", "a", "b"], ["-x"]):
        done = agent.cli(*arguments)
        assert done.returncode == EX_USAGE, (arguments, done.stderr)
        assert done.stdout == "" and done.stderr


@pytest.fixture
def working(lab):
    lab.start_fault()
    lab.endpoint = lab.fault.endpoint("one")
    lab.make_agent({ACCOUNT: lab.faulty(lab.endpoint)})
    return lab


def test_import_and_token_without_agent(working):
    agent, endpoint = working.agent, working.endpoint
    done = agent.cli("import", ACCOUNT, agent=False,
                     give=endpoint.refresh_token + "\n")
    assert (done.returncode, done.stdout) == (EX_OK, "")
    token = agent.do("token", ACCOUNT, agent=False)
    assert token == endpoint.access_tokens[-1] + "\n"
    assert agent.do("token", ACCOUNT, agent=False) == token
    assert endpoint.count == 1


def test_token_with_agent(working):
    agent, endpoint = working.agent, working.endpoint
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.start()
    token = agent.do("token", ACCOUNT)
    assert token == endpoint.access_tokens[-1] + "\n"
    agent.do("refresh", ACCOUNT)
    assert agent.do("token", ACCOUNT) == endpoint.access_tokens[-1] + "\n"
    assert endpoint.count == 2


@pytest.mark.parametrize("given", ["", "\n", "two words", "a\x01b", "a\nb\n",
                                   "x" * 100000])
def test_import_of_nonsense(working, given):
    agent = working.agent
    done = agent.cli("import", ACCOUNT, give=given, agent=False)
    assert done.returncode == EX_CONFIG, done.stderr
    assert not list(agent.state.glob("*.grant"))


def test_import_of_an_unknown_account(working):
    done = working.agent.cli("import", "who@contoso.example", give=SECRET)
    assert done.returncode == EX_CONFIG
    assert "who@contoso.example" in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.parametrize("with_agent", [True, False])
@pytest.mark.parametrize("mode, code", [
    ("500", EX_TEMPFAIL),
    ("html", EX_TEMPFAIL),
    ("700082", EX_NOPERM),
    ("7000215", EX_CONFIG),
])
def test_exit_codes(working, mode, code, with_agent):
    agent, endpoint = working.agent, working.endpoint
    endpoint.mode = mode
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    if with_agent:
        agent.start()
    done = agent.cli("token", ACCOUNT, agent=with_agent)
    assert done.returncode == code, done.stderr
    assert done.stdout == "" and ACCOUNT in done.stderr


def test_not_logged_in_yet(working):
    working.agent.start()
    done = working.agent.cli("token", ACCOUNT)
    assert done.returncode == EX_NOPERM
    assert f"mailtoken login {ACCOUNT}" in done.stderr
    assert working.endpoint.count == 0


def test_status(working):
    agent, endpoint = working.agent, working.endpoint
    agent.accounts["dead@contoso.example"] = working.faulty(
        working.fault.endpoint("dead", mode="700082"))
    agent.write()
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.do("import", "dead@contoso.example", agent=False, give="dead")
    agent.start()
    agent.do("token", ACCOUNT)
    agent.cli("token", "dead@contoso.example")
    done = agent.cli("status", "--json")
    assert done.returncode == EX_NOPERM     # the worst that it tells of
    accounts = {row["account"]: row for row in json.loads(done.stdout)}
    assert accounts[ACCOUNT]["state"] == "ok"
    assert accounts[ACCOUNT]["expires_at"] > 0
    assert accounts["dead@contoso.example"]["state"] == "reauth"
    assert "AADSTS700082" in accounts["dead@contoso.example"]["text"]
    text = agent.cli("status").stdout
    assert ACCOUNT in text and "dead@contoso.example" in text


def test_status_without_agent(working):
    done = working.agent.cli("status", agent=False)
    assert done.returncode == EX_TEMPFAIL
    assert "mailtokend" in done.stderr
