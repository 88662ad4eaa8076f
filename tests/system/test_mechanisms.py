"""What the plugin is to a program that may choose among mechanisms, and to
those that never choose it."""

import itertools
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import clients, imap
from lab.agent import BUILD, PLUGINS, client_environment
from lab.clients import USER, Clients
from lab.ports import free_port
from lab.process import Process
from lab.wait import until

HOST = BUILD / "tests/system/hosts/saslhost"
BEARER, XOAUTH2 = "OAUTHBEARER", "XOAUTH2"


@pytest.fixture(scope="module")
def world(dovecots):
    return dovecots.begin()


@pytest.fixture(scope="module")
def anna(world):
    return Clients(world)


# Which mechanism is taken

DEBIANS = ("plain", "login", "scram", "crammd5")
LISTS = [
    ("XOAUTH2 OAUTHBEARER", XOAUTH2),
    ("OAUTHBEARER XOAUTH2", XOAUTH2),
    ("PLAIN LOGIN XOAUTH2 OAUTHBEARER", XOAUTH2),
    ("OAUTHBEARER XOAUTH2 LOGIN PLAIN", XOAUTH2),
    ("LOGIN XOAUTH2 PLAIN", XOAUTH2),
    ("PLAIN LOGIN OAUTHBEARER", BEARER),
    ("OAUTHBEARER LOGIN", BEARER),
    ("XOAUTH2 CRAM-MD5", "CRAM-MD5"),
    ("SCRAM-SHA-256 OAUTHBEARER XOAUTH2 PLAIN", "SCRAM-SHA-256"),
    ("PLAIN LOGIN", None),
]


@pytest.fixture(scope="module")
def one_each(world):
    """A plugin in each directory, so that SASL_PATH is the order in which
    they are loaded."""
    def add(path):
        place = world.directory / "each" / path.stem.removeprefix("lib")
        place.mkdir(parents=True)
        shutil.copy(path, place / path.name)
    add(BUILD / "libxoauth2.so")
    for name in DEBIANS:
        add(clients.PLUGINS / f"lib{name}.so")
    kde, = clients.unpacked("libsasl2-modules-kdexoauth2")
    add(next(kde.glob("usr/lib/*/sasl2/libkdexoauth2.so")))
    return world.directory / "each"


def saslhost(one_each, order, *args) -> str:
    path = ":".join(str(one_each / name) for name in order)
    return subprocess.run(
        [HOST, "-a", USER, "-w", "a-literal-token", *args], text=True,
        timeout=20, capture_output=True, errors="replace",
        env=client_environment(SASL_PATH=path)).stdout


def taken(text: str) -> str:
    return next((line.removeprefix("mech=") for line in text.splitlines()
                 if line.startswith("mech=")), None)


@pytest.mark.parametrize("offered, expected", LISTS)
def test_selection(one_each, offered, expected):
    """The same in every order of loading."""
    found = {taken(saslhost(one_each, order, "-m", offered))
             for order in itertools.permutations(("xoauth2",) + DEBIANS)}
    assert found == {expected} if expected else found <= {"PLAIN", "LOGIN"}


@pytest.mark.parametrize("mech", [XOAUTH2, BEARER])
@pytest.mark.parametrize("demand, answer", [
    (["-N"], None), (["-N", "-x", "256"], True), (["-r", "56"], None),
    (["-r", "56", "-x", "56"], True)], ids=str)
def test_demands_of_the_program(one_each, mech, demand, answer):
    """No claim to hide the token, nor to have a layer."""
    text = saslhost(one_each, ["plain", "xoauth2"], "-m", mech, *demand)
    assert taken(text) == (mech if answer else None)
    assert answer or "No worthy mechs found" in text


# KDE's plugin beside ours

@pytest.mark.parametrize("order", itertools.permutations(
    ("xoauth2", "kdexoauth2", "plain")), ids="-".join)
def test_beside_kde(one_each, order):
    """Ours is chosen, and a token as the password is sent as it is."""
    text = saslhost(one_each, order, "-p", "-T", "-m", XOAUTH2)
    assert "prompt=mailtoken:ACCOUNT or an access token" in text
    assert "token=a-literal-token\n" in text and "[SASL-XOAUTH2]" not in text
    text = saslhost(one_each, order, "-T", "-m", XOAUTH2)
    assert "token=a-literal-token\n" in text


def test_kde_alone(one_each):
    """It does load here, and is the one that the test before is about."""
    text = saslhost(one_each, ["kdexoauth2"], "-p", "-m", XOAUTH2)
    assert taken(text) == XOAUTH2 and "prompt=Please enter OAuth token" in text


def test_literal_token_beside_kde(anna, one_each):
    both = f"{one_each / 'kdexoauth2'}:{one_each / 'xoauth2'}"
    command = anna.configuration("sh", "imtest",
                                 {"mailtoken:": anna.token()})
    done = anna.run("sh", "-c", "exec " + command, give=". LOGOUT\r\n",
                    SASL_PATH=both)
    assert "\nAuthenticated.\n" in done.stdout


# Programs that load every plugin and never use ours

@pytest.fixture(scope="module")
def debians(world):
    """Debian's plugins without ours, and with it."""
    without, with_ours = (world.directory / name for name in ("18", "19"))
    for place in (without, with_ours):
        shutil.copytree(clients.PLUGINS, place, ignore=lambda _, names: [
            n for n in names if "oauth2" in n])
    shutil.copy(PLUGINS / "libxoauth2.so", with_ours)
    return without, with_ours


def ldapsearch(who: Clients, plugins, *wrapper):
    done = who.run(*wrapper, "ldapsearch", "-x", "-H", "ldap://127.0.0.1:1",
                   SASL_PATH=str(plugins))
    return done.stdout


# What others could notice, or what outlives the loading of a plugin.
NOTICED = {"socket", "connect", "bind", "listen", "sendto", "sendmsg", "clone",
           "clone3", "fork", "vfork", "execve", "pipe", "pipe2", "eventfd2",
           "epoll_create1", "timerfd_create", "memfd_create", "inotify_init1",
           "kill", "rt_sigaction", "rt_sigprocmask", "setitimer", "write",
           "writev", "unlink", "unlinkat", "rename", "mkdir", "dup", "dup2",
           "dup3", "fcntl", "ioctl"}
CALL = re.compile(r"^(?:\d+ +)?(\w+)\(")
OPENED = re.compile(r'open(?:at)?\([^"]*"([^"]*)".* = \d+$')


def calls(trace: str, plugins: Path) -> tuple:
    """The calls that could be noticed, and the files that were opened."""
    noticed, opened = [], set()
    for line in trace.splitlines():
        call = CALL.match(line)
        if call and call[1] in NOTICED:
            noticed.append(call[1])
        found = OPENED.search(line)
        if found:
            opened.add(found[1].removeprefix(f"{plugins}"))
    return noticed, opened


def test_ldapsearch(anna, debians):
    """The library itself is opened, and that is all."""
    seen, said = [], []
    for plugins in debians:
        trace = anna.home / "trace"
        said.append(ldapsearch(anna, plugins, "strace", "-f", "-o", trace))
        seen.append(calls(trace.read_text(), plugins))
    assert said[0] == said[1] and "Can't contact LDAP server" in said[0]
    (noticed, opened), (noticed_with_ours, opened_with_ours) = seen
    assert "/libplain.so" in opened and "connect" in noticed
    assert opened_with_ours - opened == {"/libxoauth2.so"}
    assert noticed == noticed_with_ours


def test_ldapsearch_takes_no_longer(anna, debians):
    """In instructions, since milliseconds differ more by themselves."""
    counts = []
    for plugins in debians:
        text = ldapsearch(anna, plugins, "valgrind", "--tool=callgrind",
                          "--callgrind-out-file=/dev/null")
        counts.append(int(re.search(r"Collected : (\d+)", text)[1]))
    assert counts[1] < 1.03 * counts[0]
    print(f"{counts[0]} instructions without, {counts[1]} with")


def test_memcached(anna, debians):
    """Running, with SASL: no descriptor, thread or word more."""
    seen = [memcached(anna, plugins) for plugins in debians]
    assert seen[0] == seen[1] and seen[0]["threads"] > 1


def memcached(who: Clients, plugins) -> dict:
    port = free_port()
    log = who.world.directory / f"memcached-{plugins.name}.log"
    server = Process(
        ["memcached", "-v", "-S", "-l", "127.0.0.1", "-p", port, "-t", "2",
         "-u", imap.MAIL_USER], log, env=who.environment(
             SASL_PATH=str(plugins), SASL_CONF_PATH=str(who.home)))
    try:
        until(lambda: listens(port), 10, "memcached")
        proc = Path("/proc") / str(server.pid)
        return {"descriptors": sorted(
                    re.sub(r"\d+", "N", os.readlink(fd))
                    for fd in (proc / "fd").iterdir()
                    if log.name not in os.readlink(fd)),
                "threads": len(list((proc / "task").iterdir())),
                "log": log.read_text()}
    finally:
        server.stop()


def listens(port: int) -> bool:
    """Asked without a connection, which would be a descriptor."""
    return f"0100007F:{port:04X} 00000000:0000 0A" in Path(
        "/proc/net/tcp").read_text()
