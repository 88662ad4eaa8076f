"""The lab for Dovecot: a mail host upstream, what stands before it, the agent,
and a Dovecot with our modules downstream."""

import re
from contextlib import contextmanager

import pytest

from . import documented, front, idp, imap
from .askers import Dead, Dying, Hanging, Slow
from .agent import PLUGINS
from .lab import Lab

MODULES = PLUGINS / "dovecot"
PAGE_HOSTS = ("outlook.office365.com", "smtp.office365.com")


def name_of(request) -> str:
    """A test's name as a part of addresses, which Dovecot has in lower case,
    and of paths, which must be short for sockets."""
    words = re.sub(r"\W+", "-", request.node.name.removeprefix("test_"))
    return words.strip("-").lower()


class Dovecots(Lab):
    def __init__(self):
        if not (MODULES / "lib95_mailtoken_plugin.so").exists():
            pytest.skip("built without dovecot-dev")
        super().__init__()
        self.upstream = None
        # What the modules ask: a symbolic link to an agent, or to trouble.
        self.asked = self.directory / "asked.sock"
        self.point(self.socket)

    def begin(self, life: int = 3600, size: int = 0,
              whole_tenant: bool = False) -> "Dovecots":
        """The provider, the mail host, a sink for what it relays, and an
        agent that knows nobody yet.  whole_tenant: see start_upstream()."""
        imap.ensure_mail_user()
        self.start_idp(life=life, size=size)
        self.start_fake()
        self.upstream = imap.upstream(self.directory / "up", self.ca,
                                      self.idp.introspection_url,
                                      self.fake.port, whole_tenant)
        self.ends.callback(self.upstream.stop)
        self.upstream.start()
        self.make_agent({}, sockets=[self.socket])
        self.agent.start()
        return self

    def point(self, socket):
        """From now on, that is what stands at the modules' socket."""
        link = self.directory / "asked.new"
        link.symlink_to(socket)
        link.replace(self.asked)

    @contextmanager
    def trouble(self, kind: str):
        """absent: no agent; hanging: one that never answers; slow: one that
        takes its time; dying: one that ends when it is asked, before
        another comes; dead: all do."""
        other = {"absent": None, "hanging": Hanging, "slow": Slow,
                 "dying": Dying, "dead": Dead}[kind]
        path = self.directory / "trouble.sock"
        asker = other(path, self.socket) if other else None
        self.point(path)
        try:
            yield asker
        finally:
            self.point(self.socket)
            if asker:
                asker.stop()

    def account(self, name: str, **keys) -> str:
        """A mailbox upstream whose owner has logged in; returns its name."""
        self.agent.accounts[name] = self.delegated(
            allow=f"{imap.MAIL_USER} dovecot") | keys
        self.agent.write()
        self.agent.do("reload")
        self.agent.do("import", name, give=self.idp.login(name))
        return name

    def application(self, name: str):
        """An account of an application, without a person."""
        self.agent.accounts[name] = self.delegated(
            grant="client_credentials", client_id="daemon-secret",
            client_secret=self.agent.secret(f"{name}.secret",
                                            idp.CLIENT_SECRET),
            scope=idp.APP_SCOPE, allow=f"{imap.MAIL_USER} dovecot")
        self.agent.write()
        self.agent.do("reload")

    def front(self, kind=front.Front, port: int = None, **kw):
        made = kind(self.ca, port or self.upstream.ports.imap,
                    self.idp.expires, **kw)
        self.ends.callback(made.stop)
        return made

    def downstream(self, name: str, blocks: list, users: dict, port: int = None,
                   extra: str = "", modules=MODULES, start: bool = True,
                   submission_port: int = None, pop3_port: int = None,
                   environment: dict = None):
        """A documented configuration, for this lab's addresses and places.
        port is the one that is imaps upstream."""
        directory = self.directory / name
        up = self.upstream.ports
        here = {host: "127.0.0.1" for host in PAGE_HOSTS} | {
            "993": port or up.imaps, "995": pop3_port or up.pop3s,
            "587": submission_port or up.submission,
            "/etc/ssl/certs/ca-certificates.crt": self.ca.certificate,
            "/etc/dovecot/private/dovecot.pem": self.ca.server_certificate,
            "/etc/dovecot/private/dovecot.key": self.ca.server_key,
            "/etc/dovecot/users": directory / "users",
            "/var/vmail": directory / "mail"}
        instance = imap.Instance(
            directory,
            documented.configuration(imap.release(), blocks, here)
            + "\n" + extra, modules=modules,
            environment={"MAILTOKEN_SOCKET": self.asked} | (environment or {}))
        imap.write_users(directory / "users", users)
        if start:
            self.ends.callback(instance.stop)
            instance.start()
        return instance
