"""Mail programs that log all they can.

Postfix with debug_peer_list and `-v -v`, Dovecot with each of its debug logs, through logins that work, are refused, or find no agent.
Each line that shows a secret is looked at: whose words are they? What a program logs of its own, we cannot keep back; what our plugin
and modules say through its log has no secret at any level. What to do after debugging:
[postfix.md](postfix.md#reading-the-logs), [dovecot.md](dovecot.md#what-the-log-says-and-what-nobody-can-see)."""

import re
import signal

import pytest

from lab import canary, imap, mailbox, postfix
from lab.lab import ACCOUNT
from lab.ledger import NOTHING, times
from lab.wait import until
from test_dovecot_proxy import by_imap
from test_dovecot_submission import send

OURS = "mailtoken: "            # begins what a plugin of ours says
# The challenge comes last: refused once more within the minute, the agent
# gives nothing out for a while.
MODES = ("ok", "535", "454") * times(1, 6) + ("challenge",)
LOST = "an access token, to who reads that log"


def showing(text: str, secrets: canary.Secrets, theirs: str) -> int:
    """How many lines show one: all of them the host's own words."""
    lines = [line for line in text.splitlines() if secrets.seen(line)]
    strange = [line for line in lines
               if OURS in line or not re.search(theirs, line)]
    assert not strange, strange[:3]
    return len(lines)


# Postfix.

# Its words before what it sends, and before what a plugin has made.
SMTP_SAYS = (r"smtp\[\d+\]: (> \S+: AUTH XOAUTH2 "
             r"|xsasl_cyrus_client_first: uncoded initial reply: )")


def start_debugging(lab, level: str):
    peer = {"debug_peer_list": "127.0.0.1"} if "peer" in level else {}
    lab.start_downstream(**postfix.RECIPE, **peer)
    if level.startswith("-v"):
        master = lab.down.etc / "master.cf"
        text, n = re.subn(r"^(smtp +unix .* )smtp$", rf"\1smtp {level}",
                          master.read_text(), flags=re.M)
        assert n == 1
        master.write_text(text)
        lab.down.run("postfix", "reload", check=True)


@pytest.mark.parametrize("level, shows", [
    ("its usual log", False), ("debug_peer_list", True), ("-v -v", True)])
def test_postfix(lab, ledger, level, shows):
    token = canary.make()
    secrets = canary.Secrets({"token": token})
    endpoint = lab.start_fault().endpoint("one", access_token=token)
    secrets.add("refresh token", endpoint.refresh_token)
    lab.start_fake()
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint)})
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    agent.start()
    agent.do("token", ACCOUNT)
    start_debugging(lab, level)
    for mode in MODES:
        lab.fake.mode, before = mode, len(lab.fake.logins)
        lab.down.send(1)
        until(lambda: len(lab.fake.logins) > before, 30, "the login")
    lab.down.settle()
    agent.stop()
    lab.down.send(1)
    lab.down.wait_words("the agent does not answer")
    lab.down.settle()
    said = lab.down.text()
    assert "mailtoken: server refused the token" in said
    lines = showing(said, secrets, SMTP_SAYS)
    logins = len(lab.fake.logins)
    assert lines >= logins if shows else not lines
    assert not secrets.seen(agent.text())
    ledger.row(
        f"Postfix: {level}", logins + 1,
        f"smtp(8) logs the token, {lines} times, our plugin does not; switch "
        "it off again, then `mailtoken refresh`" if shows
        else "no secret", LOST if shows else NOTHING)


# Dovecot.

SUBMISSION = "command AUTH: Sent: AUTH XOAUTH2 "
PASSDB = r"client passdb out: OK\b"
# Where, settings, and whose words the token is in, if it is in the log.
LEVELS = {
    "its usual log": ("mail", "", None),
    "mail_debug": ("mail", "mail_debug = yes\nverbose_ssl = yes\n", SUBMISSION),
    "rawlogs": ("mail", "imapc_rawlog_dir = {0}\n"
                "submission_relay_rawlog_dir = {0}\n", None),
    "auth_debug, auth_verbose": (
        "auth", "auth_debug = yes\nauth_verbose = yes\n", None),
    "auth_debug_passwords": (
        "auth", "auth_debug = yes\nauth_debug_passwords = yes\n"
        "auth_verbose_passwords = plain\n", PASSDB),
}
BLOCKS = {"mail": ["base", "imapc", "smart-proxy", "submission"],
          "auth": ["login-proxy"]}


@pytest.fixture(scope="module")
def world(dovecots):
    if imap.release() != "2.3":
        pytest.skip("names of settings and services are those of 2.3")
    return dovecots.begin()


def tried(job, *args) -> str:
    """What it has shown to who did it."""
    try:
        done = job(*args)
        return getattr(done, "stdout", "") + getattr(done, "stderr", "")
    except Exception as e:      # whatever it is: it is looked at
        return str(e)


def rounds(world, down, where: str, user: str) -> list:
    """Each service with a good token, with a refused one, without agent."""
    jobs = [(by_imap, down, user)]
    if where == "mail":
        jobs += [(send, down, user), (down.doveadm, "-D", "backup", "-R", "-u",
                                      user, "imapc:")]
    shown = [tried(*job) for job in jobs]
    for job in jobs:
        world.idp.revoke(world.agent.do("token", user).strip())
        shown.append(tried(*job))
        world.agent.do("refresh", user)
    with world.trouble("absent"):
        shown += [tried(*job) for job in jobs]
    return shown


@pytest.mark.parametrize("level", LEVELS)
def test_dovecot(world, ledger, level):
    where, settings, theirs = LEVELS[level]
    name = f"d{list(LEVELS).index(level)}"
    user = world.account(f"{name}@contoso.example")
    mailbox.fill(world.upstream, user, 5)
    raw = world.directory / f"{name}.raw"
    raw.mkdir()
    raw.chmod(0o1777)
    down = world.downstream(name, BLOCKS[where], {user: ""},
                            extra=settings.format(raw))
    shown = [text for _ in range(times(1, 3))
             for text in rounds(world, down, where, user)]
    secrets = canary.Secrets({f"token {n}": token for n, token in enumerate(
        world.idp.issued()) if len(token) > 20})
    said = down.text()
    assert said.count(OURS) >= 1        # the agent's absence, at least
    assert not [text for text in shown if secrets.seen(text)]
    assert not secrets.seen(world.agent.text())
    lines = showing(said, secrets, theirs or "(?!)")
    down.process.signal(signal.SIGTERM)     # the lab waits for its end
    files = [path for path in raw.iterdir() if secrets.seen(path.read_bytes())]
    assert bool(lines) == bool(theirs) and bool(files) == (level == "rawlogs")
    number = lines or len(files)
    ledger.row(
        f"Dovecot: {level}", len(shown),
        f"Dovecot writes the token, {number} times, our modules do not; "
        "switch it off again, then `mailtoken refresh`" if number
        else "no secret", LOST if number else NOTHING)
