"""An application with a certificate, and no person: Postfix relays and
Dovecot syncs for several mailboxes of a tenant with one account."""

import pytest

from lab import mailbox
from lab.dovecots import Dovecots, name_of
from lab.lab import Lab
from lab.wait import until

APP = "relay-app"
DOMAIN = "contoso.example"
SALES, HELP = f"sales@{DOMAIN}", f"help@{DOMAIN}"
STRANGER = "anna@fabrikam.example"
CERTIFICATE_CLIENT = "daemon-cert"


@pytest.fixture(scope="module")
def relay(shared_lab: Lab):
    """Postfix downstream; upstream, the application's token opens every
    mailbox of its domain, as Exchange does for mailboxes that were given to
    it."""
    lab = shared_lab
    lab.start_idp(mailbox=f"any@{DOMAIN}")
    lab.start_upstream(whole_tenant=True)
    agent = lab.make_agent({})
    agent.accounts[APP] = lab.app_only(agent)
    agent.write()
    agent.start()
    lab.start_downstream(
        {name: (name, f"mailtoken:{APP}")
         for name in (SALES, HELP, STRANGER)},
        smtp_sender_dependent_authentication="yes")
    return lab


def test_relay_as_each_sender(relay):
    for sender, number in ((SALES, 3), (HELP, 2)):
        relay.down.send(number, sender=sender)
    relay.down.wait_empty(30)
    relay.up.wait_empty(30)
    for sender, number in ((SALES, 3), (HELP, 2)):
        assert relay.up.text().count(
            f"sasl_method=XOAUTH2, sasl_username={sender}") == number
    assert len(relay.arrived()) == 5
    # One token was enough for both.
    assert relay.idp.count("client_credentials") == 1
    request = relay.idp.bodies()[-1]["form"]
    assert request["client_id"] == CERTIFICATE_CLIENT
    assert "client_secret" not in request and "client_assertion" in request


def test_a_mailbox_elsewhere(relay):
    """The token opens this tenant's mailboxes, and no others."""
    before = len(relay.down.deliveries("sent"))
    relay.down.send(1, sender=STRANGER)
    relay.down.send(1, sender=SALES)
    until(lambda: len(relay.down.deliveries("sent")) == before + 1
          and relay.down.deliveries("deferred"), 20, "one sent, one not")
    assert STRANGER in relay.down.queue()[0]["sender"]
    assert f"XOAUTH2, sasl_username={STRANGER}" not in relay.up.text()


@pytest.mark.parametrize("keys", [
    {"assertion_algorithm": "PS256"}, {"assertion_algorithm": "RS256"},
    {"encrypted": True}], ids=["PS256", "RS256", "encrypted"])
def test_every_kind_of_key(relay, request, keys):
    """And a token by the command, without an agent."""
    name = name_of(request)
    relay.agent.accounts[name] = relay.app_only(relay.agent, **keys)
    relay.agent.write()
    before = relay.idp.count("client_credentials")
    token = relay.agent.do("token", name, agent=False).strip()
    assert token in relay.idp.issued()
    assert relay.idp.count("client_credentials") == before + 1


def test_dovecot_syncs(dovecots: Dovecots):
    """doveadm backup of two mailboxes over imapc, with one account."""
    dovecots.begin(whole_tenant=True)
    dovecots.agent.accounts[APP] = dovecots.app_only(
        dovecots.agent, allow="vmail dovecot")
    dovecots.agent.write()
    dovecots.agent.do("reload")
    for user in (SALES, HELP):
        mailbox.fill(dovecots.upstream, user, 60, 3)
    down = dovecots.downstream(
        "apponly", ["base", "imapc"],
        {user: f"userdb_imapc_password=mailtoken:{APP}"
         for user in (SALES, HELP)})
    for user in (SALES, HELP):
        down.do("backup", "-R", "-u", user, "imapc:")
        assert mailbox.contents(down, user) == mailbox.contents(
            dovecots.upstream, user)
        assert len(mailbox.contents(down, user)) == 60
    assert dovecots.idp.count("client_credentials") == 1
