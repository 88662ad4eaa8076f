"""What went wrong and what to do, in the same words wherever one looks."""

import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from lab import fault, postfix
from lab.agent import BUILD, EX_OK, EX_USAGE
from lab.wait import until

EX_UNAVAILABLE = 69
ERRORS_MD = Path(__file__).parents[2] / "docs" / "errors.md"
SECRET = "eyJ0eXAiOiJKV1QiLCJhbGciOiJSUzI1NiIsIng1dCI6Ik1nTHFIOTkifQ"
CHALLENGED = "challenged@contoso.example"
PASSWORD = "password@contoso.example"

# Each row of entra-answers.jsonl: who must act, and a part of what to do, with
# the account's name.
ANSWERS = {
    "50076-v2": ("reauth", "mailtoken login {} with multi-factor"),
    "53003-claims": ("reauth", "exempt this account or host from that policy"),
    "700082": ("reauth", "mailtoken login {}, and keep mailtokend"),
    "50196": ("retry", "it will be asked again"),
    "700016": ("config", "check client_id, tenant and cloud"),
    "90002-2025": ("config", "check tenant and cloud"),
    "7000215": ("config", "store the secret's value, not its ID"),
    "70016-pending": ("retry", "it will be asked again"),
    "429-plain": ("retry", "it will be asked again"),
    "70000-msa": ("reauth", "if that fails, mailtoken login {}"),
    "msal-success": ("ok", None),
    "imds-success": ("ok", None),
}
TROUBLES = [name for name, (kind, _) in ANSWERS.items() if kind != "ok"]
# Seconds before the provider is asked again, at least; then there is jitter.
WAITS = {"50196": 120, "429-plain": 60}


def address(name: str) -> str:
    return f"case-{name}@contoso.example"


@pytest.fixture(scope="module")
def answered(shared_lab):
    """A message from every account has had its fate."""
    lab = shared_lab
    lab.start_fault()
    lab.start_fake()
    lab.fake.refuse = lambda user, token: (
        "challenge" if user in (CHALLENGED, PASSWORD) else "ok")
    endpoints = {address(n): lab.fault.endpoint(n, mode=n) for n in ANSWERS}
    endpoints[CHALLENGED] = lab.fault.endpoint("challenged")
    agent = lab.make_agent({who: lab.faulty(endpoint)
                            for who, endpoint in endpoints.items()})
    for who, endpoint in endpoints.items():
        agent.do("import", who, agent=False, give=endpoint.refresh_token)
    agent.start()
    passwords = {who: (who, "mailtoken:") for who in endpoints}
    lab.start_downstream(
        passwords | {PASSWORD: (PASSWORD, "hunter2")},
        smtp_sender_dependent_authentication="yes", **postfix.RECIPE)
    for who in passwords | {PASSWORD: None}:
        lab.down.send(1, sender=who)
    good = [n for n in ANSWERS if n not in TROUBLES]
    until(lambda: len(lab.down.deliveries("deferred")) >= len(TROUBLES) + 2
          and len(lab.down.deliveries("sent")) == len(good), 30,
          "a deferral or delivery for every account")
    return lab, endpoints


def status(agent) -> dict:
    done = agent.cli("status", "--json")
    return {row["account"]: row for row in json.loads(done.stdout)}


def explain(*args, give: str = "") -> subprocess.CompletedProcess:
    """Without agent and configuration."""
    return subprocess.run(
        [BUILD / "mailtoken", "-c", "/nonexistent", "explain", *args],
        input=give.encode(), capture_output=True, timeout=30, env={})


def found(*args, give: str = "") -> list:
    done = explain("--json", *args, give=give)
    assert done.returncode == EX_OK, done
    return json.loads(done.stdout)


def test_every_recorded_answer_is_tried():
    assert list(fault.captured()) == list(ANSWERS)


@pytest.mark.parametrize("name", TROUBLES)
def test_one_sentence_everywhere(answered, name):
    lab, endpoints = answered
    who, (kind, todo) = address(name), ANSWERS[name]
    todo = todo.format(who)
    renewals = lab.agent.events("renewal", who)
    assert {r["result"] for r in renewals} == {kind}
    sentence = renewals[-1]["text"].strip('"')
    assert sentence.startswith("provider ") and todo in sentence, sentence
    assert "..." not in sentence[-len(todo):]

    row = status(lab.agent)[who]
    assert (row["state"], row["text"]) == (kind, sentence)
    assert sentence in lab.agent.cli("status", who).stdout
    told = [line for line in lab.down.text().splitlines()
            if "warning: SASL authentication failure: mailtoken: " in line
            and who in line]
    assert told and all(line.endswith(sentence) for line in told), told
    loud = {"reauth": "login-needed", "config": "change-needed"}
    if kind in loud:
        events = lab.agent.events(loud[kind], who)
        assert [e["text"].strip('"') for e in events] == [sentence]

    advice, = found(told[-1])
    assert advice["kind"] == kind
    named = advice["todo"].replace("ACCOUNT", who)
    assert named in sentence or kind == "retry"
    assert "ACCOUNT" not in sentence


@pytest.mark.parametrize("name", TROUBLES)
def test_no_answer_costs_the_login(answered, name):
    lab, endpoints = answered
    endpoint, who = endpoints[address(name)], address(name)
    assert lab.agent.grant(who)["refresh_token"] == endpoint.refresh_token
    if ANSWERS[name][0] != "retry":
        assert endpoint.count == 1


@pytest.mark.parametrize("name", WAITS)
def test_the_provider_is_given_the_time_it_wants(answered, name):
    lab, endpoints = answered
    endpoint, who = endpoints[address(name)], address(name)
    assert endpoint.count == 1
    next_at = status(lab.agent)[who]["next_at"]
    assert next_at >= int(endpoint.times[0]) + WAITS[name]
    assert next_at < time.time() + 2 * WAITS[name]


def test_answers_with_tokens_are_taken(answered):
    lab, endpoints = answered
    rows = fault.captured()
    for name in ("msal-success", "imds-success"):
        who = address(name)
        assert status(lab.agent)[who]["state"] == "ok"
        kept = lab.agent.grant(who)["refresh_token"]
        assert kept == (rows[name]["body"]["refresh_token"] or
                        endpoints[who].refresh_token)


def test_a_refused_token_is_logged_with_advice(answered):
    lab, _ = answered
    until(lambda: lab.agent.events("reject", CHALLENGED), 10, "the reject")
    event = lab.agent.events("reject", CHALLENGED)[0]
    assert "'status'" in event["reason"]
    assert f"mailtoken test {CHALLENGED} --refresh" in event["advice"]


def test_a_password_for_a_token_is_suspected(answered):
    lab, _ = answered
    assert re.search(
        f"refused the token for {PASSWORD}: .*: a password may have been "
        "taken for a token, write mailtoken: ", lab.down.text())
    assert "hunter2" not in lab.down.text()


def test_explain_says_who_must_act_and_what_to_do():
    done = explain("535", "5.7.139", "Authentication unsuccessful, "
                   "SmtpClientAuthentication is disabled for the Mailbox.")
    assert done.returncode == EX_OK and not done.stderr
    kind, cause, todo = done.stdout.decode().splitlines()
    assert kind.startswith("kind:   config (the administrator")
    assert cause.startswith("cause:  SMTP AUTH is switched off")
    assert todo == ("do:     Set-CASMailbox -Identity MAILBOX "
                    "-SmtpClientAuthenticationDisabled $false")


def test_explain_reads_lines():
    log = ("nothing\n* BYE Session invalidated - AccessTokenExpired\n"
           "more nothing\nA4 BAD Command received in Invalid state.\n"
           "* BYE Session invalidated - AccessTokenExpired\n")
    assert [row["key"] for row in found("-", give=log)] == [
        "AccessTokenExpired", "Command received in Invalid state"]
    assert all(row["stale"] for row in found("-", give=log))
    # One answer over several lines is one text; so are words that wrap.
    row, = found("-", give=json.dumps(
        fault.captured()["53003-claims"]["body"], indent=1))
    assert (row["key"], row["kind"]) == ("AADSTS53003", "reauth")
    row, = found("-", give="NO Server\n Unavailable. 15\n")
    assert row["kind"] == "retry"
    assert found("AADSTS53003")[0]["kind"] == "config"
    assert found("-ERR Authentication failure: unknown user name or bad "
                 "password.")[0]["kind"] == "config"


def test_explain_is_bounded_and_repeats_nothing():
    for text in (f"Bearer {SECRET}", f"invalid_grant {SECRET}"):
        for args in (["-"], ["--json", "-"]):
            done = explain(*args, give=text)
            assert SECRET.encode() not in done.stdout + done.stderr
    done = explain("-", give="x" * (1 << 17) + "\ninvalid_grant\n")
    assert done.returncode == EX_UNAVAILABLE and b"65536" in done.stderr
    done = explain("-", give="invalid_grant\n" + "x" * (1 << 17))
    assert done.returncode == EX_OK and b"reauth" in done.stdout
    done = explain("-", give="a\0invalid_grant\0b")
    assert done.returncode == EX_OK


def test_explain_admits_that_it_does_not_know():
    done = explain("the cat is on the mat")
    assert done.returncode == EX_UNAVAILABLE and not done.stdout
    assert b"mailtoken status" in done.stderr
    done = explain("--json", "the cat is on the mat")
    assert done.returncode == EX_UNAVAILABLE and json.loads(done.stdout) == []
    assert explain().returncode == EX_USAGE
    assert explain("--json").returncode == EX_USAGE


def test_the_page_of_errors_is_the_table():
    done = explain("--list")
    assert done.returncode == EX_OK
    assert done.stdout.decode() == ERRORS_MD.read_text()
