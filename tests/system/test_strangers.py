"""A login is its provider's: changing an account's section sends it to nobody
else, and loses nothing."""

import json

import pytest

from lab import sealed
from lab.agent import EX_CONFIG, EX_NOPERM
from lab.lab import ACCOUNT
from lab.oddprovider import OddProvider
from lab.wait import until

PASSPHRASE = "four words are enough"
WORDS = "the login is of another provider than 127.0.0.1:"


def by_issuer(provider) -> dict:
    return provider.account()


def by_endpoint(provider) -> dict:
    keys = provider.account(token_endpoint=provider.issuer + "/token",
                            revocation_endpoint=provider.issuer + "/revoke")
    del keys["issuer"]
    return keys


class Providers:
    """Two, an agent, and its account's login at the first."""

    def __init__(self, lab):
        self.home, self.stranger = (self.provider(lab, name)
                                    for name in ("home", "stranger"))
        self.agent = lab.make_agent({})
        self.section(by_endpoint(self.home))
        self.agent.do("import", ACCOUNT, agent=False, give="rt-home-0")

    @staticmethod
    def provider(lab, name: str) -> OddProvider:
        made = OddProvider([{}], refreshed={
            "access_token": f"at-{name}", "refresh_token": f"rt-{name}",
            "token_type": "Bearer", "expires_in": 3600})
        lab.ends.callback(made.stop)
        return made

    def section(self, keys: dict):
        self.agent.accounts[ACCOUNT] = keys
        self.agent.write()

    def status(self) -> dict:
        return json.loads(self.agent.cli("status", "--json").stdout)[0]

    def state(self, state: str):
        until(lambda: self.status()["state"] == state, 15, state)

    @staticmethod
    def told(provider: OddProvider) -> set:
        """The tokens that it was sent."""
        return {form[key] for _, form in provider.forms
                for key in ("refresh_token", "token") if key in form}


@pytest.fixture
def two(lab):
    return Providers(lab)


@pytest.mark.parametrize("where", [by_endpoint, by_issuer])
def test_a_changed_section_sends_it_to_no_stranger(two, where):
    agent = two.agent
    agent.start()
    two.state("ok")
    before = agent.grant(ACCOUNT)
    two.section(where(two.stranger))
    assert WORDS in agent.cli("check").stderr
    agent.do("reload")
    two.state("reauth")
    assert WORDS in two.status()["text"]
    assert f"run mailtoken login {ACCOUNT}" in two.status()["text"]
    for by_agent in (True, False):
        for command in ("token", "refresh"):
            done = agent.cli(command, ACCOUNT, agent=by_agent)
            assert (done.returncode, done.stdout) == (EX_NOPERM, "")
            assert WORDS in done.stderr
        done = agent.cli("revoke", ACCOUNT, agent=by_agent)
        assert done.returncode == EX_CONFIG
        assert "not revoked, and kept: the login is of another" in done.stderr
    assert not two.stranger.forms
    assert agent.grant(ACCOUNT) == before
    # Back, and nobody has to log in.
    asked = len(two.home.forms)
    two.section(by_endpoint(two.home))
    agent.do("reload")
    two.state("ok")
    assert agent.do("token", ACCOUNT) == "at-home\n"
    assert len(two.home.forms) > asked
    assert two.told(two.home) == {"rt-home-0", "rt-home"}
    assert WORDS not in agent.cli("check").stderr


def test_the_command_alone_sends_it_to_no_stranger(two):
    two.section(by_endpoint(two.stranger))
    done = two.agent.cli("token", ACCOUNT, agent=False)
    assert (done.returncode, done.stdout) == (EX_NOPERM, "")
    assert WORDS in done.stderr
    assert not two.stranger.forms
    two.section(by_issuer(two.home))
    assert two.agent.do("token", ACCOUNT, agent=False) == "at-home\n"


def test_who_moves_logs_in_and_revokes_that(two):
    """The login of before stays in the state, and is told to nobody."""
    agent = two.agent
    agent.do("token", ACCOUNT, agent=False)
    two.section(by_endpoint(two.stranger))
    agent.do("import", ACCOUNT, agent=False, give="rt-stranger-0")
    assert agent.grant(ACCOUNT)["previous_refresh_token"] == "rt-home"
    agent.do("revoke", ACCOUNT, agent=False)
    assert two.told(two.stranger) == {"rt-stranger-0"}
    agent.do("import", ACCOUNT, agent=False, give="rt-stranger-0")
    assert agent.do("token", ACCOUNT, agent=False) == "at-stranger\n"


def test_a_restored_login_is_of_the_provider_that_it_was(two):
    agent = two.agent
    agent.do("token", ACCOUNT, agent=False)
    archive = agent.directory / "archive"
    passphrase = agent.directory / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n")
    passphrase.chmod(0o600)
    words = (str(archive), "--passphrase-file", str(passphrase))
    agent.do("export", *words, agent=False)
    agent.do("logout", ACCOUNT, agent=False)
    two.section(by_endpoint(two.stranger))
    done = agent.cli("restore", *words, agent=False)
    assert done.returncode == EX_CONFIG and "differs" in done.stderr
    assert agent.grant(ACCOUNT)["refresh_token"] == "rt-home"
    assert WORDS in agent.cli("token", ACCOUNT, agent=False).stderr
    assert not two.stranger.forms
    two.section(by_endpoint(two.home))
    assert agent.do("token", ACCOUNT, agent=False) == "at-home\n"


def test_state_of_before_knows_after_its_next_renewal(two):
    agent, path = two.agent, two.agent.state / f"{ACCOUNT}.grant"
    text = sealed.text(path, agent.seal_key).decode()
    old = "".join(line for line in text.splitlines(True) if not
                  line.startswith(("place=", "previous_place=")))
    assert old != text
    sealed.seal(path, agent.seal_key, old.encode())
    assert agent.do("token", ACCOUNT, agent=False) == "at-home\n"
    two.section(by_endpoint(two.stranger))
    assert agent.cli("token", ACCOUNT, agent=False).returncode == EX_NOPERM
    assert not two.stranger.forms
    two.section(by_endpoint(two.home))
    agent.do("refresh", ACCOUNT, agent=False)
