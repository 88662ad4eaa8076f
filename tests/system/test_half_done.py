"""What a command says that could do a part of its work only, and what it does
not do if it is only to look."""

import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from lab.agent import BUILD, EX_OK, EX_TEMPFAIL, client_environment
from lab.oddprovider import OddProvider
from lab.process import Process
from lab.wait import until

ANNA, BERTA, CARLA, DORA = (f"{name}@contoso.example" for name in (
    "anna", "berta", "carla", "dora"))
ACCOUNT = {"provider": "custom", "grant": "refresh_token", "scope": "mail",
           "client_id": "native", "token_endpoint": "https://127.0.0.1:9/t"}
INTERRUPTED = 130


# An agent that cannot be told.

@pytest.fixture
def idle(lab):
    """An agent that does not run, with logins, and an archive of one."""
    agent = lab.make_agent({name: ACCOUNT
                            for name in (ANNA, BERTA, CARLA)})
    for name in agent.accounts:
        agent.do("import", name, give="rt-" + name)
    agent.secret("passphrase", "never-to-be-seen, four words")
    agent.archive = agent.directory / "archive"
    agent.do("export", str(agent.archive), CARLA, *passphrase(agent))
    return agent


def passphrase(agent) -> tuple:
    return "--passphrase-file", str(agent.directory / "passphrase")


def listen(path: Path, room: int) -> list:
    """Somebody there who takes nobody in: with no room left, or some."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen(room)
    ends = [listener]
    while room == 0:
        end = socket.socket(socket.AF_UNIX)
        end.setblocking(False)
        ends.append(end)
        try:
            end.connect(str(path))
        except BlockingIOError:
            break
    return ends


def has_login(agent, name: str) -> bool:
    return bool(agent.grant(name).get("refresh_token"))


def test_an_agent_that_hangs_is_not_taken_for_none(idle):
    """It is waited for in vain: everything at once."""
    (idle.state / f"{CARLA}.grant").unlink()
    ends = listen(idle.sockets[0], 0)
    with ThreadPoolExecutor(4) as pool:
        out, again, more, back = (pool.submit(idle.cli, *words, **how)
                                  for words, how in (
            (("logout", ANNA), {}),
            (("import", BERTA), {"give": "rt-new"}),
            (("add", DORA, "--provider", "custom", "--grant", "refresh_token",
              "--client-id", "native", "--scope", "mail", "--token-endpoint",
              ACCOUNT["token_endpoint"]), {}),
            (("restore", str(idle.archive), *passphrase(idle)), {})))
        out, again, more, back = (
            one.result(60) for one in (out, again, more, back))
    for end in ends:
        end.close()
    for done in (out, again, more, back):
        assert done.returncode == EX_TEMPFAIL, done.stderr
        assert f"the agent at {idle.sockets[0]} has not answered" in done.stderr
    assert "logged out here" in out.stderr and not has_login(idle, ANNA)
    assert (f"could not be told, and may go on with the tokens that it has: "
            f"run mailtoken logout {ANNA} again") in out.stderr
    assert f"run mailtoken refresh {BERTA} when" in again.stderr
    assert "works" not in again.stderr
    assert idle.grant(BERTA)["refresh_token"] == "rt-new"
    assert "does not know it yet" in more.stderr
    assert f"[account {DORA}]" in idle.conf.read_text()
    assert f"account {CARLA}: its login is restored" in back.stderr
    assert "start it again" in back.stderr and has_login(idle, CARLA)
    # Now there is none.
    done = idle.cli("logout", ANNA)
    assert done.returncode == EX_OK and "agent" not in done.stderr, done.stderr


def test_an_agent_that_does_not_answer_was_not_told(idle):
    ends = listen(idle.sockets[0], 10)
    done = idle.cli("logout", ANNA)
    for end in ends:
        end.close()
    assert done.returncode == EX_TEMPFAIL, done.stderr
    assert "could not be told" in done.stderr and not has_login(idle, ANNA)


# A provider that revokes a part.

@pytest.fixture(scope="module")
def revoking(shared_lab):
    """An agent, and a provider whose answers the test gives."""
    provider = OddProvider([], refreshed={
        "access_token": "at-first", "token_type": "Bearer",
        "expires_in": 3600})
    shared_lab.ends.callback(provider.stop)
    agent = shared_lab.make_agent({ANNA: provider.account()})
    agent.provider = provider
    return agent.start()


def log_in(agent):
    agent.provider.refreshed["access_token"] = "at-first"
    agent.do("import", ANNA, give="rt-anna")
    assert agent.do("token", ANNA) == "at-first\n"
    agent.provider.refreshed["access_token"] = "at-second"


def is_half_out(agent):
    """Of the login, what is not revoked; of the access token, nothing."""
    grant = agent.grant(ANNA)
    assert grant["refresh_token"] == "rt-anna"
    assert not grant.get("access_token") or grant["access_token"] != "at-first"
    assert agent.do("token", ANNA) == "at-second\n"


def test_what_is_revoked_is_forgotten_though_the_rest_is_kept(revoking):
    log_in(revoking)
    told = len(revoking.events("forget", ANNA))
    revoking.provider.revoked = lambda form: (
        200 if form["token"] == "at-first" else 503)
    done = revoking.cli("revoke", ANNA)
    assert done.returncode == EX_TEMPFAIL, done.stderr
    assert "revoked in part" in done.stderr
    assert "not revoked" not in done.stderr
    assert "revoke it again" in done.stderr
    assert len(revoking.events("forget", ANNA)) == told + 1
    is_half_out(revoking)
    revoking.provider.revoked = 200
    revoking.do("revoke", ANNA)
    assert not has_login(revoking, ANNA)


def interrupted(agent, token: str) -> str:
    """What revoke says when a signal comes while that token is revoked."""
    asked, go_on = Event(), Event()

    def slowly(form):
        if form["token"] == token:
            asked.set()
            go_on.wait(20)
        return 200
    agent.provider.revoked = slowly
    command = Process(
        [*agent.wrapper, BUILD / "mailtoken", "-c", agent.conf, "revoke",
         ANNA], agent.directory / f"revoke-{token}", env=client_environment(
             MAILTOKEN_SOCKET=str(agent.sockets[0])) | agent.environment)
    try:
        assert asked.wait(20)
        command.signal(signal.SIGINT)
        assert command.popen.wait(20) == INTERRUPTED
    finally:
        go_on.set()
        command.stop()
    assert "nothing has changed" not in command.text()
    assert "interrupted" in command.text()
    return command.text()


def test_who_interrupts_hears_what_is_revoked(revoking):
    log_in(revoking)
    assert "revoked in part" in interrupted(revoking, "rt-anna")
    is_half_out(revoking)


def test_who_interrupts_at_once_hears_what_may_be_revoked(revoking):
    log_in(revoking)
    assert "it may be revoked, and is kept" in interrupted(
        revoking, "at-first")
    assert has_login(revoking, ANNA)


# A look.

def everything(directory: Path) -> dict:
    """Of each file: whose it is, how it may be used, what is in it."""
    found = {}
    for path in [directory, *directory.rglob("*")]:
        now = path.lstat()
        found[path] = (now.st_mode, now.st_uid, now.st_gid, now.st_ino,
                       path.read_bytes() if path.is_file() else None)
    return found


@pytest.mark.parametrize("case", ["empty", "without a login", "with logins"])
def test_a_dry_run_leaves_no_trace(idle, case):
    if case != "with logins":
        for path in idle.state.iterdir():
            path.unlink()
    if case == "empty":
        idle.seal_key.unlink()
        idle.state.rmdir()
        idle.state.mkdir(mode=0o700)            # root's
    for path in idle.state.glob("*.lock"):
        path.unlink()
    before = everything(idle.directory)
    done = idle.cli("restore", str(idle.archive), "--dry-run",
                    *passphrase(idle))
    assert everything(idle.directory) == before
    assert done.returncode == EX_OK, done.stderr
    if case == "with logins":
        assert "it stays" in done.stderr
    else:
        assert f"account {CARLA}: its login would be restored" in done.stderr
