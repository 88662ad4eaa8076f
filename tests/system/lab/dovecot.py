"""Dovecot's authentication service for an upstream Postfix: XOAUTH2 checked
by introspection at the identity provider, PLAIN with one static password."""

import functools
import pwd
import subprocess
from pathlib import Path
from unittest import SkipTest

from .process import Process
from .wait import until

STATIC_PASSWORD = "plain-password"
# What every configuration of 2.4 begins with.
VERSIONS = "dovecot_config_version = 2.4.1\ndovecot_storage_version = 2.4.1\n"


@functools.cache
def release() -> str:
    """2.3 or 2.4: what is installed here."""
    version = subprocess.run(["dovecot", "--version"], check=True, timeout=30,
                             capture_output=True, text=True).stdout
    return ".".join(version.split(".")[:2])


def oauth2_settings(introspection_url: str, attribute: str = "email") -> str:
    """attribute: the claim that says whose mailbox a token opens."""
    return f"""\
introspection_mode = post
introspection_url = {introspection_url}
username_attribute = {attribute}
active_attribute = active
active_value = true
"""


def tenant_passdb(directory: Path, introspection_url: str,
                  mechanisms: str) -> str:
    """Stands behind the passdb for a token's own mailbox: lets the tokens of
    applications open every mailbox of the domain in their claim `tenant`."""
    if release() != "2.3":
        raise SkipTest("Dovecot 2.4 has one oauth2, and compares whole names")
    path = directory / "tenant.conf"
    path.write_text(oauth2_settings(introspection_url, "tenant")
                    + "username_format = %d\n")
    path.chmod(0o600)
    return f"""\
passdb {{
  driver = oauth2
  mechanisms = {mechanisms}
  args = {path}
}}
"""


def _common(directory: Path, socket: Path) -> str:
    return f"""\
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
protocols =
ssl = no
auth_mechanisms = xoauth2 plain login
auth_verbose = yes
auth_failure_delay = 0
first_valid_uid = 1
# The penalty would make Postfix give up: it waits 10 s, Dovecot up to 15.
service anvil {{
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service auth {{
  unix_listener {socket} {{
    mode = 0600
    user = postfix
  }}
}}
"""


def _settings_23(directory: Path) -> str:
    return f"""\
disable_plaintext_auth = no
passdb {{
  driver = oauth2
  mechanisms = xoauth2
  args = {directory}/oauth2.conf
}}
passdb {{
  driver = static
  mechanisms = plain login
  args = password={STATIC_PASSWORD}
}}
userdb {{
  driver = static
  args = uid={pwd.getpwnam("nobody").pw_uid} gid=65534 home=/nonexistent allow_all_users=yes
}}
"""


def _settings_24(oauth2: str) -> str:
    return f"""\
auth_allow_cleartext = yes
oauth2 {{
{oauth2}}}
passdb oauth2 {{
  mechanisms_filter = xoauth2
}}
passdb static {{
  mechanisms_filter = plain login
  password = {STATIC_PASSWORD}
}}
userdb static {{
  userdb_static_allow_all_users = yes
  fields {{
    uid = {pwd.getpwnam("nobody").pw_uid}
    gid = 65534
    home = /nonexistent
  }}
}}
"""


class Dovecot:
    def __init__(self, directory: Path, socket: Path,
                 introspection_url: str = None, oauth2: str = None,
                 tenant: bool = False):
        """oauth2: the passdb's own settings, instead of introspection.
        tenant: an application's token opens every mailbox of its domain."""
        directory.mkdir(mode=0o755)
        (directory / "state").mkdir(mode=0o755)
        self.log = directory / "log"
        oauth2 = oauth2 or oauth2_settings(introspection_url)
        (directory / "oauth2.conf").write_text(oauth2)
        (directory / "oauth2.conf").chmod(0o600)
        conf = directory / "dovecot.conf"
        common = _common(directory, socket)
        text = (common + _settings_23(directory) if release() == "2.3"
                else VERSIONS + common + _settings_24(oauth2))
        if tenant:
            text += tenant_passdb(directory, introspection_url, "xoauth2")
        conf.write_text(text)
        self.process = Process(["dovecot", "-F", "-c", conf],
                               directory / "master.log")
        try:
            until(self._ready(socket), 20, "Dovecot's socket")
        except BaseException:
            self.stop()
            raise

    def _ready(self, socket: Path):
        def ready():
            assert self.process.alive(), self.process.text()
            return socket.exists()
        return ready

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def stop(self):
        self.process.stop()
