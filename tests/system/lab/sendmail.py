"""Debian's sendmail, run from its unpacked package: it cannot be installed
beside Postfix.

It runs in a namespace of its own, where it finds its files in a place that
nobody else can write to, which it insists on, the agent at its usual socket,
and no name server."""

import shutil
import subprocess

from . import clients, imap
from .agent import client_environment
from .clients import USER, Clients

PLACE = "/mnt"
FILES = {
    "hosts": "127.0.0.1 client.contoso.example client\n"
             "127.0.0.1 smtp.gmail.com\n",
    "nsswitch.conf": "hosts: files\n",
    "resolv.conf": "",
    "switch": "hosts files\naliases files\n",
    "aliases": "postmaster: root\n"}
INSIDE = """\
hostname client.contoso.example
for file in hosts nsswitch.conf resolv.conf; do
        mount --bind "$file" "/etc/$file"
done
mount --bind . "$1"
mount -t tmpfs none /run
mkdir /run/mailtoken
mount --bind "$2" /run/mailtoken
shift 2
exec "$@"
"""


class Sendmail:
    def __init__(self, who: Clients):
        self.who = who
        program, macros = clients.unpacked("sendmail-bin", "sendmail-cf")
        self.programs = program / "usr/libexec/sendmail"
        self.macros = macros / "usr/share/sendmail/cf"
        self.directory = who.world.directory / "sendmail"
        self.directory.mkdir(mode=0o755)
        (self.directory / "queue").mkdir(mode=0o700)
        shutil.copytree(who.world.plugins(), self.directory / "sasl")
        for name, text in FILES.items():
            (self.directory / name).write_text(text)
        self.configure()

    def configure(self):
        text = self.who.configuration("m4", "sendmail-mc").replace(
            "/etc/mail", PLACE)
        (self.directory / "sendmail.mc").write_text(f"""\
include(`{self.macros}/m4/cf.m4')dnl
OSTYPE(`linux')dnl
define(`ALIAS_FILE', `{PLACE}/aliases')dnl
define(`confSERVICE_SWITCH_FILE', `{PLACE}/switch')dnl
define(`QUEUE_DIR', `{PLACE}/queue')dnl
define(`STATUS_FILE', `{PLACE}/statistics')dnl
{text}MAILER(`smtp')dnl
LOCAL_CONFIG
ESASL_PATH={PLACE}/sasl
""")
        made = subprocess.run(
            ["m4", f"-D_CF_DIR_={self.macros}/", "sendmail.mc"], text=True,
            capture_output=True, check=True, timeout=30, cwd=self.directory)
        (self.directory / "sendmail.cf").write_text(made.stdout)
        for name in ("authinfo", "access"):
            self.map(name, self.who.configuration(name, f"sendmail-{name}"))

    def map(self, name: str, text: str):
        subprocess.run([self.programs / "makemap", "-C", "sendmail.cf",
                        "hash", f"{name}.db"], input=text, text=True,
                       check=True, timeout=30, cwd=self.directory)
        (self.directory / f"{name}.db").chmod(0o600)

    def send(self, agent=None) -> str:
        """agent: the directory of its socket."""
        done = subprocess.run(
            ["unshare", "--uts", "--mount", "--propagation",
             imap._propagation(), "sh", "-euc", INSIDE, "sh", PLACE,
             agent or self.who.world.socket.parent, self.programs / "sendmail",
             "-C", f"{PLACE}/sendmail.cf", "-v", "-odi", "-f", USER,
             "inbox@fabrikam.example"], input="Subject: by sendmail\n\nHello.\n",
            text=True, timeout=60, cwd=self.directory, errors="replace",
            env=client_environment(), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        return done.stdout
