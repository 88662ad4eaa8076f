"""libmailtoken with a real agent, and as an installed library."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from lab.agent import BUILD, PLUGINS, client_environment
from lab.askers import Dead, Dying, Hanging
from lab.fnv import fnv
from lab.marks import unwatched

ROOT = Path(__file__).parents[2]
HOST = "tests/system/hosts/libraryhost"
USER, RENEWED, OTHERS = (f"{name}@contoso.example" for name in
                         ("user", "renewed", "others"))
OK, RETRY, REAUTH, CONFIG, DENIED = 0, 1, 2, 3, 4
THREADS, ROUNDS = 8, 200
DEADLINE = 90
PROGRAM = """\
#include <mailtoken.h>
#include <stdio.h>
#include <string.h>

int
main(int argc, char *argv[])
{
	struct mailtoken *m = mailtoken_new(argc > 1 ? argv[1] : NULL, 0);
	enum mailtoken_result rc = mailtoken_get(m, argv[2], NULL, NULL, NULL);
	size_t n = 0;
	const char *out = mailtoken_response(m, "XOAUTH2", argv[2], NULL, 0, &n);

	printf("%d %s %lu %s\\n", (int)rc, mailtoken_version(), (unsigned long)n,
	    mailtoken_text(m));
	if (out == NULL || mailtoken_token(m) == NULL ||
	    mailtoken_expires_at(m) == 0)
		rc = MAILTOKEN_PROTO;
	if (rc != MAILTOKEN_OK)
		(void)mailtoken_reject(m, "never");
	mailtoken_free(m);
	return (int)rc;
}
"""


def shown(text: str) -> str:
    return f"{len(text)} {fnv(text.encode())}"


@pytest.fixture(scope="module")
def world(shared_lab):
    lab = shared_lab
    lab.start_fault()
    agent = lab.make_agent({})
    lab.endpoints = {}
    for name in (USER, RENEWED, OTHERS):
        lab.endpoints[name] = lab.fault.endpoint(name)
        agent.accounts[name] = lab.faulty(lab.endpoints[name], allow="nobody")
    agent.accounts["new@contoso.example"] = lab.faulty(
        lab.fault.endpoint("new"))
    agent.write()
    for name, endpoint in lab.endpoints.items():
        agent.do("import", name, agent=False, give=endpoint.refresh_token)
    agent.start()
    for name in lab.endpoints:
        agent.do("token", name)
    # Where users who may not read BUILD can run it.
    lab.place = lab.directory / "place"
    shutil.copytree(BUILD / "tests/system/hosts", lab.place / "tests/system/hosts")
    shutil.copy(BUILD / "libmailtoken.so.0", lab.place)
    return lab


def run(place: Path, *args, wrapper: list = (), user: str = None
        ) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*wrapper, place / HOST, *map(str, args)],
        env=client_environment(TSAN_OPTIONS="exitcode=9"),
        capture_output=True, text=True, timeout=DEADLINE, user=user)


@pytest.fixture
def host(world):
    """The lines, of a run that ends with that result."""
    def result(rc: int, *args, account: str = USER, socket=None, **kw) -> list:
        done = run(world.place, *args, socket or world.socket, account, **kw)
        assert done.returncode == rc, done.stdout + done.stderr
        assert not done.stderr
        return done.stdout.splitlines()
    return result


def token_of(world, account: str = USER, which: int = -1) -> str:
    return world.endpoints[account].access_tokens[which]


@pytest.mark.parametrize("mechanism, text", [
    ("XOAUTH2", "user={}\1auth=Bearer {}\1\1"),
    ("OAUTHBEARER", "n,a={},\1host=smtp.example.com\1port=587\1"
                    "auth=Bearer {}\1\1"),
])
def test_token_and_response(host, world, mechanism, text):
    got, token, response = host(OK, "-m", mechanism)
    assert got == f"get {OK} "
    assert token.startswith(f"token {shown(token_of(world))} ")
    assert 3000 < int(token.split()[-1]) - time.time() <= 3600
    assert response == "response " + shown(
        text.format(USER, token_of(world)))


def test_no_such_mechanism(host):
    assert host(OK, "-m", "PLAIN")[-1].startswith(
        "response failed: the mechanism must be XOAUTH2 or OAUTHBEARER")


def test_refused_token_is_renewed_once(host, world):
    endpoint = world.endpoints[RENEWED]
    before = endpoint.count
    first, old, reject, second, new = host(
        OK, "-r", "535 5.7.3 Authentication unsuccessful", account=RENEWED)
    assert (first, reject, second) == (
        f"get {OK} ", f"reject {OK} ", f"get {OK} ")
    assert old.startswith(f"token {shown(token_of(world, RENEWED, -2))} ")
    assert new.startswith(f"token {shown(token_of(world, RENEWED))} ")
    assert endpoint.count == before + 1
    assert "535 5.7.3" in world.agent.events("reject", RENEWED)[-1]["reason"]
    assert world.agent.events("reject", RENEWED)[-1]["host"] == (
        "smtp.example.com")
    # The fresh one as well: that needs somebody, not another request.
    *_, last = host(RETRY, "-r", "no", account=RENEWED)
    assert last.startswith(f"get {RETRY} ") and RENEWED in last
    assert endpoint.count == before + 1


def test_one_refused_mailbox_does_not_stop_the_others(host, world):
    """It is the mailbox that the account has no right to."""
    shared = "shared@contoso.example"
    for _ in range(2):      # a renewed one is no better
        host(OK, "-u", shared, "-r", "no such right", account=OTHERS)
        refused = world.agent.events("reject", OTHERS)[-1]
        assert refused["user"] == shared
    assert host(OK, account=OTHERS)[-1].startswith("token ")


@pytest.mark.parametrize("account, user, rc, words", [
    (USER, "nobody", OK, ""),
    (USER, "daemon", DENIED, "allow"),
    ("other@contoso.example", None, CONFIG, "there is no account"),
    ("a b", None, CONFIG, "cannot be the name of an account"),
    ("x" * 300, None, CONFIG, "too long"),
    ("new@contoso.example", None, REAUTH, "mailtoken login"),
])
def test_who_must_act(host, account, user, rc, words):
    got, *_ = host(rc, account=account, user=user)
    assert got.startswith(f"get {rc} ") and words in got


def test_no_agent(host, world):
    got, = host(RETRY, socket=world.directory / "none.sock")
    assert "start mailtokend" in got


def test_agent_that_does_not_answer(host, world):
    path = world.directory / "hanging.sock"
    hanging = Hanging(path, world.socket)
    try:
        since = time.monotonic()
        got, = host(RETRY, "-t", "400", socket=path)
        took = time.monotonic() - since
    finally:
        hanging.stop()
    assert "has not answered within 0.4 s" in got
    assert 0.4 <= took < 5


@pytest.mark.parametrize("agent, rc, words", [
    (Dying, OK, ""), (Dead, RETRY, "broke off twice")])
def test_agent_that_dies(host, world, agent, rc, words):
    """The next one is asked, once."""
    path = world.directory / "dying.sock"
    dying = agent(path, world.socket)
    try:
        got, *_ = host(rc, socket=path)
    finally:
        dying.stop()
    assert words in got and dying.requests == 2


def test_fork_with_a_handle(host, world):
    lines = host(OK, "-f")
    assert lines[:1] + lines[2:4] == [f"get {OK} ", "child 0", f"get {OK} "]
    assert lines[1] == lines[4]


@unwatched
@pytest.mark.parametrize("options", [
    ("-f", "-m", "OAUTHBEARER", "-r", "no"), ("-n", "4", "-i", "10")])
def test_memory(world, options):
    world.agent.do("refresh", USER)
    done = run(world.place, *options, world.socket, USER, wrapper=[
        "valgrind", "-q", "--error-exitcode=9", "--leak-check=full",
        "--show-leak-kinds=all", "--errors-for-leak-kinds=all"])
    assert done.returncode in (OK, RETRY) and not done.stderr, done.stderr


def test_threads(world):
    """A handle for each, under ThreadSanitizer."""
    done = run(PLUGINS / "threads", "-n", THREADS, "-i", ROUNDS, world.socket,
               USER)
    assert done.returncode == 0 and not done.stderr, done.stderr
    assert done.stdout == f"ok {THREADS * ROUNDS} of {THREADS * ROUNDS}\n"


@pytest.fixture(scope="module")
def installed(world):
    """What a distribution would package."""
    root = world.directory / "installed"
    # The programs' tree is only read: others test with it meanwhile.
    build = world.directory / "build"
    shutil.copytree(PLUGINS, build, ignore=shutil.ignore_patterns(
        "sanitize", "fuzz", "threads", "tests"))
    subprocess.run(
        ["make", "-s", "-C", ROOT, f"BUILD={build}", f"DESTDIR={root}",
         "PREFIX=/usr", "install"], check=True, timeout=DEADLINE,
        stdout=subprocess.DEVNULL)
    return root


def pkg_config(root: Path, *args) -> list:
    library, = root.glob("usr/lib/**/pkgconfig")
    return subprocess.run(
        ["pkg-config", *args, "mailtoken"], check=True, timeout=30,
        capture_output=True, text=True,
        env=os.environ | {"PKG_CONFIG_PATH": str(library),
                          "PKG_CONFIG_SYSROOT_DIR": str(root)}).stdout.split()


@unwatched
@pytest.mark.parametrize("compiler, suffix, standard", [
    ("gcc", "c", "c99"), ("clang", "c", "c99"), ("gcc", "c", "c2x"),
    ("g++", "cc", "c++98"), ("clang++", "cc", "c++17")])
def test_compiles_and_runs(world, installed, compiler, suffix, standard):
    source = world.directory / f"program.{suffix}"
    program = world.directory / f"program-{compiler}-{standard}"
    source.write_text(PROGRAM)
    subprocess.run(
        [compiler, f"-std={standard}", "-pedantic-errors", "-Wall", "-Wextra",
         "-Werror", "-o", program, source,
         *pkg_config(installed, "--cflags", "--libs")], check=True, timeout=60)
    library, = installed.glob("usr/lib/**/libmailtoken.so.0")
    done = subprocess.run(
        [program, world.socket, USER], capture_output=True, text=True,
        timeout=DEADLINE,
        env=client_environment(LD_LIBRARY_PATH=str(library.parent)))
    response = f"user={USER}\1auth=Bearer {token_of(world)}\1\1"
    version = (ROOT / "VERSION").read_text().strip()
    assert done.stdout == f"{OK} {version} {len(response)} \n"
    assert done.returncode == OK
    assert pkg_config(installed, "--modversion") == [version]


@unwatched
def test_the_name_that_programs_keep(installed):
    """Programs need libmailtoken.so.0, whatever name they were linked by."""
    link, = installed.glob("usr/lib/**/libmailtoken.so")
    assert os.readlink(link) == "libmailtoken.so.0"
    assert re.search(r"SONAME.*\[libmailtoken\.so\.0\]", subprocess.run(
        ["readelf", "-d", link], check=True, timeout=30, capture_output=True,
        text=True).stdout)
