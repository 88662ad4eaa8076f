"""exim as Debian builds it, out of its package: installed, it would take
Postfix's place.  It runs in a mount namespace of its own, where its user
exists."""

import subprocess
from pathlib import Path

from .agent import client_environment
from .clients import unpacked

PACKAGE = "exim4-daemon-light"
USER, UID = "Debian-exim", 64101
TIMEOUT_S = 60
PASSWD = f"{USER}:x:{UID}:{UID}::/nonexistent:/usr/sbin/nologin\n"
GROUP = f"{USER}:x:{UID}:\n"
IN_NAMESPACE = ('mount --bind "$1/passwd" /etc/passwd && '
                'mount --bind "$1/group" /etc/group && shift && exec "$@"')


def program() -> Path:
    return unpacked(PACKAGE)[0] / "usr" / "sbin" / "exim4"


class Exim:
    """Sends by the page's authenticator, transport and router."""

    def __init__(self, lab, page):
        self.directory = lab.directory / "exim"
        for path in (self.directory, self.directory / "spool",
                     self.directory / "logs"):
            path.mkdir(mode=0o755)
        for path in ("spool", "logs"):
            (self.directory / path).chmod(0o777)
        (self.directory / "passwd").write_text(
            Path("/etc/passwd").read_text() + PASSWD)
        (self.directory / "group").write_text(
            Path("/etc/group").read_text() + GROUP)
        here = {"/run/mailtoken/agent.sock": lab.socket,
                "/etc/ssl/certs/ca-certificates.crt": lab.ca.certificate,
                "smtp.office365.com": "localhost"}
        parts = {name: page.block(f"exim-{name}", here)
                 for name in ("authenticator", "transport", "router")}
        parts["transport"] = parts["transport"].replace(
            "port = 587", f"port = {lab.up.port}")
        # The lab's server is on this host.
        parts["router"] = parts["router"].rstrip() + "\n  self = send\n"
        self.conf = self.directory / "exim.conf"
        self.conf.write_text(
            f"spool_directory = {self.directory}/spool\n"
            f"log_file_path = {self.directory}/logs/%slog\n"
            f"exim_path = {program()}\n"
            "primary_hostname = down.mail.example\n"
            "domainlist local_domains = localdomain\n"
            "keep_environment =\n" + "\n".join(parts.values())
            + "\nbegin retry\n* * F,1h,5m\n")

    def run(self, *args, give: str = "") -> subprocess.CompletedProcess:
        return subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c",
             IN_NAMESPACE, "sh", self.directory, program(), "-C", self.conf,
             *args], input=give, text=True, capture_output=True,
            timeout=TIMEOUT_S, env=client_environment())

    def send(self, sender: str, to: str, subject: str):
        """Tries to deliver at once, and waits for that."""
        done = self.run("-odi", "-f", sender, to, give=(
            f"From: {sender}\nTo: {to}\nSubject: {subject}\n\nHello.\n"))
        assert done.returncode == 0, (done.stdout, done.stderr)

    def text(self) -> str:
        return "".join(path.read_text()
                       for path in (self.directory / "logs").glob("*log"))
