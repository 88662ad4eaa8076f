"""mailtoken check, run by root, tells what the agent's user could not do."""

import shutil

import pytest

from lab.agent import EX_CONFIG, USER
from lab.lab import ACCOUNT

GONE = "gone@contoso.example"


@pytest.fixture
def made(lab):
    lab.start_fault()
    agent = lab.make_agent({ACCOUNT: lab.faulty(lab.fault.endpoint("one"))})
    agent.do("check")
    return agent


def complaint(agent) -> str:
    done = agent.cli("check")
    assert done.returncode == EX_CONFIG, done.stderr
    assert done.stdout == ""
    return done.stderr


def test_configuration_of_another_group(made):
    shutil.chown(made.conf, "root", "root")
    said = complaint(made)
    assert f"chgrp {USER} {made.conf}" in said
    assert len(said.splitlines()) == 1


def test_state_of_another_user(made):
    shutil.chown(made.state, "root")
    said = complaint(made)
    assert f"chown -R {USER}: {made.state}" in said
    assert len(said.splitlines()) == 1


def test_no_such_user(made):
    made.settings["user"] = "mailtoken-nobody"
    made.write()
    assert "useradd" in complaint(made)


def test_what_an_account_leaves_behind_is_in_nobodys_way(lab, made):
    """Its files stay; it comes back as it was, or, without them, as new."""
    state = [made.state / f"{GONE}.{name}" for name in ("grant", "lock")]
    endpoint = lab.fault.endpoint("gone")
    section = lab.faulty(endpoint)
    made.accounts[GONE] = section
    made.write()
    made.do("import", GONE, give=endpoint.refresh_token)
    del made.accounts[GONE]
    made.write()
    assert "gone" not in made.cli("check").stderr
    assert all(path.exists() for path in state)
    made.accounts[GONE] = section
    made.write()
    made.do("token", GONE)
    for path in state:
        path.unlink()
    assert "no refresh token yet" in made.cli("check").stderr


@pytest.mark.parametrize("client_id, good", [
    ("11111111-2222-3333-4444-555555555555", True),
    ("relay-for-mail", False),
    ("11111111-2222-3333-4444-55555555555", False),
], ids=["good", "name", "cut"])
def test_client_id_of_microsoft(made, client_id, good):
    made.accounts[ACCOUNT] = {
        "provider": "microsoft", "tenant": "contoso.example",
        "grant": "refresh_token", "client_id": client_id,
        "services": "smtp", "allow": "postfix"}
    made.write()
    if good:
        made.do("check")
        return
    said = complaint(made)
    assert "Application (client) ID" in said and ACCOUNT in said
    assert client_id not in said
    assert len(said.splitlines()) == 1
