"""Debian's mail programs, configured as docs/clients.md has it and run by an
ordinary user."""

import functools
import re
import shutil
import subprocess
from pathlib import Path

from . import imap
from .agent import client_environment
from .dovecots import Dovecots

PAGE = Path(__file__).parents[3] / "docs" / "clients.md"
UNPACK = Path(__file__).parents[1] / "unpack"
BLOCK = re.compile(r"^```(\S+) (\S+)\n(.*?)^```$", re.M | re.S)
USER = "anna@contoso.example"
PLUGINS = next(Path("/usr/lib").glob("*/sasl2"))


def block(kind: str, name: str) -> str:
    found = [text for k, n, text in BLOCK.findall(PAGE.read_text())
             if (k, n) == (kind, name)]
    assert len(found) == 1, (kind, name)
    return found[0]


@functools.cache
def unpacked(*packages: str) -> list:
    """Directories with what is in packages that cannot be installed here."""
    done = subprocess.run([UNPACK, *packages], timeout=300, text=True,
                          capture_output=True)
    assert done.returncode == 0, done.stderr
    return [Path(line) for line in done.stdout.splitlines()]


class Clients:
    """A person's home on a host with the plugin, and the lab's mail host."""

    def __init__(self, world: Dovecots, user: str = USER):
        self.world = world
        self.user = user
        self.home = world.directory / ("home-" + user.partition("@")[0])
        self.home.mkdir(mode=0o700)
        shutil.chown(self.home, imap.MAIL_USER, imap.MAIL_USER)
        world.account(user)

    def here(self, imaps: int = None) -> dict:
        """What is different here: old words -> new."""
        up = self.world.upstream.ports
        return {"outlook.office365.com": "127.0.0.1",
                "smtp.office365.com": "127.0.0.1",
                "993": imaps or up.imaps, "995": up.pop3s,
                "587": up.submission, USER: self.user,
                "/etc/ssl/certs/ca-certificates.crt":
                self.world.ca.certificate}

    def configuration(self, kind: str, name: str, changes: dict = None,
                      imaps: int = None) -> str:
        """The named block for this lab.  changes: old words -> new, which
        must stand in the block."""
        text = block(kind, name)
        for old, new in (changes or {}).items():
            assert old in text, (name, old)
            text = text.replace(old, str(new))
        here = self.here(imaps)
        for words in sorted(here, key=len, reverse=True):
            text = re.sub(rf"(?<![\w.]){re.escape(words)}(?![\w.])",
                          lambda _: str(here[words]), text)
        return text

    def environment(self, **more) -> dict:
        return client_environment(
            HOME=str(self.home), SASL_PATH=str(self.world.plugins()),
            MAILTOKEN_SOCKET=str(self.world.socket)) | more

    def file(self, name: str, text: str) -> Path:
        path = self.home / name
        path.write_text(text)
        path.chmod(0o600)
        shutil.chown(path, imap.MAIL_USER, imap.MAIL_USER)
        return path

    def run(self, *argv, give: str = "", timeout: float = 30, **environment
            ) -> subprocess.CompletedProcess:
        """Both outputs in stdout; a program that hangs is an error."""
        return subprocess.run(
            [str(a) for a in argv], input=give, timeout=timeout, text=True,
            errors="replace", stdout=subprocess.PIPE, cwd=self.home,
            stderr=subprocess.STDOUT, env=self.environment(**environment),
            user=imap.MAIL_USER, group=imap.MAIL_USER, extra_groups=[])

    def token(self) -> str:
        return self.world.agent.do("token", self.user).strip()
