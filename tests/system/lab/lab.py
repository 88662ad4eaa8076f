"""The whole lab, or any part of it, and its end."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path

from . import ca, dovecot, fakesmtp, fault, idp, maildir, postfix, tenant
from .agent import PLUGINS, Agent
from .wait import until

DEBIAN_PLUGINS = ("libplain.so", "liblogin.so")
ACCOUNT = "relay@contoso.example"
AGENT_PASSWORD = "mailtoken:"


def _debian_plugin_directory() -> Path:
    return next(Path("/usr/lib").glob("*/sasl2"))


class Lab:
    """Makes parts on demand below one directory; stops all, last one first."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="mailtoken-lab-"))
        self.directory.chmod(0o755)     # daemons of five users live here
        self.ends = ExitStack()
        self.ends.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.idp = self.fault = self.fake = self.agent = None
        self.up = self.down = self.dovecot = None
        self.socket = self.directory / "agent.sock.d" / "agent.sock"
        self.sasl = self.directory / "sasl"
        self._ca = None

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.ends.close()

    @property
    def ca(self) -> ca.Authority:
        if self._ca is None:
            self._ca = ca.make(self.directory / "ca")
        return self._ca

    def plugins(self, build: Path = PLUGINS) -> Path:
        """A plugin directory with ours and two of Debian's.  Our own hosts
        take the one of their own build."""
        made = self.sasl if build == PLUGINS else self.directory / "sasl-own"
        if not made.exists():
            made.mkdir(mode=0o755)
            for name in DEBIAN_PLUGINS:
                shutil.copy(_debian_plugin_directory() / name, made)
            shutil.copy(build / "libxoauth2.so", made)
        return made

    def start_idp(self, **settings) -> idp.Provider:
        self.idp = idp.Provider(self.directory / "idp", self.ca, **settings)
        self.ends.callback(self.idp.stop)
        return self.idp

    def start_fault(self) -> fault.Fault:
        self.fault = fault.Fault()
        self.ends.callback(self.fault.stop)
        return self.fault

    def start_fake(self, mode: str = "ok") -> fakesmtp.FakeSmtp:
        self.fake = fakesmtp.FakeSmtp(mode)
        self.ends.callback(self.fake.stop)
        return self.fake

    def start_upstream(self, whole_tenant: bool = False) -> postfix.Postfix:
        """Needs the identity provider.  whole_tenant: an application's token
        opens every mailbox of its domain."""
        self.up = postfix.upstream(self.directory / "up", self.ca)
        self.dovecot = dovecot.Dovecot(
            self.directory / "dovecot", self.up.spool / "private" / "auth",
            self.idp.introspection_url, tenant=whole_tenant)
        self.ends.callback(self.dovecot.stop)
        self.ends.callback(self.up.stop)
        return self.up.start()

    @property
    def chroot_socket(self) -> Path:
        """What smtp(8) in its chroot sees as /run/mailtoken/agent.sock."""
        return self.directory.joinpath("down", "spool", "run", "mailtoken",
                                       "agent.sock")

    def make_agent(self, accounts: dict, name: str = "agent",
                   sockets: list = None, **settings) -> Agent:
        """Configured, not started; its end is taken care of."""
        (self.directory / "down").mkdir(mode=0o755, exist_ok=True)
        self.agent = Agent(self.directory / name,
                           sockets or [self.socket, self.chroot_socket],
                           accounts, settings)
        self.ends.callback(self.agent.stop)
        return self.agent

    def start_downstream(self, passwords: dict = None, chroot: bool = True,
                         **settings) -> postfix.Postfix:
        """Relays to the fake server if there is one, else to upstream."""
        environment = {"SASL_PATH": self.plugins()}
        if not chroot:
            environment["MAILTOKEN_SOCKET"] = self.socket
        self.down = postfix.downstream(
            self.directory / "down",
            self.fake.port if self.fake else self.up.port,
            passwords or {None: (ACCOUNT, AGENT_PASSWORD)}, environment,
            None if self.fake else self.ca.certificate, chroot, **settings)
        self.ends.callback(self.down.stop)
        return self.down.start()

    def set_passwords(self, passwords: dict):
        """Another password map for the downstream Postfix."""
        postfix.write_passwords(self.down, passwords)
        self.down.set()

    def idp_renewed(self, count: int):
        until(lambda: self.idp.count() >= count, 10,
              f"{count} requests at the provider")

    def delegated(self, **more) -> dict:
        """Keys of an account at the identity provider that logged in."""
        return {"provider": "custom", "grant": "refresh_token",
                "token_endpoint": self.idp.token_endpoint,
                "client_id": "native", "scope": idp.LOGIN_SCOPE,
                "ca_file": self.ca.certificate, "allow": "postfix"} | more

    def app_only(self, agent: Agent, encrypted: bool = False, **more) -> dict:
        """Keys of an account of an application with a certificate."""
        application = self.idp.application
        certificate = agent.directory / "relay.pem"
        certificate.write_text(application.certificate.read_text())
        key = agent.secret("relay.key", (
            application.encrypted_key if encrypted
            else application.key).read_text())
        keys = {"grant": "client_credentials", "client_id": "daemon-cert",
                "client_certificate": certificate,
                "client_key": key.removeprefix("file:"),
                "scope": idp.APP_SCOPE}
        if encrypted:
            keys["client_key_passphrase"] = agent.secret(
                "relay.passphrase", tenant.PASSPHRASE)
        return self.delegated(**keys) | more

    @staticmethod
    def faulty(endpoint: fault.Endpoint, **more) -> dict:
        """Keys of an account at one of fault.py's endpoints."""
        return {"provider": "custom", "grant": "refresh_token",
                "token_endpoint": endpoint.url, "insecure_http": "yes",
                "client_id": "native", "scope": "mail",
                "allow": "postfix"} | more

    def arrived(self) -> list:
        """Subjects of the messages in upstream's mailbox, when all that it
        has taken is there, or will not be there soon."""
        if self.up:
            until(lambda: all(m["queue_name"] == "deferred"
                              for m in self.up.queue()), 30, "deliveries")
        return maildir.subjects(self.directory / "up" / "mail" / "inbox")

    def logs(self) -> dict:
        """Log name -> text, of all that have written one."""
        return {str(path.relative_to(self.directory)):
                path.read_text(errors="replace")
                for pattern in ("*/log", "*/master.log")
                for path in sorted(self.directory.glob(pattern))}

    def relay(self, life: int = 3600, size: int = 0, chroot: bool = True,
              **settings) -> "Lab":
        """All of it, ready to relay ACCOUNT's mail."""
        self.start_idp(life=life, size=size)
        self.start_upstream()
        agent = self.make_agent({ACCOUNT: self.delegated()})
        agent.do("import", ACCOUNT, give=self.idp.login(ACCOUNT), agent=False)
        agent.start()
        self.start_downstream(chroot=chroot, **settings)
        return self
