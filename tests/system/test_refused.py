"""The mail server refuses the token."""

import pytest

from lab import wire
from lab.lab import ACCOUNT
from lab.wait import until

BACKLOG = 20


@pytest.fixture
def refusing(lab):
    """A server that knows one bad token: the first that it is shown."""
    lab.start_fault()
    lab.start_fake()
    endpoint = lab.fault.endpoint("one")
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint)})
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.start()
    bad = agent.do("token", ACCOUNT).strip()
    lab.start_downstream()
    assert endpoint.count == 1
    return lab, endpoint, bad


def test_535_without_a_word_to_the_client(refusing):
    """As Office 365 does it: Postfix never tells the plugin, so nobody can
    renew by itself; but mail waits, and the log has the server's words."""
    lab, endpoint, bad = refusing
    lab.fake.refuse = lambda user, token: "535" if token == bad else "ok"
    lab.down.send(BACKLOG)
    lab.down.wait_words("said: 535 5.7.3 Authentication unsuccessful")
    lab.down.settle()
    assert len(lab.down.queue()) == BACKLOG
    assert not lab.down.deliveries("bounced")
    assert all("dsn=4." in line for line in lab.down.deliveries("deferred"))
    for _ in range(3):
        lab.down.flush()
    assert endpoint.count == 1

    lab.agent.do("refresh", ACCOUNT)
    lab.down.drain(60)
    assert lab.fake.messages == [ACCOUNT] * BACKLOG
    assert endpoint.count == 2


def test_challenge_forces_one_renewal(refusing):
    lab, endpoint, bad = refusing
    lab.fake.refuse = lambda user, token: "challenge" if token == bad else "ok"
    lab.down.send(BACKLOG)
    lab.down.wait_words("said: 535 5.7.8 Username and Password not accepted")
    lab.down.wait_words("refused the token")
    until(lambda: endpoint.count == 2, 10, "the forced renewal")
    refused = [login for login in lab.fake.logins if login.token == bad]
    assert refused and all(r.after_challenge == "" for r in refused)
    assert not lab.down.deliveries("bounced")
    lab.down.drain(60)
    assert lab.fake.messages == [ACCOUNT] * BACKLOG
    assert endpoint.count == 2
    assert lab.agent.events("reject", ACCOUNT)


def test_a_server_that_refuses_everything_starts_no_storm(refusing):
    lab, endpoint, _ = refusing
    lab.fake.mode = "challenge"
    lab.down.send(BACKLOG)
    for _ in range(4):
        lab.down.settle()
        lab.down.flush()
    # One forced renewal; once the new token is refused as well, the agent
    # keeps it to itself for a minute.
    assert endpoint.count == 2
    assert len({login.token for login in lab.fake.logins}) == 2
    assert not lab.down.deliveries("bounced")
    assert not lab.fake.messages


@pytest.mark.parametrize("mode, words", [
    ("454", "said: 454 4.7.0"),
    ("hang", "timed out while"),
])
def test_server_in_trouble(refusing, mode, words):
    """Not the token's fault: no renewal."""
    lab, endpoint, _ = refusing
    lab.down.set(smtp_helo_timeout="5s", smtp_starttls_timeout="5s",
                 smtp_mail_timeout="5s", smtp_xforward_timeout="5s")
    lab.fake.mode = mode
    lab.down.send(1)
    lab.down.wait_words(words, timeout=60)
    assert lab.down.deliveries("deferred") and not lab.down.deliveries("bounced")
    lab.fake.mode = "ok"
    lab.down.drain(60)
    assert endpoint.count == 1


@pytest.mark.parametrize("reason, renewals", [
    ("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is "
     "disabled for the Tenant.", 0),
    ("BYE User is authenticated but not connected.", 0),
    ("535 5.7.3 Authentication unsuccessful", 1),
    ("something that nobody has seen yet", 1),
], ids=["disabled", "not-connected", "refused", "unknown"])
def test_what_no_token_cures_renews_none(shared_lab, reason, renewals):
    lab, name = shared_lab, f"{renewals}-{len(reason)}@contoso.example"
    if lab.agent is None:
        lab.start_fault()
        lab.make_agent({}).start()
    endpoint, agent = lab.fault.endpoint(name), lab.agent
    agent.accounts[name] = lab.faulty(endpoint)
    agent.write()
    agent.do("import", name, agent=False, give=endpoint.refresh_token)
    agent.do("reload")
    agent.do("token", name)
    before = endpoint.count
    generation = wire.ask(lab.socket, op="get", account=name)["generation"]
    for _ in range(2):
        assert wire.ask(lab.socket, op="reject", account=name,
                        generation=generation,
                        reason=reason)["status"] == "ok"
        until(lambda: endpoint.in_flight == 0, 10, "the request's end")
    # Behind whatever renewal the rejects have started.
    wire.ask(lab.socket, op="get", account=name)
    assert endpoint.count == before + renewals
    assert reason[:20] in agent.events("reject", name)[0]["reason"]
