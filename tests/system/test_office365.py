"""docs/office365.md as an administrator follows it: every block of commands
is run in its order, from an application without a certificate to delivered
mail, and what they print is what the page shows.

In the lab, Microsoft is the test provider and Exchange the upstream Postfix;
only names of hosts and places, client IDs and what tells the provider are
replaced, see Walk.here()."""

import re
import subprocess
import time
from pathlib import Path

import jwt
import pytest

from lab import idp, peer, postfix
from lab.agent import BUILD, USER, Agent, client_environment
from lab.process import Process
from lab.wait import until

PAGE = Path(__file__).parents[2] / "docs" / "office365.md"
BLOCK = re.compile(r"^```(sh|output|ini|powershell)(?: (\S+))?\n(.*?)^```$",
                   re.M | re.S)
APP, ANNA = "relay@contoso.example", "anna@contoso.example"
SECRET_APP = "secret@contoso.example"
APP_ID = "11111111-2222-3333-4444-555555555555"
OBJECT_ID = "99999999-8888-7777-6666-555555555555"
TENANT_ID = "aaaaaaaa-1111-2222-3333-444444444444"
SMTP_HOST = "smtp.office365.com"
DELIVERY_S = 30
URL = re.compile(r"https://\S+/auth\?\S+")


def blocks(kind: str) -> dict:
    return {name: text for k, name, text in BLOCK.findall(PAGE.read_text())
            if k == kind and name}


def pattern(shown: str) -> re.Pattern:
    """What the page shows: blanks are any, "..." is anything in its line, and
    a line of nothing else is any lines."""
    lines = []
    for line in shown.splitlines():
        words = [re.escape(w).replace(r"\.\.\.", r"[^\n]*")
                 for w in line.split()]
        lines.append(r"(?:[^\n]*\n)*" if line.strip() == "..." else
                     r"[ \t]*" + r"[ \t]+".join(words) + r"[ \t]*\n")
    return re.compile("".join(lines))


class Walk:
    """A host on which somebody follows the page."""

    def __init__(self, lab):
        self.lab = lab
        self.agent = lab.make_agent({})
        self.done = []
        self.commands = lab.directory / "commands"
        self.commands.mkdir(mode=0o755)
        self.make_postfix()
        self.command("mailtoken", f'exec "{BUILD}/mailtoken" -c "$CONF" "$@"')

    def make_postfix(self):
        """Installed and running, and it relays nowhere yet."""
        lab = self.lab
        self.postfix = lab.down = postfix.Postfix(
            lab.directory / "down", {
                "relayhost": "", "smtpd_relay_restrictions":
                "permit_mynetworks, reject",
                # Postfix finds no addresses in certificates.
                "smtp_tls_secure_cert_match": "localhost"},
            environment={"SASL_PATH": lab.plugins()})
        lab.ends.callback(self.postfix.stop)
        self.postfix.start()
        etc = self.postfix.etc
        self.command("postconf", f'exec /usr/sbin/postconf -c "{etc}" "$@"')
        self.command("postmap", f'exec /usr/sbin/postmap -c "{etc}" "$@"')
        self.command("postfix", f'exec /usr/sbin/postfix -c "{etc}" "$@"')
        # sendmail(1) submits to the system's Postfix only.
        self.command("sendmail", 'exec /usr/bin/python3 -c \'import smtplib, '
                     'sys; smtplib.SMTP("127.0.0.1", '
                     f'{self.postfix.port}, "localhost").sendmail(sys.argv[2], '
                     'sys.argv[3:], sys.stdin.read())\' "$@"')

    def command(self, name: str, text: str):
        path = self.commands / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def upload_certificate(self):
        """What is done at Microsoft: the provider knows the certificate."""
        self.lab.start_idp(certificate=self.agent.directory / "relay.pem",
                           mailbox=APP)
        self.lab.start_upstream(whole_tenant=True)

    def here(self) -> dict:
        """What is different here: old words -> new."""
        words = {"/etc/mailtoken": self.agent.directory,
                 "/etc/postfix": self.postfix.etc}
        if not self.lab.idp:
            return words
        ca, port = self.lab.ca.certificate, self.lab.up.port
        microsoft = "--provider microsoft --tenant contoso.example"
        custom = (f"--provider custom --issuer {self.lab.idp.issuer}"
                  f" --ca-file {ca}")
        return words | {
            f"{microsoft} --grant client_credentials":
            f"{custom} --scope {idp.APP_SCOPE} --grant client_credentials",
            f"{microsoft} --grant refresh_token":
            f"{custom} --scope '{idp.LOGIN_SCOPE}' --grant refresh_token",
            "--client-id 11111111-2222-3333-4444-555555555555": "--client-id daemon-cert",
            "--client-id 11111111-2222-3333-4444-666666666666": "--client-id daemon-secret",
            "--client-id 11111111-2222-3333-4444-777777777777": "--client-id native",
            f"[{SMTP_HOST}]:587": f"[127.0.0.1]:{port}",
            f"{SMTP_HOST}:587": f"127.0.0.1:{port}",
            "--smtp": f"--smtp --host 127.0.0.1:{port} --ca {ca}",
            "/etc/ssl/certs/ca-certificates.crt": ca,
        }

    def translate(self, text: str) -> str:
        here = self.here()
        for words in sorted(here, key=len, reverse=True):
            text = text.replace(words, str(here[words]))
        return text

    def environment(self, agent: Agent = None) -> dict:
        agent = agent or self.agent
        path = f"{self.commands}:" + client_environment()["PATH"]
        return client_environment(PATH=path, CONF=str(agent.conf),
                                  MAILTOKEN_SOCKET=str(agent.sockets[0]))

    def run(self, name: str, agent: Agent = None) -> str:
        """Runs a block; what it prints must be what the page shows."""
        output = self.shell(self.translate(blocks("sh")[name]), agent)
        self.shown(name, output)
        return output

    def shell(self, script: str, agent: Agent = None) -> str:
        done = subprocess.run(["sh", "-eu", "-c", script], text=True,
                              stdin=subprocess.DEVNULL, timeout=60,
                              stdout=subprocess.PIPE,
                              env=self.environment(agent),
                              stderr=subprocess.STDOUT)
        assert done.returncode == 0, (script, done.stdout)
        return done.stdout

    def shown(self, name: str, output: str):
        expected = blocks("output").get(name)
        if expected:
            found = pattern(self.translate(expected)).search(output)
            assert found, f"{name}: shown:\n{expected}printed:\n{output}"
        self.done.append(name)

    def send(self, sender: str, subject: str):
        """Through Postfix, until it has arrived upstream."""
        self.postfix.send(1, sender=sender, subject=subject)
        self.arrived(subject)

    def arrived(self, subject: str):
        until(lambda: any(subject in s for s in self.lab.arrived()),
              DELIVERY_S, f"the message {subject!r}")


def entra_claims() -> dict:
    """Of an application's token, as Microsoft documents them."""
    now = int(time.time())
    return {"aud": "https://outlook.office365.com", "tid": TENANT_ID,
            "iss": f"https://sts.windows.net/{TENANT_ID}/", "ver": "1.0",
            "iat": now, "nbf": now, "exp": now + 3600, "idtyp": "app",
            "appid": APP_ID, "app_displayname": "mailtoken relay",
            "oid": OBJECT_ID, "sub": OBJECT_ID, "roles": ["SMTP.SendAsApp"]}


def steps_at_exchange() -> list:
    """What the page has to be typed for this application and mailbox."""
    text = PAGE.read_text().split("### 7.")[0].split("### 5.")[1]
    lines = "".join(block for kind, _, block in BLOCK.findall(text)
                    if kind == "powershell").splitlines()
    return [line.replace("<client ID>", APP_ID).replace(
        "<object ID of the enterprise application>", OBJECT_ID)
        for line in lines if "list@" not in line]


@pytest.fixture(scope="module")
def walk(shared_lab):
    return Walk(shared_lab)


def test_certificate(walk):
    walk.run("certificate")
    key = walk.agent.directory / "relay.key"
    assert key.stat().st_mode & 0o777 == 0o600 and key.owner() == USER
    walk.upload_certificate()


def test_account(walk):
    walk.run("add")
    conf = walk.agent.conf.read_text()
    assert f"[account {APP}]" in conf and "client_certificate = " in conf
    walk.agent.start()


def test_token(walk):
    """A certificate, no secret, no person: the provider gave a token."""
    until(lambda: walk.lab.idp.count("client_credentials"), 10, "a request")
    walk.run("status")


def test_what_is_in_the_token(walk):
    """The test provider's tokens say nothing; this is one of Entra ID's, by
    its shape."""
    endpoint = walk.lab.start_fault().endpoint("entra")
    endpoint.access_token = jwt.encode(entra_claims(), "key of nobody",
                                       headers={"kid": "lab"})
    other = Agent(walk.lab.directory / "other",
                  [walk.lab.directory / "other.sock.d" / "agent.sock"], {})
    other.accounts[APP] = walk.lab.faulty(
        endpoint, grant="client_credentials", client_id=APP_ID,
        client_secret=other.secret("secret", "any"), services="smtp")
    other.write()
    text = walk.run("inspect", agent=other)
    assert endpoint.access_token not in text
    for command in steps_at_exchange():
        assert command in text


def test_mailbox(walk):
    walk.run("test")
    until(lambda: " auth=1 mail=1 quit=1 " in walk.lab.up.text(), 10,
          "a login without a message")
    assert not walk.lab.arrived()


def test_relay(walk):
    walk.run("postfix")
    walk.run("send")
    walk.arrived("by mailtoken")
    assert walk.postfix.deliveries("sent")


def test_several_mailboxes(walk):
    walk.run("mailboxes")
    for sender in ("sales@contoso.example", "help@contoso.example"):
        walk.send(sender, f"from {sender}")
        assert f"sasl_username={sender}" in walk.lab.up.text()


def test_renewed_certificate(walk):
    before = walk.lab.idp.count("client_credentials")
    walk.run("renewed")
    assert walk.lab.idp.count("client_credentials") > before


def test_secret(walk):
    walk.agent.secret("relay.secret", idp.CLIENT_SECRET)
    walk.run("add-secret")
    assert walk.lab.idp.requests()[-1]["client"] == "daemon-secret"


def test_login(walk):
    """In a browser, whose redirect reaches the command as it would through
    the line that it prints."""
    walk.run("add-login")
    script = walk.translate(blocks("sh")["login"])
    login = Process(["sh", "-eu", "-c", script],
                    walk.lab.directory / "login.log", env=walk.environment())
    try:
        until(lambda: URL.search(login.text()), 20, "an address to open")
        assert "ssh -L" in login.text()
        peer.Person(walk.lab.idp).visit(URL.search(login.text())[0], ANNA)
        assert login.popen.wait(20) == 0, login.text()
    finally:
        login.stop()
    walk.shown("login", login.text())
    walk.run("login-test")
    assert walk.lab.idp.requests()[-1]["client"] == "native"


def test_explain(walk):
    assert "Conditional Access" in walk.run("explain")


def test_limits(walk):
    """The transport and its settings are as Postfix wants them."""
    master = walk.postfix.etc / "master.cf"
    with open(master, "a") as file:
        file.write(blocks("ini")["limits-master"])
    lines = blocks("ini")["limits-main"].splitlines()
    subprocess.run([walk.commands / "postconf", "-e", *lines], check=True,
                   timeout=30)
    subprocess.run([walk.commands / "postfix", "reload"], check=True,
                   timeout=30, capture_output=True)
    walk.send(APP, "within the limits")
    assert "down/office365/smtp[" in walk.postfix.text() or (
        "postfix/office365/smtp[" in walk.postfix.text())
    walk.done += ["limits-master", "limits-main"]


def test_leaked(walk):
    """Nobody gets the login's tokens any more; the application goes on."""
    walk.run("leaked")
    assert walk.agent.cli("token", ANNA).returncode != 0
    walk.run("leaked-refresh")
    walk.send(APP, "after the leak")


def test_accounts_as_they_stand(walk):
    """What the lab replaced: accounts at Microsoft, as the page has them."""
    text = PAGE.read_text().replace("\\\n", " ")
    commands = re.findall(r"^ *(mailtoken add .*--provider microsoft.*)$",
                          text, re.M)
    assert len(commands) == 4
    for command in commands:
        command = command.replace("/etc/mailtoken",
                                  str(walk.agent.directory))
        command = command.replace("mailtoken add ", "mailtoken add new-")
        section = walk.shell(f"{command} --dry-run")
        assert "provider = microsoft\n" in section


def test_nothing_was_left_out(walk):
    assert set(walk.done) == set(blocks("sh")) | set(blocks("ini"))
    assert set(blocks("output")) <= set(walk.done)
    for link in re.findall(r"\]\((\w+\.md)", PAGE.read_text()):
        assert (PAGE.parent / link).exists(), link
