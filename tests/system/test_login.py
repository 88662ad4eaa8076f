"""mailtoken login, logout and revoke: every way in, what goes wrong on it, and
the way out."""

import base64
import fcntl
import hashlib
import html
import itertools
import json
import pwd
import re
import signal
import socket
import subprocess
import termios
import threading
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pexpect
import pytest

from lab import idp
from lab.agent import (BUILD, EX_CONFIG, EX_NOPERM, EX_OK, EX_TEMPFAIL,
                       EX_USAGE, client_environment)
from lab.diskfault import FULL_DISK, DiskFault
from lab.oddprovider import PENDING, OddProvider
from lab.process import Process
from lab.terminal import untouched
from lab.wait import until

PERSON = Path(__file__).parent / "idp" / "person.mjs"
EX_UNAVAILABLE, INTERRUPTED = 69, 130
LOCAL = "http://localhost:"
PHONE = {"width": 390, "height": 844, "dark": False}
DESKTOP = {"width": 1280, "height": 800, "dark": False}
OTHER = "other@contoso.example"
NOBODY = pwd.getpwnam("nobody")
numbers = itertools.count()


def jwt(**claims) -> str:
    parts = ({"alg": "none"}, claims)
    return ".".join([base64.urlsafe_b64encode(
        json.dumps(part).encode()).rstrip(b"=").decode()
        for part in parts] + ["sig"])


def name_of(user: str) -> str:
    return user + "@contoso.example"


@pytest.fixture(scope="module")
def odd(shared_lab):
    """Providers that misbehave, by name."""
    tokens = {"access_token": jwt(upn=OTHER), "refresh_token": "rt-odd",
              "token_type": "Bearer", "expires_in": 3600}
    made = {
        "slow": OddProvider([{"error": "slow_down"}, tokens],
                            {"interval": 1}, tokens),
        "late": OddProvider([PENDING], {"interval": 1, "expires_in": 2}),
        "deaf": OddProvider([tokens], refreshed=tokens, revoked=503),
    }
    for provider in made.values():
        shared_lab.ends.callback(provider.stop)
    return made


@pytest.fixture(scope="module")
def lab(shared_lab, odd):
    """A provider to log in to, and an agent with accounts there."""
    shared_lab.start_idp()
    here = shared_lab.delegated(issuer=shared_lab.idp.issuer)
    del here["token_endpoint"]
    agent = shared_lab.make_agent({})
    agent.accounts = {name_of(user): here for user in (
        "device", "no-device", "browser", "chromium", "no-chromium", "paste",
        "pipe", "unseen", "replay", "no", "hasty", "short", "interrupted", "revoked", "out")}
    agent.accounts |= {name_of(user): one.account()
                       for user, one in odd.items()}
    agent.accounts["secret@contoso.example"] = here | {
        "client_id": "native-secret", "client_auth": "basic",
        "client_secret": agent.secret("client.secret", idp.CLIENT_SECRET)}
    agent.accounts["short@contoso.example"] = here | {
        "scope": f"openid {idp.MAIL_SCOPE}"}
    agent.accounts["app@contoso.example"] = shared_lab.delegated(
        grant="client_credentials", client_id="daemon-secret",
        scope=idp.APP_SCOPE,
        client_secret=agent.secret("app.secret", idp.CLIENT_SECRET))
    agent.accounts["entra@contoso.example"] = {
        "provider": "microsoft", "tenant": "contoso.example",
        "grant": "refresh_token", "services": "smtp",
        "client_id": "11111111-2222-3333-4444-555555555555",
        "allow": "postfix"}
    agent.write()
    agent.start()
    return shared_lab


def mailtoken(lab, command: str, user: str, *options,
              **environment) -> Process:
    """The command, running."""
    agent = lab.agent
    env = client_environment(MAILTOKEN_SOCKET=str(agent.sockets[0]))
    started = Process(
        [BUILD / "mailtoken", "-c", agent.conf, command, name_of(user),
         *options], agent.directory / f"login-{next(numbers)}",
        env=env | environment)
    lab.ends.callback(started.stop)
    return started


def login(lab, user: str, *options, **environment) -> Process:
    return mailtoken(lab, "login", user, *options, **environment)


def shown(command: Process, pattern: str) -> str:
    """What it has said, as soon as it has."""
    def look():
        found = re.search(pattern, command.text(), re.MULTILINE)
        assert found or command.alive(), command.text()
        return found and found[1]
    return until(look, 10, pattern)


def url_of(command: Process) -> str:
    return shown(command, r"^(https://\S+)$")


def ended(command: Process) -> tuple:
    """Its exit code and what it has said."""
    return command.popen.wait(20), command.text()


def fetch(url: str, data: bytes = None) -> tuple:
    """Status, headers and text of a page of ours."""
    try:
        with urllib.request.urlopen(url, data, 10) as answer:
            return answer.status, answer.headers, answer.read().decode()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.headers, refusal.read().decode()


def check_page(headers, page: str, *never):
    """Readable on a phone, nothing in it but itself, and nothing secret."""
    style = re.search(r"<style>(.*)</style>", page)[1]
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert f"style-src 'sha256-{digest}'" in policy
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cache-Control"] == "no-store"
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert 'name="viewport" content="width=device-width' in page
    assert "Close this tab" in page or "close this tab" in page
    for word in ("<script", "http:", "https:", "src=", "href=", *never):
        assert word not in page, word


def parameters(url: str) -> dict:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(url).query))


def walk(lab, command: Process, user: str, **how) -> str:
    """A person in a browser; returns where the provider sends that."""
    return idp.Browser(lab.idp, LOCAL).walk(
        url_of(command), name_of(user), **how)


def serves(lab, user: str) -> bool:
    """The agent hands out a token that the provider knows."""
    token = lab.agent.do("token", name_of(user)).strip()
    return lab.idp.expires(token) is not None


def state(lab, user: str) -> bytes:
    path = lab.agent.state / f"{name_of(user)}.grant"
    return path.read_bytes() if path.exists() else b""


@pytest.fixture(scope="module", autouse=True)
def waiting(lab):
    """What takes seconds by itself goes on beside the rest."""
    return {user: login(lab, user, "--device") for user in ("slow", "late")}


# By device.

def device(lab, command: Process, user: str, **how):
    idp.Browser(lab.idp).device(
        shown(command, r"^ +page +(\S+)$"), shown(command, r"^ +code +(\S+)$"),
        name_of(user), **how)


def test_a_device(lab):
    """Without a screen this is the way; declined, it says so."""
    yes, no = login(lab, "device"), login(lab, "no-device", "--device")
    device(lab, yes, "device")
    device(lab, no, "no-device", decline=True)
    code, said = ended(yes)
    assert code == EX_OK and "and it works" in said
    assert serves(lab, "device")
    code, said = ended(no)
    assert code == EX_NOPERM and "declined" in said
    assert not state(lab, "no-device")


# By a browser.

def test_a_browser(lab):
    """Strangers, wrong paths and other tabs change nothing."""
    command = login(lab, "browser", "--browser")
    port = shown(command, r"ssh -L (\d+):127\.0\.0\.1:\1 \S+")
    ours = parameters(url_of(command))
    assert ours["redirect_uri"] == f"{LOCAL}{port}/"
    assert ours["code_challenge_method"] == "S256"
    assert ours["login_hint"] == name_of("browser")

    for query in ("?code=stolen&state=another", "?code=stolen", "",
                  f"?code=stolen&state={ours['state']}&state=another"):
        status, headers, page = fetch(f"{LOCAL}{port}/{query}")
        assert status == 400 and "another login" in page
        check_page(headers, page, "stolen", ours["state"])
    assert fetch(f"{LOCAL}{port}/favicon.ico")[0] == 204
    assert fetch(f"{LOCAL}{port}/start/x")[0] == 400
    status, headers, page = fetch(f"{LOCAL}{port}/x?state={ours['state']}")
    assert status == 404
    check_page(headers, page, ours["state"])
    status, headers, page = fetch(f"{LOCAL}{port}/", b"code=stolen")
    assert status == 405 and headers["Allow"] == "GET"
    assert fetch(f"{LOCAL}{port}/?{'x' * 40000}")[0] in (400, 413)
    assert command.alive()

    done = walk(lab, command, "browser")
    secrets = parameters(done)["code"], ours["state"], ours["code_challenge"]
    tabs = [None, None]
    threads = [threading.Thread(
        target=lambda i=i: tabs.__setitem__(i, fetch(done))) for i in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    good, other = sorted(tabs, key=lambda tab: tab[0])
    assert (good[0], other[0]) == (200, 400)
    assert "Logged in" in good[2] and name_of("browser") in good[2]
    assert "ended already" in other[2]
    try:
        late = fetch(done)
    except (urllib.error.URLError, ConnectionError):
        late = other            # a second has gone by on a busy machine
    assert late[0] == 400 and "ended already" in late[2]
    for _, headers, page in (good, other, late):
        check_page(headers, page, *secrets)
    code, said = ended(command)
    assert code == EX_OK and "and it works" in said
    assert serves(lab, "browser")


def screen(lab) -> tuple:
    """A screen, as far as can be seen, of somebody who called sudo: the file
    that xdg-open writes its user and arguments to, and the environment."""
    directory = lab.agent.directory / "screen"
    opener = directory / "xdg-open"
    if not opener.exists():
        directory.mkdir(mode=0o755)
        (directory / "opened").touch()
        (directory / "opened").chmod(0o666)
        opener.write_text('#!/bin/sh\nprintf "%s %s %s\\n" "$(id -u)" "$HOME" '
                          f'"$*" >>{directory}/opened\n')
        opener.chmod(0o755)
    return directory / "opened", {
        "PATH": f"{directory}:/usr/bin:/bin", "DISPLAY": ":77",
        "SUDO_UID": str(NOBODY.pw_uid)}


def test_chromium(lab):
    """A real browser, opened by a program whose arguments tell nothing."""
    opened, environment = screen(lab)
    artefacts = BUILD / "artefacts"
    artefacts.mkdir(exist_ok=True)
    shots = {"chromium": [
        PHONE | {"path": str(artefacts / "login-page.png")},
        DESKTOP | {"path": str(artefacts / "login-page-desktop.png")},
        PHONE | {"dark": True,
                 "path": str(artefacts / "login-page-dark.png")}],
        "no-chromium": [PHONE | {
            "path": str(artefacts / "login-page-failed.png")}]}
    commands = {user: login(lab, user, **environment) for user in shots}
    states = [parameters(url_of(one))["state"] for one in commands.values()]
    lines = until(
        lambda: opened.read_text().count("\n") == 2 and opened.read_text(),
        10, "two browsers").splitlines()
    assert all(line.startswith(f"{NOBODY.pw_uid} {NOBODY.pw_dir} ")
               for line in lines)
    arguments = [line.split()[2] for line in lines]
    ports = [parameters(url_of(one))["redirect_uri"].split(":")[2][:-1]
             for one in commands.values()]
    starts = {user: next(a for a in arguments if f":{port}/" in a)
              for user, port in zip(commands, ports)}
    assert not any(s in a for s in states for a in arguments)

    visits = lab.agent.directory / "visits.json"
    visits.write_text(json.dumps([
        {"url": starts[user], "user": name_of(user), "shots": shots[user],
         "decline": user.startswith("no-")} for user in shots]))
    person = subprocess.run(["node", PERSON, visits], timeout=60, text=True,
                            capture_output=True)
    assert person.returncode == 0, person.stderr
    good, bad = map(json.loads, person.stdout.splitlines())
    assert good["title"] == "Logged in"
    assert bad["title"] == "The login did not work"
    assert "access_denied" in bad["text"]
    for page in good, bad:
        assert page["styled"] and not any(page["scrolls"]), page
    assert not good["complaints"], good
    assert all("status of 400" in one for one in bad["complaints"]), bad
    code, said = ended(commands["chromium"])
    assert code == EX_OK and "a browser opens" in said
    assert serves(lab, "chromium")
    code, said = ended(commands["no-chromium"])
    assert code == EX_NOPERM and "access_denied" in said
    assert all(shot.stat().st_size > 5000 for shot in artefacts.glob("login*"))


def test_the_way_to_the_browser_is_good_once(lab):
    opened, environment = screen(lab)
    before = opened.read_text()
    command = login(lab, "interrupted", **environment)
    url_of(command)
    start = until(lambda: opened.read_text()[len(before):].split()[2:], 10,
                  "a browser")[0]

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *args):
            return None

    with pytest.raises(urllib.error.HTTPError) as first:
        urllib.request.build_opener(Stay).open(start, timeout=10)
    assert first.value.code == 302
    assert first.value.headers["Location"] == url_of(command)
    assert first.value.headers["Referrer-Policy"] == "no-referrer"
    status, headers, page = fetch(start)
    assert status == 400 and "has been used" in page
    check_page(headers, page)
    command.signal(signal.SIGTERM)
    assert ended(command)[0] == 128 + signal.SIGTERM


def fetch_as(user: str, url: str) -> str:
    """The status that another user's program gets."""
    return subprocess.run(
        ["/usr/bin/python3", "-I", "-c", """if True:
            import http.client, sys, urllib.parse
            url = urllib.parse.urlsplit(sys.argv[1])
            c = http.client.HTTPConnection(url.hostname, url.port, timeout=10)
            c.request("GET", url.path)
            print(c.getresponse().status)""", url], user=user, group=user,
        extra_groups=[], timeout=20, text=True, capture_output=True,
        check=True).stdout.strip()


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]"])
def test_the_way_to_the_browser_is_no_other_users(lab, host):
    """Who reads the arguments of programs could be faster than a browser."""
    opened, environment = screen(lab)
    before = opened.read_text()
    command = login(lab, "interrupted", **environment | {
        "SUDO_UID": str(pwd.getpwnam("daemon").pw_uid)})
    url_of(command)
    start = until(lambda: opened.read_text()[len(before):].split()[2:], 10,
                  "a browser")[0].replace("localhost", host)
    assert fetch_as("games", start) == "403"
    assert fetch_as("daemon", start) == "302"
    assert fetch_as("games", start) == "403"
    assert fetch_as("daemon", start) == "400"
    command.signal(signal.SIGTERM)
    assert ended(command)[0] == 128 + signal.SIGTERM


def test_a_browser_that_could_be_anybodys(lab):
    """Where /proc does not tell whose it is, nobody is led on, and the page
    says what to do instead, which works."""
    opened, environment = screen(lab)
    before = opened.read_text()
    agent = lab.agent
    command = Process(
        ["unshare", "--mount", "sh", "-c", "mount -t tmpfs none /proc/$$/net "
         '&& exec "$@"', "sh", BUILD / "mailtoken", "-c", agent.conf, "login",
         name_of("unseen")], agent.directory / f"login-{next(numbers)}",
        env=client_environment(MAILTOKEN_SOCKET=str(agent.sockets[0])) |
        environment)
    lab.ends.callback(command.stop)
    url = url_of(command)
    start = until(lambda: opened.read_text()[len(before):].split()[2:], 10,
                  "a browser")[0]
    for _ in range(2):
        status, headers, page = fetch(start)    # root's own, it would be
        assert status == 403 and "address that the terminal shows" in page
        check_page(headers, page, parameters(url)["state"])
    assert fetch(walk(lab, command, "unseen"))[0] == 200
    assert ended(command)[0] == EX_OK


def test_nobody_else_listens_on_the_other_loopback(lab):
    """Where a browser would go first, and bring the code."""
    command = login(lab, "interrupted", "--browser")
    port = urllib.parse.urlsplit(
        parameters(url_of(command))["redirect_uri"]).port
    with pytest.raises(OSError), socket.create_server(
            ("::1", port), family=socket.AF_INET6):
        pass
    assert fetch(f"http://[::1]:{port}/?state=x")[0] == 400
    command.signal(signal.SIGTERM)
    ended(command)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as taken:
        port = taken.getsockname()[1]
        code, said = ended(login(lab, "interrupted", "--port", str(port)))
    assert code == EX_CONFIG and "or that of ::1" in said


def test_a_flood_of_connections(lab):
    command = login(lab, "interrupted", "--browser")
    uri = parameters(url_of(command))["redirect_uri"]
    port = urllib.parse.urlsplit(uri).port
    fds = Path(f"/proc/{command.popen.pid}/fd")
    before = len(list(fds.iterdir()))
    flood = [socket.create_connection((host, port), 5)
             for host in ("127.0.0.1", "::1") * 14]
    until(lambda: len(list(fds.iterdir())) == before + 16, 10, "16")
    with pytest.raises(OSError):
        urllib.request.urlopen(uri, timeout=0.5)
    assert len(list(fds.iterdir())) == before + 16
    for one in flood:
        one.close()
    assert fetch(uri + "?state=x")[0] == 400
    command.signal(signal.SIGTERM)
    assert ended(command)[0] == 128 + signal.SIGTERM


def test_no_browser_runs_as_root(lab):
    """Then a device is the way."""
    _, environment = screen(lab)
    command = login(lab, "interrupted", **environment | {"SUDO_UID": "0"})
    shown(command, r"^ +code +(\S+)$")
    command.signal(signal.SIGHUP)
    assert ended(command)[0] == 128 + signal.SIGHUP


def test_a_browser_that_does_not_wait(lab):
    """The code counts, whether or not anybody reads the page."""
    command = login(lab, "hasty", "--browser")
    done = urllib.parse.urlsplit(walk(lab, command, "hasty"))
    with socket.create_connection(("127.0.0.1", done.port)) as s:
        s.sendall(f"GET /?{done.query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert ended(command)[0] == EX_OK
    assert serves(lab, "hasty")


def test_a_consent_is_declined(lab):
    command = login(lab, "no", "--browser")
    done = walk(lab, command, "no", decline=True)
    status, headers, page = fetch(done)
    assert status == 400 and "The login did not work" in page
    check_page(headers, page, parameters(done)["state"])
    code, said = ended(command)
    assert code == EX_NOPERM
    reason = re.search(r"<p>Why: (.*)\.</p>", page)[1]
    assert "access_denied" in reason and html.unescape(reason) in said
    assert not state(lab, "no")


def test_a_code_is_replayed(lab):
    first = login(lab, "replay", "--browser")
    done = walk(lab, first, "replay")
    assert fetch(done)[0] == 200
    assert ended(first)[0] == EX_OK
    before = state(lab, "replay")
    second = login(lab, "replay", "--browser")
    ours = parameters(url_of(second))
    query = urllib.parse.urlencode(
        {"code": parameters(done)["code"], "state": ours["state"]})
    status, _, page = fetch(ours["redirect_uri"] + "?" + query)
    assert status == 400 and "invalid_grant" in page
    code, said = ended(second)
    assert code == EX_NOPERM and "invalid_grant" in said
    assert state(lab, "replay") == before


def test_a_client_with_a_secret(lab):
    command = login(lab, "secret", "--browser")
    assert fetch(walk(lab, command, "secret"))[0] == 200
    assert ended(command)[0] == EX_OK
    assert serves(lab, "secret")


def test_no_refresh_token_comes(lab):
    command = login(lab, "short", "--browser")
    status, _, page = fetch(walk(lab, command, "short"))
    assert status == 400 and "offline_access" in page
    code, said = ended(command)
    assert code == EX_CONFIG and "offline_access" in said
    assert not state(lab, "short")


def test_no_room_for_the_login(lab):
    """Found out before anybody logs in for nothing."""
    disk = DiskFault(lab.agent.state, lab.directory / "disk")
    disk.order(1, FULL_DISK)
    code, said = ended(login(lab, "interrupted", "--device",
                             **disk.environment))
    assert code == EX_TEMPFAIL and "No space left on device" in said
    assert len(said.splitlines()) == 1
    assert disk.struck and not state(lab, "interrupted")


def test_the_port_is_taken(lab):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = login(lab, "interrupted", "--port", str(port))
        code, said = ended(refused)
    assert code == EX_CONFIG
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert len(said.splitlines()) == 1
    command = login(lab, "interrupted", "--port", str(port))
    assert f"localhost%3A{port}%2F" in url_of(command)
    command.signal(signal.SIGINT)
    assert ended(command)[0] == INTERRUPTED


# By pasting.

def terminal(lab, user: str, *options) -> pexpect.spawn:
    agent = lab.agent
    return pexpect.spawn(
        str(BUILD / "mailtoken"),
        ["-c", str(agent.conf), "login", name_of(user), *options],
        env=client_environment(MAILTOKEN_SOCKET=str(agent.sockets[0]),
                               TERM="xterm"),
        encoding="utf-8", timeout=10, dimensions=(24, 2000))


def test_pasting(lab):
    """At a terminal, whose lines end at 4095 bytes; and a wrong URL first."""
    child = terminal(lab, "paste", "--paste")
    child.expect(r"\r\n(https://\S+)\r\n")
    url = child.match[1]
    child.expect(r"paste that URL here.*9:5\d left")
    done = idp.Browser(lab.idp, "http://localhost/").walk(url, name_of("paste"))
    child.send("http://localhost/?code=x&state=another\r")
    child.expect("not the URL that this login ended on")
    child.send(done.replace("?", f"?more={'x' * 6000}&") + "\r")
    child.expect("and it works")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == EX_OK
    assert parameters(done)["code"] not in child.before
    assert serves(lab, "paste")


def test_pasting_by_a_program(lab):
    agent = lab.agent
    log = agent.directory / "login-pipe"
    with open(log, "wb") as out, subprocess.Popen(
            [BUILD / "mailtoken", "-c", agent.conf, "login", name_of("pipe"),
             "--paste", "--port", "8400"], stdin=subprocess.PIPE, stderr=out,
            env=client_environment(MAILTOKEN_SOCKET=str(agent.sockets[0]))
            ) as command:
        url = until(lambda: re.search(r"^https://\S+$", log.read_text(), re.M),
                    10, "the URL")[0]
        done = idp.Browser(lab.idp, LOCAL).walk(url, name_of("pipe"))
        assert done.startswith(LOCAL + "8400/?")
        command.communicate(done.encode(), 15)
    assert command.returncode == EX_OK, log.read_text()
    assert serves(lab, "pipe")
    wrong = agent.cli("login", name_of("pipe"), "--paste", give="nonsense\n")
    assert wrong.returncode == EX_CONFIG
    assert "does not hold the URL" in wrong.stderr


@pytest.mark.parametrize("key", ["\x1c", "\x1a"])     # ^\\ and ^Z
def test_no_key_leaves_a_mute_terminal(lab, key):
    child = terminal(lab, "interrupted", "--paste")
    child.expect("paste that URL here")
    child.send(key)
    child.send("x\r")
    child.expect("not the URL that this login ended on")
    child.sendintr()
    child.expect("interrupted: nothing has changed")
    child.expect(pexpect.EOF)
    assert termios.tcgetattr(child.child_fd) == untouched()
    child.close()


# Interrupted.

@pytest.mark.parametrize("option", ["--paste", "--device", "--browser"])
def test_interrupted_at_a_terminal(lab, option):
    before = state(lab, "interrupted")
    child = terminal(lab, "interrupted", option)
    child.expect(r"\d:\d\d left")
    child.expect(r"\d:\d\d left")       # it counts
    child.sendintr()
    child.expect("interrupted: nothing has changed")
    child.expect(pexpect.EOF)
    now = termios.tcgetattr(child.child_fd)
    child.close()
    assert child.exitstatus == INTERRUPTED
    assert now == untouched()
    assert state(lab, "interrupted") == before


# Devices that take their time.

def test_slower_if_told_so(lab, odd, waiting):
    code, said = ended(waiting["slow"])
    assert code == EX_OK, said
    first, second = odd["slow"].times[:2]
    assert second - first >= 5.9        # 1 second, and 5 more
    assert f"{OTHER} has logged in" in said
    assert len(odd["slow"].times) == 2


def test_a_device_code_expires(lab, waiting):
    code, said = ended(waiting["late"])
    assert code == EX_NOPERM and "ran out" in said
    assert not state(lab, "late")


# Nobody logs in.

def test_bad_commands(lab):
    run = lab.agent.cli
    app = run("login", "app@contoso.example")
    assert app.returncode == EX_CONFIG
    assert "client_credentials" in app.stderr
    assert "mailtoken refresh app@contoso.example" in app.stderr
    assert run("logout", "app@contoso.example").returncode == EX_CONFIG
    assert run("login", "nobody@contoso.example").returncode == EX_CONFIG
    for options in (["--device", "--paste"], ["--port", "0"], ["--port"],
                    ["--port", "65536"], ["--port", "1x"], ["--x"], ["b"],
                    ["--device", "--port", "80"]):
        done = run("login", name_of("out"), *options)
        assert done.returncode == EX_USAGE, options
    assert run("revoke", name_of("out"), "--now").returncode == EX_USAGE


# Out again.

def imported(lab, user: str):
    lab.agent.do("import", name_of(user), give=lab.idp.login(name_of(user)))
    grant = lab.agent.grant(name_of(user))
    assert serves(lab, user)
    return grant["refresh_token"], grant["access_token"]


def is_out(lab, user: str):
    """Neither the agent nor the state has a token any more."""
    grant = lab.agent.grant(name_of(user))
    assert not any(value for key, value in grant.items() if "token" in key)
    asked = lab.agent.cli("token", name_of(user))
    assert asked.returncode == EX_NOPERM and not asked.stdout
    assert f"mailtoken login {name_of(user)}" in asked.stderr


def test_logging_out(lab):
    refresh, access = imported(lab, "out")
    said = lab.agent.cli("logout", name_of("out"))
    assert said.returncode == EX_OK and "logged out" in said.stderr
    is_out(lab, "out")
    assert lab.agent.events("forget", name_of("out"))
    assert lab.idp.expires(access) and lab.idp.expires(refresh)
    imported(lab, "out")                # and in again


def test_a_logout_says_what_it_waits_for(lab):
    imported(lab, "out")
    with open(lab.agent.state / f"{name_of('out')}.lock", "r+") as renewal:
        fcntl.flock(renewal, fcntl.LOCK_EX)
        command = mailtoken(lab, "logout", "out")
        until(lambda: "waiting for a renewal" in command.text(), 10, "a word")
        assert command.alive() and state(lab, "out")
    assert ended(command)[0] == EX_OK
    is_out(lab, "out")


def test_only_admins_make_the_agent_forget(lab):
    imported(lab, "out")
    ask = ("import socket, sys; s = socket.socket(socket.AF_UNIX); "
           "s.settimeout(10); s.connect(sys.argv[1]); "
           "s.sendall(sys.argv[2].encode()); print(s.recv(4096).decode())")
    asked = subprocess.run(
        ["/usr/bin/python3", "-c", ask, lab.agent.sockets[0],
         f"version=1\nop=forget\naccount={name_of('out')}\n\n"],
        user="nobody", capture_output=True, text=True, timeout=20)
    assert "kind=denied" in asked.stdout, asked
    assert serves(lab, "out")


def test_revoking(lab):
    refresh, access = imported(lab, "revoked")
    assert lab.idp.expires(access) and lab.idp.expires(refresh)
    said = lab.agent.cli("revoke", name_of("revoked"))
    assert said.returncode == EX_OK and "revoked" in said.stderr, said.stderr
    is_out(lab, "revoked")
    assert not lab.idp.expires(access) and not lab.idp.expires(refresh)


def test_a_revocation_fails(lab, odd):
    lab.agent.do("import", name_of("deaf"), give="rt-deaf")
    before = state(lab, "deaf")
    said = lab.agent.cli("revoke", name_of("deaf"))
    assert said.returncode == EX_TEMPFAIL
    assert "not revoked, and kept" in said.stderr
    assert state(lab, "deaf") == before
    odd["deaf"].revoked = 200
    lab.agent.do("revoke", name_of("deaf"))
    is_out(lab, "deaf")
    revoked = {(form["token_type_hint"], form["token"])
               for path, form in odd["deaf"].forms if path == "/revoke"}
    assert revoked == {("access_token", jwt(upn=OTHER)),
                       ("refresh_token", "rt-odd"),
                       ("refresh_token", "rt-deaf")}     # before the rotation


def test_who_waits_hears_of_the_logout(lab, odd):
    """A renewal that is asked for meanwhile finds no login."""
    user, provider = name_of("deaf"), odd["deaf"]
    lab.agent.do("import", user, give="rt-deaf")
    provider.pause, provider.revoked = 0.7, 200
    before = len(provider.forms)
    with ThreadPoolExecutor(2) as pool:
        revoking = pool.submit(lab.agent.cli, "revoke", user)
        until(lambda: len(provider.forms) > before, 5, "the revocation")
        renewing = pool.submit(lab.agent.cli, "refresh", user)
        assert revoking.result(20).returncode == EX_OK
        done = renewing.result(20)
    assert done.returncode == EX_NOPERM and "no refresh token" in done.stderr
    is_out(lab, "deaf")
    assert not any(path == "/token" for path, _ in provider.forms[before:])


def test_a_provider_that_cannot_revoke(lab):
    user = "entra@contoso.example"
    lab.agent.do("import", user, give="rt-entra", agent=False)
    before = lab.agent.grant(user)
    said = lab.agent.cli("revoke", user)
    assert said.returncode == EX_UNAVAILABLE
    assert "Entra admin center" in said.stderr and "--local" in said.stderr
    assert lab.agent.grant(user) == before
    said = lab.agent.cli("logout", user)
    assert said.returncode == EX_OK, said.stderr
    assert "Entra admin center" in said.stderr
    assert "mailtoken revoke" not in said.stderr
    lab.agent.do("import", user, give="rt-entra", agent=False)
    lab.agent.do("revoke", user, "--local")
    assert "refresh_token" not in lab.agent.grant(user) or \
        not lab.agent.grant(user)["refresh_token"]


def test_nothing_leaks(lab):
    """After all of the above: no token, verifier or secret was said."""
    seen = "".join(path.read_text(errors="replace")
                   for path in lab.agent.directory.glob("login-*"))
    seen += lab.agent.text() + screen(lab)[0].read_text()
    secrets = set(lab.idp.issued()) | {
        idp.CLIENT_SECRET, "rt-odd", "rt-deaf", "rt-entra", jwt(upn=OTHER),
        "the-device-code"}
    assert len(secrets) > 20
    assert not [s[:6] for s in secrets if s in seen]
    assert "code_verifier" not in seen
