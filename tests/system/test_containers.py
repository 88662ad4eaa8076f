"""docs/containers.md: its scripts, settings and Compose files, as an engine
would run them; see lab/container.py."""

import os
import re
import smtplib
import subprocess

import pytest

from lab import container, idp
from lab.agent import BUILD, client_environment
from lab.lab import ACCOUNT
from lab.page import Page
from lab.ports import free_port
from lab.wait import until

UPSTREAM = "[smtp.office365.com]:587"
SCRIPTS = ("relay-entry", "agent-entry", "postfix-entry", "stdio-entry",
           "postfix-setup", "stdio-setup")
KILL_AGENT = """
for process in /proc/[0-9]*; do
    [ "$(cat $process/comm)" != mailtokend ] || kill -KILL ${process#/proc/}
done
"""
SENDER = "sales@contoso.example"
TO = "inbox@fabrikam.example"


class Host:
    """A host with an engine, and a provider and a mail server elsewhere."""

    def __init__(self, lab):
        self.lab = lab
        self.page = Page("containers.md")
        lab.start_idp()
        lab.start_upstream(whole_tenant=True)
        self.files = lab.directory / "files"
        self.files.mkdir(mode=0o755)
        # As somebody who has not read the last section would have them.
        self.file("relay.secret", idp.CLIENT_SECRET + "\n", 0o644)
        self.file("relay.crt", lab.idp.application.certificate.read_text())
        self.file("relay.key", lab.idp.application.key.read_text(), 0o644)
        for name in ("relay", "agent", "stdio"):
            self.file(f"{name}.conf", self.configuration(f"{name}.conf"),
                      0o640)
        subprocess.run(["sh", "-euc", self.page.block("files", {})],
                       cwd=self.files, check=True, timeout=30)

    def file(self, name: str, text: str, mode: int = 0o644):
        path = self.files / name
        path.write_text(text)
        path.chmod(mode)

    def configuration(self, name: str) -> str:
        """At the test provider instead of Microsoft."""
        lab = self.lab
        text = self.page.block(name, {})
        client = "daemon-cert" if "client_key" in text else "daemon-secret"
        for old, new in (
                ("provider = microsoft\n", "provider = custom\n"),
                ("tenant = contoso.example\n", f"scope = {idp.APP_SCOPE}\n"
                 f"token_endpoint = {lab.idp.token_endpoint}\n"),
                ("11111111-2222-3333-4444-555555555555", client)):
            assert old in text
            text = text.replace(old, new)
        return text

    def image(self, name: str, *setup) -> container.Image:
        lab = self.lab
        directory = lab.directory / name
        directory.mkdir(mode=0o755)
        image = container.Image(directory, lab.plugins(), lab.ca.certificate)
        image.port = free_port()
        for script in SCRIPTS:
            image.script(script, self.page.block(script, {}).replace(
                UPSTREAM, f"[127.0.0.1]:{lab.up.port}"))
        image.script("lab-setup", f"""#!/bin/sh -eu
            postconf -e 'smtp_tls_secure_cert_match = localhost'
            postconf -M# smtp/inet
            here=127.0.0.1:{image.port}
            postconf -M "$here/inet=$here inet n - n - - smtpd"
            """)
        for script in (*setup, "lab-setup"):
            image.build(script)
        return image

    def start(self, image, yaml: str) -> dict:
        volumes = image.directory / "volumes"
        volumes.mkdir(mode=0o755)
        made = {}
        services = container.services(self.page.block(yaml, {}))
        if len(services) > 1:
            self.prepare(volumes)
        for name, service in services.items():
            made[name] = container.Container(
                image, f"{image.directory.name}-{name}", service, self.files,
                volumes)
            self.lab.ends.callback(made[name].stop)
            made[name].start()
        return made

    def prepare(self, volumes):
        """The page's commands for new volumes."""
        script = self.page.block("volumes", {})
        for path, name in (("/run/mailtoken", "socket"),
                           ("/var/lib/mailtoken", "state")):
            (volumes / name).mkdir()
            script = script.replace(path, str(volumes / name))
        subprocess.run(["sh", "-euc", script], check=True, timeout=30)

    def send(self, image, subject: str, sender: str = SENDER):
        with smtplib.SMTP("127.0.0.1", image.port, "localhost", 30) as smtp:
            smtp.sendmail(sender, [TO], f"Subject: {subject}\n\nHello.\n")

    def arrived(self, subject: str):
        until(lambda: any(subject in (s or "") for s in self.lab.arrived()),
              20, f"the message {subject!r}")

    def relayed(self, image, subject: str, **kw):
        self.send(image, subject, **kw)
        self.arrived(subject)

    def nothing_leaked(self, *containers):
        text = "".join(c.text() for c in containers)
        secrets = {*self.lab.idp.issued(), idp.CLIENT_SECRET}
        assert not any(secret in text for secret in secrets)


@pytest.fixture(scope="module")
def host(shared_lab):
    return Host(shared_lab)


def postfix_runs(made):
    made.wait("daemon started")
    assert "warning: " not in made.text()


def nothing_can_be_written(made, *places):
    """But where the page says so."""
    assert made.run("touch", "/tmp/x").returncode == 0
    for place in ("/", "/etc", "/usr", "/var", "/etc/mailtoken",
                  "/etc/postfix", "/var/lib", *places):
        assert made.run("touch", f"{place}/x").returncode != 0, place


@pytest.fixture(scope="module")
def one(host):
    """A: one container."""
    image = host.image("one", "postfix-setup")
    made = host.start(image, "relay.yaml")["relay"]
    postfix_runs(made)
    return image, made


def test_one_container_relays(host, one):
    image, made = one
    host.relayed(image, "from one container", sender=ACCOUNT)
    assert f"sasl_username={ACCOUNT}" in host.lab.up.text()
    assert f"service=smtp uid={container.UIDS['postfix']} " in made.text()
    nothing_can_be_written(made)


def test_one_container_can_be_administered(one):
    status = one[1].run("mailtoken", "status")
    assert status.returncode == 0 and " ok " in status.stdout, status.stderr
    assert "nothing wrong" in one[1].run("mailtoken", "check").stderr


def test_one_container_ends_as_told(host, one):
    image, made = one
    assert made.stop() == 0
    assert "event=stopped" in made.text()
    host.nothing_leaked(made)


def test_one_container_starts_again(host, one):
    """Queue, state and the rest of a life before are no hindrance; and if
    the agent is killed, the container ends, for the engine to start anew."""
    image, made = one
    made.start()
    until(lambda: made.text().count("daemon started") == 2, 20, "the start")
    host.relayed(image, "second life", sender=ACCOUNT)
    made.run("sh", "-uc", KILL_AGENT)     # and this ends with the container
    until(lambda: not made.alive(), 30, "the end of the container")
    assert made.process.popen.returncode != 0


def said(host, made, words: str):
    """It is in the log, and in the page's table of what a log may say."""
    assert words in made.text()
    assert words in host.page.text.split("## When it does not start")[1]


@pytest.fixture(scope="module")
def two(host):
    """B: the agent beside Postfix."""
    image = host.image("two", "postfix-setup")
    made = host.start(image, "sidecar.yaml")
    made["agent"].wait("event=ready")
    postfix_runs(made["postfix"])
    return image, made


def test_sidecar_relays(host, two):
    image, made = two
    host.relayed(image, "by the sidecar", sender=ACCOUNT)
    assert f"uid={container.UIDS['postfix']}" in made["agent"].text()


def test_sidecar_has_no_privileges(two):
    """Not root, no capability, no way to get one."""
    agent = two[1]["agent"]
    status = open(f"/proc/{agent.pid}/status").read()
    assert re.search(rf"^Uid:(\s+{container.UIDS['mailtoken']}){{4}}$",
                     status, re.M)
    for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert re.search(rf"^Cap{kind}:\s+0+$", status, re.M), status
    assert re.search(r"^NoNewPrivs:\s+1$", status, re.M)
    nothing_can_be_written(agent)
    assert agent.run("test", "-e", "/").returncode == 0
    assert agent.run("test", "-e", "/var/spool/postfix").returncode == 1


def test_postfix_beside_has_no_secret(two):
    postfix = two[1]["postfix"]
    assert postfix.run("test", "-e", "/run/secrets").returncode != 0
    assert postfix.run("test", "-e", "/var/lib/mailtoken").returncode != 0
    nothing_can_be_written(postfix, "/run/mailtoken")


def test_sidecar_away(host, two):
    """Mail waits, and goes when the agent is back."""
    image, made = two
    assert made["agent"].stop() == 0
    host.send(image, "while it was away", sender=ACCOUNT)
    made["postfix"].wait("status=deferred")
    said(host, made["postfix"], "the agent does not answer at")
    made["agent"].start()
    until(lambda: made["agent"].text().count("event=ready") == 2, 20,
          "the agent")
    made["postfix"].run("postqueue", "-f")
    host.arrived("while it was away")
    made["postfix"].stop()
    host.nothing_leaked(*made.values())


def test_postfix_alone(host):
    """C: no agent runs, and one request is made for several senders."""
    image = host.image("alone", "postfix-setup", "stdio-setup")
    before = host.lab.idp.count("client_credentials")
    made = host.start(image, "stdio.yaml")["postfix"]
    postfix_runs(made)
    for i in range(5):
        host.send(image, f"alone {i}", sender=f"user{i}@contoso.example")
    for i in range(5):
        host.arrived(f"alone {i}")
        assert f"sasl_username=user{i}@contoso.example" in host.lab.up.text()
    assert host.lab.idp.count("client_credentials") == before + 1
    nothing_can_be_written(made)
    made.stop()
    host.nothing_leaked(made)


@pytest.mark.parametrize("what, words", [
    ("state", "belongs to uid"), ("key", "lets others use it")])
def test_wrong_owners(host, two, what, words):
    """What the page's last table names is what is said."""
    image, made = two
    service = dict(made["agent"].service)
    service["entrypoint"] = ["mailtokend", "-f"]
    volumes = host.lab.directory / f"wrong-{what}"
    volumes.mkdir()
    for name in ("state", "socket"):
        (volumes / name).mkdir(mode=0o700)
        os.chown(volumes / name, 8125, 8125)
    if what == "state":
        os.chown(volumes / "state", 0, 0)      # as engines make them
        (volumes / "state").chmod(0o755)
    else:
        host.file("agent.conf", host.configuration("agent.conf").replace(
            "/run/keys", "/run/secrets"), 0o644)
    agent = container.Container(image, f"wrong-agent-{what}", service,
                                host.files, volumes)
    host.lab.ends.callback(agent.stop)
    agent.start()
    agent.wait(words)
    said(host, agent, words)


def test_kubernetes(host):
    """What the webhook sets is all that the account needs."""
    host.file("federated", "token-of-the-cluster\n")
    host.file("k8s.conf", "[agent]\nstate_dir = /nonexistent\n"
              + host.page.block("kubernetes.conf", {}), 0o640)
    variables = {"AZURE_CLIENT_ID": "11111111-2222-3333-4444-555555555555",
                 "AZURE_TENANT_ID": "contoso.example",
                 "AZURE_FEDERATED_TOKEN_FILE": str(host.files / "federated"),
                 "AZURE_AUTHORITY_HOST": "https://login.microsoftonline.com/"}
    assert all(name in host.page.text for name in variables)

    def says(**environment) -> str:
        done = subprocess.run(
            [BUILD / "mailtokend", "-n", "-c", host.files / "k8s.conf"],
            env=client_environment(**environment), capture_output=True,
            text=True, timeout=30)
        return "" if done.returncode == 0 else done.stderr
    assert says(**variables) == ""
    assert "AZURE_TENANT_ID" in says() or "tenant" in says()


def test_nothing_was_left_out(host):
    assert host.page.used == set(host.page.blocks) - {"image"}
    image = host.page.blocks["image"]
    for script in SCRIPTS:
        assert script in image
    for name, uid in container.UIDS.items():
        assert re.search(rf"--uid {uid} .* {name}\b", image)
