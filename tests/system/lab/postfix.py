"""A Postfix instance below one directory: Debian's own programs and Debian's
own master.cf, so that smtp(8) sits in the chroot as Debian ships it."""

import json
import os
import re
import shutil
import smtplib
import subprocess
from email.message import EmailMessage
from pathlib import Path

from .ports import free_port
from .process import Process
from .wait import until

MASTER_CF = Path("/usr/share/postfix/master.cf.dist")
START_S = 30

BASE = {
    "compatibility_level": "3.6",
    "command_directory": "/usr/sbin",
    "daemon_directory": "/usr/lib/postfix/sbin",
    "mail_owner": "postfix",
    "setgid_group": "postdrop",
    "mydestination": "",
    "mynetworks": "127.0.0.0/8",
    "inet_interfaces": "127.0.0.1",
    "inet_protocols": "ipv4",
    "alias_maps": "",
    "alias_database": "",
    "smtpd_peername_lookup": "no",
    "smtpd_client_connection_count_limit": "0",
}

# docs/postfix.md: one dead account must not hold up the others' mail to the
# same next hop.
RECIPE = {"smtp_destination_concurrency_failed_cohort_limit": "0"}


def _postconf_default(name: str) -> str:
    return subprocess.run(["postconf", "-dh", name], check=True, timeout=30,
                          capture_output=True, text=True).stdout.strip()


def _master_cf(port: int, smtpd: dict, chroot: bool) -> str:
    """Debian's file, with our port for smtpd."""
    text = MASTER_CF.read_text()
    options = "".join(f" -o {k}={v}" for k, v in smtpd.items())
    ours = f"127.0.0.1:{port} inet n - y - 200 smtpd{options}\n"
    text, n = re.subn(r"^smtp +inet .*\n", ours, text, count=1, flags=re.M)
    assert n == 1, f"no smtp service in {MASTER_CF}"
    if not chroot:
        text = re.sub(r"^((?:smtp|relay) +unix +- +- +)y", r"\1n", text,
                      flags=re.M)
    return text


class Postfix:
    """settings are main.cf's, beyond BASE; environment is what the daemons
    get by import_environment; smtpd are master.cf's -o for the listener."""

    def __init__(self, directory: Path, settings: dict, smtpd: dict = None,
                 environment: dict = None, chroot: bool = True):
        self.directory = directory
        self.etc = directory / "etc"
        self.spool = directory / "spool"
        self.log = directory / "log"
        self.port = free_port()
        self.process = None
        for path in (directory, self.etc, self.spool, directory / "data"):
            path.mkdir(mode=0o755, exist_ok=True)
        shutil.chown(directory / "data", "postfix")
        self.settings = BASE | {
            "queue_directory": self.spool,
            "data_directory": directory / "data",
            "myhostname": f"{directory.name}.mail.example",
            "syslog_name": directory.name,
            "maillog_file": self.log,
            "maillog_file_prefixes": directory,
            "import_environment": " ".join(
                [_postconf_default("import_environment")]
                + [f"{k}={v}" for k, v in (environment or {}).items()]),
        } | settings
        (self.etc / "master.cf").write_text(
            _master_cf(self.port, smtpd or {}, chroot))
        self._write_main()

    def _write_main(self):
        (self.etc / "main.cf").write_text("".join(
            f"{k} = {v}\n" for k, v in self.settings.items()))

    def run(self, command: str, *args, **kw) -> subprocess.CompletedProcess:
        return subprocess.run([command, "-c", self.etc, *args], timeout=60,
                              capture_output=True, text=True, **kw)

    def start(self):
        self.process = Process(["postfix", "-c", self.etc, "start-fg"],
                               self.directory / "master.log")
        try:
            self.process.wait_log("daemon started", START_S, self.log)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self):
        if self.process and self.process.alive():
            self.run("postfix", "stop")     # waits for the daemons, too
            self.process.stop()

    def set(self, **settings):
        self.settings |= settings
        self._write_main()
        self.run("postfix", "reload", check=True)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def deliveries(self, status: str) -> list:
        """The log's lines of smtp(8) with that status: sent, deferred..."""
        return [line for line in self.text().splitlines()
                if f" status={status} " in line and "/smtp[" in line]

    def queue(self) -> list:
        out = self.run("postqueue", "-j", check=True).stdout
        return [json.loads(line) for line in out.splitlines()]

    def flush(self):
        self.run("postqueue", "-f", check=True)

    def drain(self, timeout: float):
        """Flushes until everything has gone.  Once is not enough: what is
        just being deferred misses a flush."""
        def empty():
            self.flush()
            return not self.queue()
        until(empty, timeout, f"everything sent from {self.directory}", 1)

    def settle(self, timeout: float = 60):
        """Waits until every message in the queue has been deferred."""
        until(lambda: self.queue() and all(
            m["queue_name"] == "deferred" for m in self.queue()), timeout,
            f"only deferred messages in {self.directory}", 0.3)

    def wait_empty(self, timeout: float):
        until(lambda: not self.queue(), timeout,
              f"an empty queue in {self.directory}", pause=0.3)

    def wait_words(self, words: str, timeout: float = 30, times: int = 1):
        until(lambda: self.text().count(words) >= times, timeout,
              f"{words!r} {times} times in {self.log}")

    def send(self, number: int = 1, sender="relay@contoso.example",
             recipient="inbox@fabrikam.example", subject="message"):
        """Hands over messages by SMTP, in one session."""
        with smtplib.SMTP("127.0.0.1", self.port, "localhost", 60) as smtp:
            for i in range(number):
                message = EmailMessage()
                message["From"], message["To"] = sender, recipient
                message["Subject"] = f"{subject} {i}"
                message.set_content("Hello.\n" * 20)
                smtp.send_message(message)


def upstream(directory: Path, ca) -> Postfix:
    """A submission service: TLS only, SASL by Dovecot, mail to a Maildir."""
    settings = {
        "smtpd_sasl_auth_enable": "yes",
        "smtpd_sasl_type": "dovecot",
        "smtpd_sasl_path": "private/auth",
        "smtpd_sasl_security_options": "noanonymous",
        "smtpd_tls_cert_file": ca.server_certificate,
        "smtpd_tls_key_file": ca.server_key,
        "smtpd_relay_restrictions": "permit_sasl_authenticated, reject",
        "smtpd_recipient_restrictions": "permit_sasl_authenticated, reject",
        "smtpd_client_connection_rate_limit": "0",
        "virtual_mailbox_domains": "fabrikam.example",
        "virtual_mailbox_base": directory / "mail",
        "virtual_mailbox_maps": "static:inbox/",
        "virtual_uid_maps": "static:65534",
        "virtual_gid_maps": "static:65534",
    }
    postfix = Postfix(directory, settings, smtpd={
        "smtpd_tls_security_level": "encrypt", "smtpd_tls_auth_only": "yes"})
    (directory / "mail").mkdir(mode=0o755)
    os.chown(directory / "mail", 65534, 65534)
    # Dovecot puts its socket there before Postfix starts.
    private = postfix.spool / "private"
    private.mkdir(mode=0o700)
    shutil.chown(private, "postfix")
    return postfix


def downstream(directory: Path, relay_port: int, passwords: dict,
               environment: dict, ca_file: Path = None, chroot: bool = True,
               **settings) -> Postfix:
    """A relay client.  passwords: sender or None for all -> (user, password);
    no ca_file: no TLS."""
    postfix = Postfix(directory, {
        "relayhost": f"[127.0.0.1]:{relay_port}",
        "smtp_sasl_auth_enable": "yes",
        "smtp_sasl_type": "cyrus",
        "smtp_sasl_password_maps": f"texthash:{directory}/etc/sasl_passwd",
        "smtp_sasl_security_options": "noanonymous",
        "smtp_sasl_tls_security_options": "noanonymous",
        "smtp_sasl_mechanism_filter": "xoauth2",
        "smtp_tls_security_level": "secure" if ca_file else "none",
        "smtp_tls_secure_cert_match": "localhost",
        "smtp_connection_cache_on_demand": "no",
        "smtpd_relay_restrictions": "permit_mynetworks, reject",
        "minimal_backoff_time": "300s",
        "queue_run_delay": "300s",
    } | ({"smtp_tls_CAfile": ca_file} if ca_file else {}) | settings,
        environment=environment, chroot=chroot)
    write_passwords(postfix, passwords)
    return postfix


def write_passwords(postfix: Postfix, passwords: dict):
    hop = postfix.settings["relayhost"]
    path = postfix.etc / "sasl_passwd"
    path.write_text("".join(
        f"{sender or hop} {user}:{password}\n"
        for sender, (user, password) in passwords.items()))
    path.chmod(0o600)
