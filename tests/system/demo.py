"""Relays one message end to end on loopback, and shows what happens.

Everything is real: an OAuth2 provider, mailtokend, a Postfix whose smtp(8)
sits in its chroot, and a submission server that takes XOAUTH2 only.  Exits
with 0 only if the message arrived."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from lab import maildir
from lab.lab import ACCOUNT, Lab

HEADERS = ("Return-Path", "From", "To", "Subject", "Received")
LIMIT_S = 180
IDP_INSTALL = Path(__file__).parent / "idp" / "install"


def say(subject: str, words: str):
    print(f"{subject:<11} {words}", flush=True)


def provider_and_upstream(lab: Lab):
    lab.start_idp(life=3600)
    say("provider", f"oidc-provider answers at {lab.idp.issuer}")
    lab.start_upstream()
    say("upstream", f"submission service at 127.0.0.1:{lab.up.port}: "
        "STARTTLS, then XOAUTH2, tokens checked at the provider")


def agent(lab: Lab):
    made = lab.make_agent({ACCOUNT: lab.delegated()})
    made.do("import", ACCOUNT, give=lab.idp.login(ACCOUNT), agent=False)
    say("account", f"{ACCOUNT} has logged in; its refresh token is imported")
    made.start()
    status = Path(f"/proc/{made.process.pid}/status").read_text()
    uid = re.search(r"^Uid:\s+(\d+)", status, re.M)[1]
    say("agent", f"mailtokend runs as uid {uid} and listens in the chroot")


def relay(lab: Lab):
    lab.start_downstream()
    chroot = lab.down.run("postconf", "-F", "smtp/unix/chroot").stdout.strip()
    say("Postfix", f"configured; {chroot}, "
        f"relayhost = {lab.down.settings['relayhost']}")
    lab.down.send(1, subject="Hello by XOAUTH2, number")
    say("message", "sent to Postfix")
    lab.down.wait_empty(30)
    lab.up.wait_empty(30)


def show_result(lab: Lab):
    login = re.search(r"sasl_method=XOAUTH2, sasl_username=\S+", lab.up.text())
    assert login, "upstream saw no XOAUTH2 login"
    say("accepted", f"upstream logs {login[0]}")
    arrived = maildir.messages(lab.directory / "up" / "mail" / "inbox")
    assert len(arrived) == 1, f"{len(arrived)} messages arrived"
    say("delivered", "the message as it arrived:")
    for name, value in arrived[0].items():
        if name in HEADERS:
            print(f"    {name}: {' '.join(value.split())[:90]}")


def main() -> int:
    if os.geteuid() != 0:
        print("demo: must run as root: its servers run under several users",
              file=sys.stderr)
        return 77
    signal.alarm(LIMIT_S)
    if subprocess.run([IDP_INSTALL], timeout=LIMIT_S).returncode != 0:
        print("demo: npm could not install the test identity provider: its "
              "words are above; is the npm registry reachable?",
              file=sys.stderr)
        return 1
    with Lab() as lab:
        try:
            for step in (provider_and_upstream, agent, relay, show_result):
                step(lab)
        except Exception as error:
            for name, text in lab.logs().items():
                print(f"--- {name}\n{text[-1500:]}", file=sys.stderr)
            print(f"demo: failed: {error}", file=sys.stderr)
            return 1
    say("end", "everything is shut down")
    return 0


if __name__ == "__main__":
    sys.exit(main())
