"""A relay of many messages: XOAUTH2 through us against a static PLAIN."""

import base64
import hashlib
import hmac
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

from lab import dovecot, maildir, postfix
from lab.lab import ACCOUNT, Lab
from lab.wait import until
from local import install
from report import at_most, fact, median, quartiles, say

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


def start_downstreams(lab: Lab) -> dict:
    xoauth2 = lab.start_downstream(**HOLD)
    plain = postfix.downstream(
        lab.directory / "plain", lab.up.port,
        {None: (ACCOUNT, dovecot.STATIC_PASSWORD)},
        {"SASL_PATH": install(lab) / "plain"}, lab.ca.certificate,
        smtp_sasl_mechanism_filter="plain", **HOLD)
    lab.ends.callback(plain.stop)
    plain.start()
    return {"PLAIN": plain, "XOAUTH2": xoauth2}


def _stat(pid: str) -> list:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None             # it has just ended
    return text.rpartition(")")[2].split()


def _cpu_s(master: int) -> float:
    """Of a process, its children, and those it has waited for."""
    ticks = 0
    for pid in filter(str.isdigit, os.listdir("/proc")):
        stat = _stat(pid)
        if stat is None:
            continue
        if int(pid) == master:
            ticks += sum(map(int, stat[11:15]))
        elif int(stat[1]) == master:
            ticks += sum(map(int, stat[11:13]))
    return ticks / TICK


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


def relay(lab: Lab, down: postfix.Postfix, messages: int) -> tuple:
    """Messages per second, and the sender's CPU milliseconds for each."""
    master = int((down.spool / "pid" / "master.pid").read_text())
    agent = lab.agent.process.pid
    _fill(down, messages)
    sent = _Sent(down.log)
    cpu, start = _cpu_s(master) + _cpu_s(agent), time.monotonic()
    down.flush()
    until(lambda: sent.count() >= messages, ROUND_S,
          f"{messages} deliveries", pause=0.01)
    took = time.monotonic() - start
    cpu = _cpu_s(master) + _cpu_s(agent) - cpu
    down.wait_empty(30)
    lab.up.wait_empty(ROUND_S)
    shutil.rmtree(lab.directory / "up" / "mail" / "inbox")
    return messages / took, cpu * 1000 / messages


def measure(lab: Lab, rounds: int, messages: int) -> list:
    start_upstream(lab)
    downs = start_downstreams(lab)
    for down in downs.values():
        relay(lab, down, 100)
    assert " sasl_method=XOAUTH2" in lab.up.text()
    results = {name: [] for name in downs}
    for i in range(rounds):
        # Who comes first changes.
        for name in sorted(downs, reverse=i % 2 == 0):
            results[name].append(relay(lab, downs[name], messages))
        say(f"relay of {messages} messages, round {i + 1} of {rounds}: "
            + ", ".join(f"{name} {r[-1][0]:.0f}/s"
                        for name, r in results.items()))
    slower = [(plain[0] / ours[0] - 1) * 100 for plain, ours
              in zip(results["PLAIN"], results["XOAUTH2"])]
    cpu = {name: median(r[1] for r in rows) for name, rows in results.items()}
    rate = {name: median(r[0] for r in rows) for name, rows in results.items()}
    return [
        fact("PLAIN with a static password", rate["PLAIN"], "/s"),
        fact("XOAUTH2 through us", rate["XOAUTH2"], "/s"),
        at_most(f"slower (half of all rounds: {quartiles(slower)})",
                median(slower), 3, " %", 1),
        fact("CPU of the sending Postfix per message, PLAIN",
             cpu["PLAIN"], " ms", 2),
        fact("the same and the agent's, XOAUTH2", cpu["XOAUTH2"], " ms", 2),
    ]
