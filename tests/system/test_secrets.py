"""No token, no refresh token, no client secret where it does not belong."""

import base64
import subprocess
import urllib.parse

from lab import idp
from lab.agent import BUILD, client_environment
from lab.lab import ACCOUNT


def forms(secret: str) -> set:
    """A secret as it is, as in a form, and as in base64."""
    return {secret, urllib.parse.quote_plus(secret),
            base64.b64encode(secret.encode()).decode().rstrip("=")}


def test_nothing_leaks(lab):
    """A life with everything in it: renewals, a refusal, errors, a restart."""
    lab.relay(life=4)
    agent = lab.agent
    agent.accounts["app"] = lab.delegated(
        grant="client_credentials", client_id="daemon-basic",
        client_auth="basic", scope=idp.APP_SCOPE,
        client_secret=agent.secret("client.secret", idp.CLIENT_SECRET))
    agent.accounts["wrong"] = agent.accounts["app"] | {
        "client_secret": agent.secret("wrong.secret", "wrong" * 10)}
    agent.write()
    outputs = [agent.cli("reload"), agent.cli("refresh", "app"),
               agent.cli("refresh", "wrong")]
    lab.down.send(5)
    lab.down.wait_empty(30)
    lab.idp.revoke(agent.do("token", ACCOUNT).strip())
    lab.down.send(5)
    agent.stop()
    agent.start()
    outputs += [agent.cli("refresh", ACCOUNT), agent.cli("status"),
                agent.cli("status", "--json"), agent.cli("check")]
    seen = " ".join(list(lab.logs().values())
                    + [o.stdout + o.stderr for o in outputs])
    seen += processes(agent)

    secrets = set(lab.idp.issued()) | {idp.CLIENT_SECRET, "wrong" * 10}
    assert len(secrets) > 6
    leaked = [s[:6] for s in secrets if any(f in seen for f in forms(s))]
    assert not leaked


def processes(agent) -> str:
    """Arguments and environment of the agent, and of a command that has
    just read a refresh token."""
    waiting = subprocess.Popen(
        [BUILD / "mailtoken", "-c", agent.conf, "import", ACCOUNT],
        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=client_environment())
    try:
        waiting.stdin.write(b"half-a-token")
        waiting.stdin.flush()
        return "".join(
            open(f"/proc/{pid}/{name}", errors="replace").read()
            for pid in (agent.process.pid, waiting.pid)
            for name in ("cmdline", "environ"))
    finally:
        waiting.kill()
        waiting.wait(10)
        waiting.stdin.close()
