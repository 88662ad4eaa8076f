"""A relay of many messages: XOAUTH2 through us against a static PLAIN, and
against XOAUTH2 with the same token as a static password."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from lab import dovecot, maildir, postfix
from lab.lab import ACCOUNT, Lab
from lab.wait import until
from local import install
from report import at_most, fact, interval, median, say

ROUND_S = 180
KEY = b"only for this benchmark's tokens"
TICK = os.sysconf("SC_CLK_TCK")


def _b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def make_token(size: int) -> str:
    """A signed token of that size, as the upstream Dovecot checks it."""
    now = int(time.time())
    claims = {"sub": ACCOUNT, "iat": now - 60, "nbf": now - 60,
              "exp": now + 86400, "pad": ""}
    head = _b64(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())

    def signed():
        body = f"{head}.{_b64(json.dumps(claims).encode())}"
        mac = hmac.new(KEY, body.encode(), hashlib.sha256).digest()
        return f"{body}.{_b64(mac)}"
    while len(signed()) < size:
        claims["pad"] += "x"
    return signed()


def start_upstream(lab: Lab):
    """As the lab's, but its Dovecot checks the token itself: the time that a
    provider's introspection takes is not ours."""
    lab.up = postfix.upstream(lab.directory / "up", lab.ca)
    keys = lab.directory / "keys" / "default" / "HS256"
    keys.mkdir(parents=True)
    (keys / "default").write_text(base64.b64encode(KEY).decode())
    lab.dovecot = dovecot.Dovecot(
        lab.directory / "dovecot", lab.up.spool / "private" / "auth",
        oauth2=f"introspection_mode = local\n"
        f"local_validation_key_dict = fs:posix:prefix={lab.directory}/keys/\n"
        "username_attribute = sub\n")
    lab.ends.callback(lab.dovecot.stop)
    lab.ends.callback(lab.up.stop)
    lab.up.start()


# Mail is held until the clock runs.
HOLD = {"smtpd_client_restrictions": "check_client_access static:HOLD"}


OURS, LITERAL, PLAIN = "mailtoken", "literal token", "PLAIN"


def start_downstreams(lab: Lab, token: str) -> dict:
    """Name -> a Postfix that logs in that way."""
    def downstream(name, password, plugins, **settings):
        down = postfix.downstream(
            lab.directory / name, lab.up.port, {None: (ACCOUNT, password)},
            {"SASL_PATH": plugins}, lab.ca.certificate, **settings, **HOLD)
        lab.ends.callback(down.stop)
        return down.start()
    return {
        OURS: lab.start_downstream(**HOLD),
        LITERAL: downstream("literal", token, lab.plugins()),
        PLAIN: downstream("plain", dovecot.STATIC_PASSWORD,
                          install(lab) / "plain",
                          smtp_sasl_mechanism_filter="plain"),
    }


def _stat(pid: str) -> list:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None             # it has just ended
    return text.rpartition(")")[2].split()


def _cpu_s(parents: set) -> float:
    """Of processes, their children, and those they have waited for."""
    ticks = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        stat = _stat(pid)
        if stat is None:
            continue
        if int(pid) in parents:
            ticks += sum(map(int, stat[11:15]))
        elif int(stat[1]) in parents:
            ticks += sum(map(int, stat[11:13]))
    return ticks / TICK


def _master(instance: postfix.Postfix) -> int:
    return int((instance.spool / "pid" / "master.pid").read_text())


class _Sent:
    """Counts deliveries in a log, from here on."""

    def __init__(self, log: Path):
        self.file = open(log, "rb")
        self.file.seek(0, os.SEEK_END)
        self.sent = self.failed = 0

    def count(self) -> int:
        text = self.file.read()
        self.sent += text.count(b" status=sent ")
        self.failed += text.count(b" status=deferred ")
        assert not self.failed, "a message was deferred"
        return self.sent


def _fill(down: postfix.Postfix, messages: int):
    subprocess.run(
        ["smtp-source", "-s", "4", "-m", str(messages), "-l", "1000",
         "-f", ACCOUNT, "-t", "inbox@fabrikam.example",
         f"127.0.0.1:{down.port}"], check=True, timeout=ROUND_S)
    down.run("postsuper", "-H", "ALL", check=True)


@dataclass
class Result:
    rate: float         # messages per second, until the last is sent
    sender_ms: float    # CPU for a message: the sending Postfix and the agent
    all_ms: float       # and with upstream, until it has delivered all


def relay(lab: Lab, down: postfix.Postfix, messages: int) -> Result:
    sender = {_master(down), lab.agent.process.pid}
    everybody = sender | {_master(lab.up), lab.dovecot.process.pid}
    _fill(down, messages)
    sent = _Sent(down.log)
    sender_cpu, all_cpu = _cpu_s(sender), _cpu_s(everybody)
    start = time.monotonic()
    down.flush()
    until(lambda: sent.count() >= messages, ROUND_S,
          f"{messages} deliveries", pause=0.01)
    took = time.monotonic() - start
    down.wait_empty(30)
    lab.up.wait_empty(ROUND_S)
    result = Result(messages / took,
                    (_cpu_s(sender) - sender_cpu) * 1000 / messages,
                    (_cpu_s(everybody) - all_cpu) * 1000 / messages)
    shutil.rmtree(lab.directory / "up" / "mail" / "inbox")
    return result


def _slower(than: list, ours: list) -> list:
    """In per cent, for each round."""
    return [(a.rate / b.rate - 1) * 100 for a, b in zip(than, ours)]


def _report(results: dict) -> list:
    by_plain = _slower(results[PLAIN], results[OURS])
    by_literal = _slower(results[LITERAL], results[OURS])
    names = {PLAIN: "PLAIN with a static password",
             LITERAL: "XOAUTH2, the token as a static password",
             OURS: "XOAUTH2, the token from the agent"}
    rows = [fact(f"{words}: messages",
                 median(r.rate for r in results[name]), "/s")
            for name, words in names.items()]
    rows += [fact(f"{words}: CPU, sender / both sides",
                  median(r.sender_ms for r in results[name]),
                  f" / {median(r.all_ms for r in results[name]):.2f} ms", 2)
             for name, words in names.items()]
    rows += [
        fact(f"slower than the static token (95 %: {interval(by_literal)})",
             median(by_literal), " %", 1),
        at_most(f"slower than PLAIN (95 %: {interval(by_plain)})",
                median(by_plain), 3, " %", 1),
    ]
    return rows


def measure(lab: Lab, rounds: int, messages: int, token: str) -> list:
    start_upstream(lab)
    downs = start_downstreams(lab, token)
    for down in downs.values():
        relay(lab, down, 100)
    assert "sasl_method=XOAUTH2" in lab.up.text()
    results = {name: [] for name in downs}
    order = list(downs)
    for i in range(rounds):
        for name in order:
            results[name].append(relay(lab, downs[name], messages))
        order = order[1:] + order[:1]   # everybody comes first in turn
        say(f"relay of {messages} messages, round {i + 1} of {rounds}: "
            + ", ".join(f"{name} {r[-1].rate:.0f}/s"
                        for name, r in results.items()))
    return _report(results)
