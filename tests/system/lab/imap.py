"""Dovecot, 2.3 or 2.4, below one directory; with our modules or without.

Modules are loaded from where `make install` would put them, as Dovecot finds
authentication modules nowhere else: each instance sees a module directory of
its own, in a mount namespace of its own, and the system's stays as it is."""

import functools
import pwd
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .agent import client_environment
from .dovecot import VERSIONS, oauth2_settings, release, tenant_passdb
from .ports import free_port
from .process import Process
from .wait import until

MODULES = Path("/usr/lib/dovecot/modules")
MAIL_USER = "vmail"
LOCAL_PASSWORD = "local-password"
PROTOCOLS = ("imap", "pop3", "submission")
IN_NAMESPACE = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'


def ensure_mail_user():
    try:
        pwd.getpwnam(MAIL_USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--user-group", "--no-create-home",
             "--shell", "/usr/sbin/nologin", MAIL_USER],
            check=True, timeout=30)


@functools.cache
def _propagation() -> str:
    """Below a chroot that is no mount point, private cannot be had."""
    done = subprocess.run(["unshare", "--mount", "true"], timeout=30,
                          capture_output=True)
    return "private" if done.returncode == 0 else "unchanged"


@dataclass
class Ports:
    """imap, pop3, submission in clear (with STARTTLS), imaps and pop3s."""
    imap: int = field(default_factory=free_port)
    imaps: int = field(default_factory=free_port)
    pop3: int = field(default_factory=free_port)
    pop3s: int = field(default_factory=free_port)
    submission: int = field(default_factory=free_port)


def _listeners(ports: Ports, shared: bool) -> str:
    """shared: each login process serves many clients, one after another and
    at once."""
    text = limits = ""
    if shared:
        count = ("service_count = 0" if release() == "2.3"
                 else "restart_request_count = unlimited")
        limits = f"  {count}\n  client_limit = 400\n"
    for name in PROTOCOLS:
        inner = f"  inet_listener {name} {{\n    port = {getattr(ports, name)}\n  }}\n"
        if name == "submission":
            if release() != "2.3":
                inner += "  inet_listener submissions {\n    port = 0\n  }\n"
        else:
            inner += (f"  inet_listener {name}s {{\n"
                      f"    port = {getattr(ports, name + 's')}\n"
                      "    ssl = yes\n  }\n")
        text += f"service {name}-login {{\n{limits}{inner}}}\n"
    return text


def imported(environment: dict) -> str:
    """What Dovecot lets through to its processes, and sets for them."""
    if release() == "2.3":
        words = " ".join(f"{k}={v}" for k, v in environment.items())
        return f"import_environment = TZ {words}\n"
    words = "".join(f"  {k} = {v}\n" for k, v in environment.items())
    return f"import_environment {{\n{words}}}\n"


def frame(directory: Path, ports: Ports, environment: dict,
          shared: bool) -> str:
    """What every instance of the lab adds: places, ports, and clear text
    logins, which come over loopback."""
    clear = ("disable_plaintext_auth = no" if release() == "2.3"
             else "auth_allow_cleartext = yes")
    return f"""\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
instance_name = {directory.name}
listen = 127.0.0.1
hostname = localhost
first_valid_uid = 1
ssl = yes
auth_verbose = yes
auth_failure_delay = 0
mail_max_userip_connections = 300
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
{clear}
{imported(environment) if environment else ""}{_listeners(ports, shared)}"""


class Instance:
    """modules: the directory of a build's Dovecot modules; None: stock."""

    def __init__(self, directory: Path, text: str, ports: Ports = None,
                 modules: Path = None, environment: dict = None,
                 shared: bool = False):
        ensure_mail_user()
        directory.mkdir(mode=0o755, exist_ok=True)
        (directory / "mail").mkdir()
        shutil.chown(directory / "mail", MAIL_USER, MAIL_USER)
        self.directory = directory
        self.ports = ports or Ports()
        self.log = directory / "log"
        self.conf = directory / "dovecot.conf"
        self.environment = environment or {}
        self.shared = shared
        self.module_directory = directory / "modules"
        shutil.copytree(MODULES, self.module_directory, symlinks=True)
        if modules:
            shutil.copytree(modules, self.module_directory,
                            dirs_exist_ok=True)
        self.process = None
        self.write(text)

    def write(self, text: str):
        self.conf.write_text(text + "\n" + frame(
            self.directory, self.ports, self.environment, self.shared))

    def inside(self, *argv) -> list:
        """The command, as it runs in this instance's namespace."""
        return ["unshare", "--mount", "--propagation", _propagation(), "sh",
                "-c", IN_NAMESPACE, "sh", self.module_directory, MODULES,
                *argv]

    def start(self):
        self.process = Process(self.inside("dovecot", "-F", "-c", self.conf),
                               self.directory / "master.log",
                               env=client_environment())
        try:
            until(self._ready, 20, f"the start of {self.directory.name}")
        except BaseException:
            self.stop()
            raise
        return self

    def _ready(self):
        assert self.process.alive(), self.process.text() + self.text()
        return (self.directory / "run" / "master.pid").exists() and (
            " starting up" in self.text())

    def stop(self):
        if self.process:
            self.process.stop()

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def wait_words(self, words: str, timeout: float = 20, times: int = 1):
        until(lambda: self.text().count(words) >= times, timeout,
              f"{words!r} {times} times in {self.log}")

    def doveadm(self, *args, timeout: float = 60, prefix: list = (),
                conf: Path = None) -> subprocess.CompletedProcess:
        return subprocess.run(
            [str(a) for a in self.inside(
                *prefix, "doveadm", "-c", conf or self.conf, *args)],
            timeout=timeout, capture_output=True, text=True, errors="replace",
            env=client_environment(),
            stdin=subprocess.DEVNULL)

    def do(self, *args, **kw) -> str:
        done = self.doveadm(*args, **kw)
        assert done.returncode == 0, (args, done.returncode, done.stderr)
        return done.stdout


def _upstream_23(directory: Path, ca, relay_port: int) -> str:
    return f"""\
protocols = imap pop3 submission
ssl_cert = <{ca.server_certificate}
ssl_key = <{ca.server_key}
ssl_dh =
auth_mechanisms = plain xoauth2 oauthbearer
mail_location = mdbox:{directory}/mail/%u
passdb {{
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = {directory}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = plain
  args = password={LOCAL_PASSWORD}
}}
userdb {{
  driver = static
  args = uid={MAIL_USER} gid={MAIL_USER} home={directory}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
"""


def _upstream_24(directory: Path, ca, relay_port: int, url: str) -> str:
    oauth2 = oauth2_settings(url)
    return VERSIONS + f"""\
protocols = imap pop3 submission
ssl_server_cert_file = {ca.server_certificate}
ssl_server_key_file = {ca.server_key}
auth_mechanisms = plain xoauth2 oauthbearer
mail_driver = mdbox
mail_path = {directory}/mail/%{{user}}
oauth2 {{
{oauth2}}}
passdb oauth2 {{
  mechanisms_filter = xoauth2 oauthbearer
}}
passdb static {{
  mechanisms_filter = plain
  password = {LOCAL_PASSWORD}
}}
userdb static {{
  userdb_static_allow_all_users = yes
  fields {{
    uid = {MAIL_USER}
    gid = {MAIL_USER}
    home = {directory}/mail/%{{user}}
  }}
}}
namespace inbox {{
  inbox = yes
  separator = /
}}
submission_relay_host = 127.0.0.1
submission_relay_port = {relay_port}
"""


def upstream(directory: Path, ca, introspection_url: str,
             relay_port: int, tenant: bool = False) -> Instance:
    """A mail host: tokens by introspection, PLAIN with one password.
    tenant: an application's token opens every mailbox of its domain."""
    if release() == "2.3":
        text = _upstream_23(directory, ca, relay_port)
    else:
        text = _upstream_24(directory, ca, relay_port, introspection_url)
    if tenant:
        directory.mkdir(mode=0o755, exist_ok=True)
        text += tenant_passdb(directory, introspection_url,
                              "xoauth2 oauthbearer")
    instance = Instance(directory, text, shared=True)
    oauth2 = directory / "oauth2.conf"
    oauth2.write_text(oauth2_settings(introspection_url))
    oauth2.chmod(0o600)
    return instance


def write_users(path: Path, users: dict):
    """users: name -> extra fields of the passwd-file."""
    path.write_text("".join(
        f"{name}:{{PLAIN}}{LOCAL_PASSWORD}::::::{extra}\n"
        for name, extra in users.items()))
    path.chmod(0o644)
