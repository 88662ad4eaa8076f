"""The policies for AppArmor and SELinux, compiled by Debian's own tools.

Kernels with neither are common where tests run: what is compiled here is
loaded nowhere."""

import functools
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.agent import BUILD, PLUGINS
from lab.installed import ROOT, install

APPARMOR = Path("/etc/apparmor.d")
SELINUX_MAKEFILE = Path("/usr/share/selinux/devel/Makefile")
PROFILE = """\
abi <abi/3.0>,
include <tunables/global>
profile host /usr/lib/host {{
  include <abstractions/base>
  include <abstractions/{}>
}}
"""


def run(*argv, **kw) -> str:
    done = subprocess.run([str(a) for a in argv], timeout=60, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, **kw)
    assert done.returncode == 0, (argv, done.stdout)
    return done.stdout


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return install(tmp_path_factory.mktemp("root"))


@pytest.fixture(scope="module")
def apparmor(root):
    """/etc/apparmor.d as it is with ours in it."""
    made = root / APPARMOR.relative_to("/")
    for name in "abi", "abstractions", "tunables":
        shutil.copytree(APPARMOR / name, made / name, dirs_exist_ok=True)
    return made


@pytest.fixture(scope="module")
def compiled(apparmor):
    """A profile's rules(), by its name."""
    return functools.cache(lambda name: rules(apparmor, apparmor / name))


def parse(base: Path, profile: Path, *options) -> str:
    """Compiles a profile and loads it nowhere, as on a kernel that has all
    that AppArmor's own programs know."""
    return run("apparmor_parser", "-Q", "-K", "-T", "--base", base, *options,
               profile)


@pytest.mark.parametrize("name", ["usr.sbin.mailtokend", "usr.bin.mailtoken"])
def test_apparmor_profile(apparmor, name):
    profile = apparmor / name
    assert "@SBINDIR@" not in profile.read_text()
    parse(apparmor, profile)
    # Its place is the program's, and its rules are those of the installed one.
    program = "/" + name.replace(".", "/")
    assert name.split(".")[-1] in parse(apparmor, profile, "-N").splitlines()
    assert f"{program} mr," in profile.read_text()


def rules(base: Path, profile: Path) -> list:
    """(expression, permissions of the file's owner, of others), as compiled."""
    found = []
    for regex, bits in re.findall(r"(?m)^rule: (\S+)  ->  .* \((0x\w+)/",
                                  parse(base, profile, "-D", "rule-exprs")):
        found.append((re.compile(regex), int(bits, 16) & 0x3fff,
                      int(bits, 16) >> 14))
    assert len(found) > 50
    return found


def may(compiled: list, path: str, owner: bool) -> set:
    bits = 0
    for regex, owners, others in compiled:
        if regex.fullmatch(path):
            bits |= owners if owner else others
    return {letter for letter, bit in zip("wrk", (2, 4, 32)) if bits & bit}


@pytest.mark.parametrize("name, path, others, owners", [
    # The state: root looks at it, before it becomes the agent's user, and may
    # have to make the first key, for which it locks the directory.
    ("usr.sbin.mailtokend", "/var/lib/mailtoken/", "rwk", "rwk"),
    ("usr.sbin.mailtokend", "/var/lib/mailtoken/a@contoso.example.grant", "r",
     "rwk"),
    ("usr.sbin.mailtokend", "/var/lib/mailtoken/a@contoso.example.lock", "",
     "rwk"),
    ("usr.sbin.mailtokend", "/etc/mailtoken/.seal.key.new", "r", "rw"),
    ("usr.sbin.mailtokend", "/etc/mailtoken/mailtoken.conf", "r", "r"),
    ("usr.sbin.mailtokend", "/run/mailtoken/agent.sock.1234", "rw", "rw"),
    ("usr.sbin.mailtokend", "/home/anna/.local/state/mailtoken/", "", "rwk"),
    ("usr.sbin.mailtokend", "/etc/shadow", "", ""),
    ("usr.bin.mailtoken", "/var/lib/mailtoken/", "rwk", "rwk"),
    # rekey --first of the unit, with seal_key = credential:
    ("usr.bin.mailtoken", "/run/credentials/mailtokend.service/seal.key", "r",
     "r"),
    ("usr.bin.mailtoken", "/run/credentials/other.service/key", "", ""),
    # docs/monitoring.md; how cli_file_write() calls the new one
    ("usr.bin.mailtoken", "/var/lib/prometheus/node-exporter/", "r", "r"),
    ("usr.bin.mailtoken", "/var/lib/prometheus/node-exporter/mailtoken.prom",
     "rwk", "rwk"),
    ("usr.bin.mailtoken",
     "/var/lib/prometheus/node-exporter/.mailtoken.prom.new", "rwk", "rwk"),
    # docs/migration.md: export
    ("usr.bin.mailtoken", "/var/backups/", "r", "r"),
    ("usr.bin.mailtoken", "/var/backups/mailtoken.archive", "", "rwk"),
    ("usr.bin.mailtoken", "/var/backups/.mailtoken.archive.new", "", "rwk"),
    ("usr.bin.mailtoken", "/tmp/", "r", "r"),
    ("usr.bin.mailtoken", "/mnt/disk/", "r", "rwk"),
    ("usr.bin.mailtoken", "/mnt/disk/.mailtoken.archive.new", "", "rwk"),
    # login --browser: whose program has come
    ("usr.bin.mailtoken", "/proc/1234/net/tcp", "r", "r"),
    ("usr.bin.mailtoken", "/proc/1234/net/tcp6", "r", "r"),
    ("usr.bin.mailtoken", "/proc/1234/mem", "", ""),
])
def test_apparmor_paths(compiled, name, path, others, owners):
    """What somebody else's file may be used for, and one's own."""
    assert (may(compiled(name), path, False), may(compiled(name), path, True)
            ) == (set(others), set(owners))


def test_apparmor_knows_where_metrics_go(compiled):
    """Of docs/monitoring.md."""
    page = (ROOT / "docs/monitoring.md").read_text()
    path, = re.findall(r"mailtoken metrics --output (\S+)", page)
    assert {"r", "w"} <= may(compiled("usr.bin.mailtoken"), path, False)


def test_apparmor_refuses_what_is_wrong(apparmor, tmp_path):
    bad = tmp_path / "bad"
    bad.write_text((apparmor / "usr.sbin.mailtokend").read_text().replace(
        "rwk,", "rwq,"))
    with pytest.raises(AssertionError, match="rror"):
        parse(apparmor, bad)


@pytest.mark.parametrize("abstraction, sockets", [
    ("postfix-common", ["@{run}/mailtoken/*.sock rw,",
                        "/{var/spool/postfix/,}run/mailtoken/*.sock rw,"]),
    ("dovecot-common", ["@{run}/mailtoken/*.sock rw,"]),
    ("mailtoken", ["@{run}/mailtoken/*.sock rw,"])])
def test_apparmor_lets_mail_servers_connect(apparmor, tmp_path, abstraction,
                                            sockets):
    """Debian's profiles for Postfix and Dovecot include these."""
    host = tmp_path / "host"
    host.write_text(PROFILE.format(abstraction))
    parse(apparmor, host)
    whole = parse(apparmor, host, "-p")
    for socket in sockets:
        assert socket in whole
    assert "/var/lib/mailtoken" not in whole and "/etc/mailtoken" not in whole


def test_apparmor_additions_of_the_page(apparmor, tmp_path):
    """What docs/security.md says that a host may need besides."""
    page = (ROOT / "docs/security.md").read_text()
    block = re.search(r"local/usr\.sbin\.mailtokend`:\n\n((?:    .+\n)+)", page)
    base = tmp_path / "apparmor.d"
    shutil.copytree(apparmor, base)
    local = base / "local/usr.sbin.mailtokend"
    local.parent.mkdir(exist_ok=True)
    local.write_text(block[1])
    parse(base, base / "usr.sbin.mailtokend")
    assert "/usr/bin/vault mrix," in parse(
        base, base / "usr.sbin.mailtokend", "-p")


def test_commands_of_the_page():
    """Each `mailtoken COMMAND` of docs/security.md is one."""
    page = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"(?:^    |`)mailtoken (\w+)", page, re.M))
    known = run(BUILD / "mailtoken", "completion", "bash")
    assert {"revoke", "logout", "refresh"} <= named
    assert not [word for word in named
                if not re.search(rf"\b{word}\b", known)]


def test_places_of_the_page(tmp_path):
    """Each file of ours that docs/security.md names in /usr is there when the
    README's step 1 has installed it."""
    run("make", "-s", f"BUILD={PLUGINS}", f"DESTDIR={tmp_path}",
        "PREFIX=/usr", "-C", ROOT, "install")
    page = (ROOT / "docs/security.md").read_text()
    named = set(re.findall(r"(?<=[ `])/usr/[\w./-]*mailtoken[\w./*-]*", page))
    assert len(named) >= 4
    assert not [path for path in named
                if not list(tmp_path.glob(path[1:].rstrip(".")))]


@pytest.fixture(scope="module")
def selinux(root, tmp_path_factory):
    """Where the module was compiled."""
    directory = tmp_path_factory.mktemp("selinux")
    shutil.copytree(root / "usr/share/selinux/mailtoken", directory,
                    dirs_exist_ok=True)
    run("make", "NAME=default", "-f", SELINUX_MAKEFILE, "mailtoken.pp",
        cwd=directory)
    return directory


def test_selinux_module(selinux):
    module, contexts = selinux / "mod", selinux / "fc"
    run("semodule_unpackage", selinux / "mailtoken.pp", module, contexts)
    assert module.stat().st_size > 10000
    assert "mailtokend_state_t" in contexts.read_text()


def test_selinux_who_may_connect(selinux):
    """As it is after all macros: those to the agent, and nobody to state or
    configuration but the agent and systemd."""
    text = re.sub(r"(?m)^#.*\n", "",
                  (selinux / "tmp/mailtoken.tmp").read_text())
    may = set(re.findall(
        r"allow (\w+) mailtokend_t:unix_stream_socket connectto", text))
    assert {"postfix_smtp_t", "postfix_master_t", "dovecot_t",
            "dovecot_auth_t", "userdomain"} <= may
    for kept in "mailtokend_state_t", "mailtokend_etc_t", "mailtokend_key_t":
        touch = " ".join(re.findall(rf"allow ([^:;]+) {kept}:file", text))
        assert set(re.findall(r"\w+", touch)) == {
            "mailtokend_t", "init_t", "initrc_t"}, kept
    # The agent makes the key, and changes nothing of what stands beside it.
    for kind, makes in ("mailtokend_key_t", True), ("mailtokend_etc_t", False):
        can = " ".join(re.findall(
            rf"allow mailtokend_t {kind}:file ([^;]+);", text))
        assert "read" in can
        assert any(word in can for word in ("create", "write", "unlink")) == (
            makes), kind


@pytest.mark.parametrize("path, context", [
    ("/usr/sbin/mailtokend", "mailtokend_exec_t"),
    ("/usr/local/sbin/mailtokend", "mailtokend_exec_t"),
    ("/etc/mailtoken/mailtoken.conf", "mailtokend_etc_t"),
    ("/etc/mailtoken/seal.key", "mailtokend_key_t"),
    ("/etc/mailtoken/.seal.key.new", "mailtokend_key_t"),
    ("/etc/mailtoken/seal.key.old", "mailtokend_etc_t"),
    ("/var/lib/mailtoken/relay@contoso.example.grant", "mailtokend_state_t"),
    ("/run/mailtoken/agent.sock", "mailtokend_runtime_t"),
    ("/var/spool/postfix/run/mailtoken/agent.sock", "mailtokend_runtime_t"),
    ("/usr/lib/systemd/system/mailtokend.service", "mailtokend_unit_t"),
    ("/usr/bin/mailtoken", None),
    ("/etc/mailtokend", None)])
def test_selinux_label(selinux, path, context):
    """The last expression that matches is taken, as by restorecon."""
    found = None
    for line in (selinux / "mailtoken.fc").read_text().splitlines():
        if line and re.fullmatch(line.split()[0], path):
            found = re.search(r"object_r:(\w+)", line)[1]
    assert found == context
