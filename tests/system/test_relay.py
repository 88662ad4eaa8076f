"""The main job: an unmodified Postfix relays upstream with XOAUTH2."""

import time

import pytest

from lab import idp
from lab.lab import ACCOUNT

LIFE = 6            # seconds that an access token lives
MESSAGES = 200
BATCHES = 10
PAUSE = 1.5         # between batches: the whole takes a few tokens' lives
KIB = 1000
# Tokens are renewed at half their life, up to a tenth earlier for jitter; and
# since providers and state count in whole seconds, up to one more.
RENEW_S = LIFE / 2 * 0.9 - 1


@pytest.mark.parametrize("chroot, size", [
    (True, 0),
    (False, 0),
    (True, 4 * KIB),
    (True, 9 * KIB),    # smtpd_sasl_response_limit lets no more than 9.1 pass
])
def test_short_lived_tokens(lab, chroot, size):
    lab.relay(life=LIFE, size=size, chroot=chroot)
    since = time.time()
    for batch in range(BATCHES):
        lab.down.send(MESSAGES // BATCHES, subject=f"batch {batch} message")
        time.sleep(PAUSE)
    lab.down.wait_empty(60)
    lab.up.wait_empty(30)
    took = time.time() - since

    assert len(lab.arrived()) == len(set(lab.arrived())) == MESSAGES
    assert len(lab.down.deliveries("sent")) == MESSAGES
    assert not lab.down.deliveries("bounced")
    assert not lab.down.deliveries("deferred")
    assert lab.up.text().count(
        f"sasl_method=XOAUTH2, sasl_username={ACCOUNT}") == MESSAGES
    requests = [r for r in lab.idp.requests()
                if r["grant"] == "refresh_token" and r["time"] > since]
    assert not [r for r in requests if r["error"]]
    assert took / LIFE - 1 <= len(requests) <= took / RENEW_S + 2


@pytest.mark.parametrize("client, method", [
    ("daemon-secret", "post"),
    ("daemon-basic", "basic"),
])
def test_client_credentials(lab, client, method):
    """An application's own token, for a mailbox named otherwise."""
    lab.start_idp(mailbox="shared@contoso.example")
    lab.start_upstream()
    agent = lab.make_agent({})
    agent.accounts["app"] = lab.delegated(
        grant="client_credentials", client_id=client, client_auth=method,
        client_secret=agent.secret("client.secret", idp.CLIENT_SECRET),
        scope=idp.APP_SCOPE)
    agent.write()
    agent.start()
    lab.start_downstream({None: ("shared@contoso.example", "mailtoken:app")})
    lab.down.send(3)
    lab.down.wait_empty(30)
    assert lab.up.text().count(
        "sasl_method=XOAUTH2, sasl_username=shared@contoso.example") == 3
    assert lab.idp.count("client_credentials") == 1


def test_literal_token(lab):
    """The password is a token: no agent, no account."""
    lab.relay()
    token = lab.agent.do("token", ACCOUNT).strip()
    lab.agent.stop()
    lab.set_passwords({None: (ACCOUNT, token)})
    lab.down.send(2)
    lab.down.wait_empty(30)
    assert len(lab.down.deliveries("sent")) == 2


def test_accounts_by_sender(lab):
    """smtp_sender_dependent_authentication: everybody as himself."""
    anna, otto = "anna@contoso.example", "otto@contoso.example"
    lab.start_idp()
    lab.start_upstream()
    agent = lab.make_agent({name: lab.delegated() for name in (anna, otto)})
    for name in (anna, otto):
        agent.do("import", name, give=lab.idp.login(name), agent=False)
    agent.start()
    lab.start_downstream({name: (name, "mailtoken:") for name in (anna, otto)},
                         smtp_sender_dependent_authentication="yes")
    for sender, number in ((anna, 3), (otto, 2)):
        lab.down.send(number, sender=sender)
    lab.down.wait_empty(30)
    for sender, number in ((anna, 3), (otto, 2)):
        assert lab.up.text().count(f"sasl_username={sender}") == number
        assert len(agent.events("token", sender)) == number


def test_refused_at_the_real_server(lab):
    """The provider revokes a token that the agent still thinks good: the
    server says so with a challenge, and the next login has a new one."""
    lab.relay()
    before = lab.idp.count()
    lab.idp.revoke(lab.agent.do("token", ACCOUNT).strip())
    lab.down.send(1)
    lab.down.wait_words("status=deferred")
    lab.idp_renewed(before + 1)
    lab.down.drain(30)
    assert len(lab.arrived()) == 1
    assert lab.idp.count() == before + 1
