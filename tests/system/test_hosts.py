"""Programs that drive Cyrus SASL oddly: tests/system/hosts/, each mode on the
real libsasl2, our plugin and a real agent.  Nothing may be left behind."""

import pwd
import re
import shutil
import subprocess

import pytest

from lab.agent import BUILD, PLUGINS, client_environment
from lab.askers import Dying, Hanging, Slow
from lab.fnv import fnv
from lab.marks import unwatched
from lab.watched import careless

HOSTS = BUILD / "tests" / "system" / "hosts"
USER = "user@contoso.example"
PASSWORD = "mailtoken:"
CONTINUE, OK, INTERACT, FAIL, BADPROT, UNAVAIL = 1, 0, 2, -1, -5, -24
CLEAN = "left fds=0 threads=0 signals=0"
THREADS, LOGINS = 8, 200
VALGRIND = ["valgrind", "-q", "--error-exitcode=9"]
MEMCHECK = [*VALGRIND, "--leak-check=full", "--show-leak-kinds=all",
            "--errors-for-leak-kinds=all", "--keep-debuginfo=yes"]
# libsasl2's modules are told apart by their files' names.
OURS = re.compile(r"\((plugin|ask|token_source|exchange|wire|xoauth2|buf|secret"
                  r"|diag)\.c:")
DEADLINE = 90


def response(token: str, user: str = USER) -> str:
    """What login_report() prints of the response with this token."""
    text = f"user={user}\1auth=Bearer {token}\1\1".encode()
    return f"rc={CONTINUE} len={len(text)} sum={fnv(text)}"


@pytest.fixture(scope="module")
def world(shared_lab):
    lab = shared_lab
    lab.start_fault()
    agent = lab.make_agent({})
    lab.endpoints = {}
    for name in (USER, "refused@contoso.example", "closing@contoso.example",
                 "memory@contoso.example"):
        lab.endpoints[name] = lab.fault.endpoint(name)
        agent.accounts[name] = lab.faulty(lab.endpoints[name], allow="nobody")
    agent.write()
    for name, endpoint in lab.endpoints.items():
        agent.do("import", name, agent=False, give=endpoint.refresh_token)
    agent.start()
    for name in lab.endpoints:
        agent.do("token", name)
    return lab


@pytest.fixture
def host(world):
    """Runs modes of a program; returns the steps of the last."""
    def run(program: str, *modes, user: str = USER, socket=None,
            wrapper: list = (), **environment) -> list:
        done = subprocess.run(
            [*wrapper, HOSTS / program, user, PASSWORD, *modes],
            env=client_environment(
                MAILTOKEN_SOCKET=str(socket or world.socket),
                SASL_PATH=str(world.plugins(BUILD)), **environment),
            stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=DEADLINE)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not done.stderr or wrapper, done.stderr
        lines = done.stdout.splitlines()
        assert lines.count(CLEAN) == len(modes), done.stdout
        assert not [line for line in lines if line.startswith("child status")]
        return [line for line in lines
                if line != CLEAN and not line.startswith("mode ")]
    return run


@pytest.fixture
def good(world):
    return response(world.endpoints[USER].access_tokens[-1])


def test_prompts_instead_of_callbacks(host, good):
    assert host("oddhost", "prompts") == [
        f"asked rc={INTERACT}", f"answered {good}", f"answered rc={OK}",
        f"asked rc={INTERACT}"]


def test_no_password_and_no_name(host, good):
    """The password is not needed; the name is."""
    without = host("oddhost", "no-password")
    assert without[0] == f"without-password {good}"
    assert re.fullmatch(r"without-all rc=-\d+ error: .+", without[1])


def test_reuse_after_failure(host, good):
    """A failed login leaves nothing on the connection: the next start has
    another name, and the one after that begins again.  libsasl2 forgets at each start
    what the mechanism had at the one before."""
    stranger, *user = host("oddhost", "reuse", **careless())
    assert f"rc={FAIL} error: " in stranger
    assert "there is no account stranger@contoso.example" in stranger
    assert user == [f"user {good}", f"user {good}", f"user rc={OK}"]


def test_new_connection_after_a_refusal(host, world):
    name = "refused@contoso.example"
    endpoint = world.endpoints[name]
    before = endpoint.count
    first, refused, detail, second, step = host("oddhost", "refused", user=name)
    assert endpoint.count == before + 1
    old, new = endpoint.access_tokens[-2:]
    assert first == f"first {response(old, name)}"
    assert refused == f"refused rc={OK}"
    assert f"server refused the token for {name}" in detail
    assert second == f"second {response(new, name)}"
    assert step == f"second rc={OK}"


def test_interleaved_connections(host, world, good):
    steps = host("oddhost", "interleave")
    assert steps.count(f"xoauth2 {good}") == 5
    bearer = {s for s in steps if s.startswith("oauthbearer ")}
    assert len(bearer) == 1 and f" rc={CONTINUE} " in bearer.pop()
    assert steps.count(f"step rc={OK}") == 7


def test_fork_after_init(host, good):
    steps = host("forkhost", "fork-init")
    assert steps.count(f"parent {good}") == 1
    assert steps.count(f"child {good}") == 4
    assert steps.count(f"child rc={OK}") == 4


def test_fork_between_start_and_step(host, good):
    assert host("forkhost", "fork-start") == [
        f"start {good}", f"child-step rc={OK}", f"child {good}",
        f"child rc={OK}", f"parent-step rc={OK}"]


def test_closed_between_steps(host):
    """Nothing of ours is open between steps, nor is it missed; and what the
    host has opened since stays open."""
    start, step, descriptor = host("oddhost", "close-all",
                                   user="closing@contoso.example")
    assert f"rc={CONTINUE} " in start and step == f"step rc={OK}"
    assert re.fullmatch(r"descriptor \d+ there", descriptor)


@pytest.mark.parametrize("who, allowed", [("nobody", True), ("daemon", False)])
def test_setuid_after_init(host, world, good, who, allowed):
    """The agent decides by who asks, not by who started."""
    uid = pwd.getpwnam(who).pw_uid
    seen = len(world.agent.events("token", USER))
    before, _, *after = host("forkhost", "setuid", BECOME=str(uid))
    assert before == f"before {good}"
    assert (after[0] == f"after {good}") == allowed
    if not allowed:
        assert f"after rc={FAIL} error: " in after[0] and "allow" in after[0]
    uids = [e["uid"] for e in world.agent.events("token", USER)[seen:]]
    assert uids == ["0", str(uid)]


def test_chroot_as_smtp_does(host, world, good):
    """The plugin was loaded outside, and finds the agent inside."""
    steps = host("forkhost", "chroot", JAIL=str(world.directory / "down/spool"),
                 BECOME=str(pwd.getpwnam("nobody").pw_uid))
    assert steps == [f"jailed {good}", f"jailed rc={OK}"]


def test_standard_streams_closed(host, good):
    assert host("forkhost", "closed-stdio") == [
        f"closed {good}", f"closed rc={OK}", "standard=0"]


def test_unloaded_and_loaded_again(host, good):
    *steps, counts = host("oddhost", "again")
    assert steps.count(f"again {good}") == 20
    assert counts == "loaded=20 unloaded=20"


class Closing(Hanging):
    """Hangs up on whoever comes, so that writing to it is SIGPIPE's case."""

    def answer(self, client):
        client.close()


class Late(Slow):
    DELAY_S = 0.3


@pytest.mark.parametrize("agent, code", [
    (None, CONTINUE), (Late, CONTINUE), (Dying, CONTINUE),
    (Closing, UNAVAIL)])
def test_signals_are_the_hosts(host, world, agent, code):
    """Its timer ticks while we wait, its handlers stay, and no SIGPIPE."""
    path = world.directory / "odd.sock"
    odd = agent(path, world.socket) if agent else None
    try:
        *steps, counts = host("oddhost", "signals", socket=odd and path)
    finally:
        if odd:
            odd.stop()
    assert f"ticking rc={code} " in steps[0]
    found = dict(pair.split("=") for pair in counts.split())
    assert (found["pipes"], found["handlers"], found["timer"]) == (
        "0", "2", "1")
    if agent is Late:
        assert int(found["ticks"]) > 20


def test_no_descriptor_left(host, good):
    none, *enough = host("oddhost", "no-descriptor")
    assert f"none rc={UNAVAIL} error: " in none
    assert "no socket to ask the agent with: Too many open files" in none
    assert enough == [f"enough {good}", f"enough rc={OK}"]


@unwatched
@pytest.mark.parametrize("program, modes", [
    # Not reuse: at a second start, libsasl2 forgets what any mechanism had.
    # Not signals: valgrind hands them over late.
    ("oddhost", "prompts no-password refused interleave close-all again"
                " no-descriptor"),
    ("forkhost", "fork-init fork-start setuid chroot closed-stdio"),
])
def test_memory(host, world, program, modes):
    """No byte is lost or misused, in the children neither."""
    name = "memory@contoso.example"
    host(program, *modes.split(), user=name, wrapper=MEMCHECK,
         BECOME=str(pwd.getpwnam("nobody").pw_uid),
         JAIL=str(world.directory / "down/spool"))


def test_threads(world):
    """Each with connections of its own, under ThreadSanitizer."""
    sanitized = PLUGINS / "threads"
    plugins = world.directory / "sanitized"
    plugins.mkdir()
    shutil.copy(sanitized / "libxoauth2.so", plugins)
    done = _threads(sanitized / "tests/system/hosts", world, plugins, THREADS,
                    LOGINS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok={THREADS * LOGINS} fail=0" in done.stdout
    assert not done.stderr


@unwatched
def test_threads_by_helgrind(world):
    """It has much to say of libsasl2 and the resolver; of us, nothing."""
    done = _threads(HOSTS, world, world.plugins(BUILD), 4, 10,
                    "valgrind", "--tool=helgrind")
    assert "ok=40 fail=0" in done.stdout, done.stdout + done.stderr
    assert CLEAN in done.stdout
    findings = re.split(r"\n==\d+== -{20,}\n", done.stderr)
    assert not [text for text in findings if OURS.search(text)]
    # How much depends on how the threads were run; that it is split does not.
    contexts = re.search(r"ERROR SUMMARY: \d+ errors from (\d+) contexts",
                         done.stderr)
    assert contexts, "helgrind's report has another form now"
    assert (len(findings) > 1) == (contexts[1] != "0"), done.stderr[-3000:]


def _threads(directory, world, plugins, threads: int, logins: int, *wrapper):
    return subprocess.run(
        [*wrapper, directory / "threadhost", USER, PASSWORD, str(threads),
         str(logins)],
        env=client_environment(MAILTOKEN_SOCKET=str(world.socket),
                               SASL_PATH=str(plugins),
                               TSAN_OPTIONS="exitcode=9"),
        capture_output=True, text=True, timeout=DEADLINE)
