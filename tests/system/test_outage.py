"""Something is down or wrong: mail waits, the log says why, and when it is
right again the mail goes out.  Nothing ever bounces."""

import re
import time

import pytest

from lab import postfix
from lab.lab import ACCOUNT
from lab.wait import until

GET_S = 10          # the plugin waits no longer for the agent

# Mode of the token endpoint, what the log must say besides the account.
FAULTS = [
    ("hang", "not answered yet|no answer within"),
    ("500", "500"),
    ("429", "429"),
    ("html", "JSON"),
    ("empty", "answered with nothing"),
    ("big", "more than .* bytes"),
    ("truncated", "JSON"),
    ("close", "the connection broke"),
    ("50076-v2", "invalid_grant.*AADSTS50076"),
    ("53003-claims", "AADSTS53003"),
    ("700082", "AADSTS700082"),
    ("50196", "AADSTS50196"),
    ("700016", "unauthorized_client.*AADSTS700016"),
    ("90002-2025", "AADSTS90002"),
    ("7000215", "invalid_client.*AADSTS7000215"),
    ("70000-msa", "AADSTS70000"),
    ("429-plain", "429"),
]


def sender(mode: str) -> str:
    return f"case-{mode}@contoso.example"


def warnings(text: str, words: str) -> list:
    """What the plugin told Postfix."""
    return [line for line in text.splitlines()
            if "warning: SASL authentication failure: mailtoken: " in line
            and words in line]


@pytest.fixture(scope="module")
def faults(shared_lab):
    """Every fault has its own account, and every account its own sender."""
    lab = shared_lab
    lab.start_fault()
    lab.start_fake()
    modes = [mode for mode, _ in FAULTS]
    endpoints = {m: lab.fault.endpoint(m, mode=m) for m in modes}
    agent = lab.make_agent({sender(m): lab.faulty(endpoints[m]) for m in modes},
                           http_timeout=11)
    for mode in modes:
        agent.do("import", sender(mode), agent=False,
                 give=endpoints[mode].refresh_token)
    agent.start()
    lab.start_downstream(
        {sender(m): (sender(m), "mailtoken:") for m in modes},
        smtp_sender_dependent_authentication="yes", **postfix.RECIPE)
    return lab, endpoints


@pytest.mark.parametrize("mode, words", FAULTS)
def test_provider_fault(faults, mode, words):
    lab, endpoints = faults
    endpoint, who = endpoints[mode], sender(mode)
    since, before = time.monotonic(), len(lab.down.deliveries("deferred"))
    lab.down.send(1, sender=who)
    until(lambda: len(lab.down.deliveries("deferred")) > before, GET_S + 5,
          f"deferral of the mail from {who}")
    assert time.monotonic() - since < GET_S + 2
    seen = warnings(lab.down.text(), who)
    assert seen and re.search(words, seen[-1]), seen
    assert "dsn=4.7.0" in lab.down.deliveries("deferred")[-1]
    assert not lab.down.deliveries("bounced")
    count = endpoint.count
    for _ in range(3):              # Postfix tries again; we do not
        lab.down.flush()
    # The first back-off may end meanwhile; and libcurl repeats by itself a
    # request that a kept connection swallowed.
    assert endpoint.count <= count + 2
    assert endpoint.most_in_flight == 1

    endpoint.mode = "ok"
    until(lambda: endpoint.in_flight == 0, 15, "the request's end")
    lab.agent.do("refresh", who)

    def arrived():
        lab.down.flush()
        return who in lab.fake.messages
    until(arrived, 30, f"delivery from {who}", 1)


def test_retry_after_is_kept(lab):
    lab.start_fault()
    lab.start_fake()
    endpoint = lab.fault.endpoint("busy", mode="429", retry_after=6)
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint)})
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.start()
    lab.start_downstream()
    lab.down.send(1)
    until(lambda: endpoint.count, 10, "the first request")
    endpoint.mode = "ok"
    until(lambda: endpoint.count > 1, 20, "the second request")
    assert 6 <= endpoint.times[1] - endpoint.times[0] < 10
    lab.down.drain(30)


def test_agent_away_and_back(lab):
    lab.relay()
    lab.agent.stop()
    lab.down.send(3)
    lab.down.wait_words("status=deferred", times=1)
    lab.down.wait_words("the agent")
    assert warnings(lab.down.text(), "mailtokend")
    assert not lab.down.deliveries("bounced")
    lab.agent.start()
    lab.down.drain(30)
    assert len(lab.arrived()) == 3


def test_agent_killed_and_back(lab):
    """A dead agent's sockets are no obstacle to the next one."""
    lab.relay()
    lab.agent.kill()
    lab.down.send(1)
    lab.down.wait_words("status=deferred")
    lab.agent.start()
    lab.down.drain(30)
    assert len(lab.arrived()) == 1


@pytest.mark.parametrize("change, words", [
    ("unknown", "no account|unknown account|not in"),
    ("denied", "not allowed|may not|denied"),
])
def test_refused_by_the_agent(lab, change, words):
    lab.start_fault()
    lab.start_fake()
    endpoint = lab.fault.endpoint("one")
    keys = lab.faulty(endpoint)
    wrong = ({"other@contoso.example": keys} if change == "unknown"
             else {ACCOUNT: keys | {"allow": "nobody"}})
    agent = lab.make_agent(wrong)
    agent.start()
    lab.start_downstream()
    lab.down.send(1)
    lab.down.wait_words("status=deferred")
    seen = warnings(lab.down.text(), ACCOUNT)
    assert seen and re.search(words, seen[0]), lab.down.text()
    assert not lab.down.deliveries("bounced")
    if change == "denied":
        assert agent.events("token", ACCOUNT)[0]["result"] == "denied"

    agent.accounts = {ACCOUNT: keys}
    agent.write()
    agent.do("reload")
    agent.do("import", ACCOUNT, give=endpoint.refresh_token)
    lab.down.drain(30)
    assert lab.fake.messages == [ACCOUNT]


def test_one_dead_account_does_not_hold_up_the_other(lab):
    """Both have a backlog to the same next hop, the dead one a longer one."""
    dead, healthy = "dead@contoso.example", "healthy@contoso.example"
    lab.start_fault()
    lab.start_fake()
    endpoints = {dead: lab.fault.endpoint("dead", mode="700082"),
                 healthy: lab.fault.endpoint("healthy")}
    agent = lab.make_agent(
        {name: lab.faulty(endpoints[name]) for name in endpoints})
    for name, endpoint in endpoints.items():
        agent.do("import", name, agent=False, give=endpoint.refresh_token)
    agent.start()
    lab.start_downstream(
        {name: (name, "mailtoken:") for name in endpoints},
        smtp_sender_dependent_authentication="yes", defer_transports="smtp",
        **postfix.RECIPE)
    lab.down.send(30, sender=dead)
    lab.down.send(10, sender=healthy)
    until(lambda: len(lab.down.queue()) == 40, 30, "the backlog")
    lab.down.set(defer_transports="")
    lab.down.flush()
    until(lambda: len(lab.fake.messages) == 10, 60, "the healthy one's mail")
    assert set(lab.fake.messages) == {healthy}
    lab.down.settle()
    assert len(lab.down.queue()) == 30
    assert endpoints[dead].count == 1
