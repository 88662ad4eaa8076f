"""An agent that lacks something.

Descriptors, memory or the disk are taken away from the running agent while it works for accounts with each kind of secret, and given
back; its way out is a proxy that quotes. Then its log, all answers and files are searched for the secrets, as above; and the agent
goes on as if nothing had been. Last, nobody reads its log."""

import base64
import contextlib
import re
import resource
import socket
from pathlib import Path

import pytest

from lab import canary, wire
from lab.agent import BUILD, client_environment
from lab.diskfault import FULL_DISK, DiskFault
from lab.lab import ACCOUNT
from lab.ledger import times
from lab.process import Process
from lab.tlsfault import Proxy, TlsFault, issue
from lab.wait import until
from test_faults_secrets import Scene, as_user
from test_privileges import limits

PAGE = resource.getpagesize()
PROVIDER = "login.contoso.example"


@pytest.fixture(scope="module")
def scene(shared_lab):
    """Its disk can be full."""
    made = Scene(shared_lab)
    made.agent.stop()
    made.disk = DiskFault(made.agent.state, shared_lab.directory / "disk")
    made.agent.environment = made.disk.environment
    made.agent.start()
    return made


def refresh_all(scene) -> int:
    """How many of the accounts have a new token."""
    return sum(scene.run("refresh", name).returncode == 0
               for name in scene.agent.accounts)


def works(scene):
    """As before: each account is renewed, and what is new is in the state."""
    before = failed(scene.agent)
    assert refresh_all(scene) == len(scene.agent.accounts)
    assert failed(scene.agent) == before
    for name in ("refresh", "out"):
        scene.agent.do("refresh", name)
        newest = scene.numbers["new refresh token"]
        assert scene.agent.grant(name)["refresh_token"] == (
            scene.secrets.named[f"new refresh token {newest}"])


def failed(agent) -> int:
    """How many renewals."""
    return sum(event["result"] != "ok" for event in agent.events("renewal"))


# The disk.

def test_full_disk(scene, ledger):
    agent, tried = scene.agent, 0
    for _ in range(times(1, 10)):
        scene.disk.order(1, FULL_DISK)
        for name in agent.accounts:
            scene.run("refresh", name)
            scene.run("refresh", name, agent=False)
            scene.run("import", name, give=scene.new("refresh token"))
            tried += 3
        scene.run("reload")
        scene.run("status", "--json")
        assert scene.disk.struck
        scene.disk.order()
        assert not scene.leaks()
        works(scene)
    assert agent.events("state-not-saved")
    ledger.row("the disk is full: renewals by agent and command, and imports",
               tried, "said; no secret in any log, answer or file")


# Descriptors.

@contextlib.contextmanager
def limited(pid: int, what: int, number: int):
    """Set by the agent's own user, as a root without privileges may not."""
    name = {resource.RLIMIT_NOFILE: "Max open files",
            resource.RLIMIT_AS: "Max address space"}[what]
    before = [resource.RLIM_INFINITY if word == "unlimited" else int(word)
              for word in limits(pid)[name]]

    def set_limit(soft: int):
        assert as_user(lambda: resource.prlimit(pid, what, (
            soft, before[1])) and 0) == 0
    set_limit(number)
    try:
        yield
    finally:
        set_limit(before[0])


def lowest_free(pid: int) -> int:
    has = {int(path.name) for path in Path(f"/proc/{pid}/fd").iterdir()}
    return min(set(range(len(has) + 1)) - has)


def test_no_descriptors(scene, ledger):
    """So few more than it has that a connection, or what that connection
    asks for, has none."""
    agent, tried = scene.agent, 0
    pid, before = agent.process.pid, failed(agent)
    works(scene)
    for more in [1, 2, 3] * times(1, 5):
        with limited(pid, resource.RLIMIT_NOFILE, lowest_free(pid) + more):
            for name in agent.accounts:
                scene.run("refresh", name)
                scene.run("token", name, purpose=True)
                tried += 2
            scene.run("status", "--json")
            scene.run("reload")
        assert scene.run("reload").returncode == 0
        works(scene)
        assert not scene.leaks()
    assert failed(agent) >= before + 3
    # Not even one for who asks: they wait, and are not forgotten.
    with limited(pid, resource.RLIMIT_NOFILE, lowest_free(pid)):
        there = wire.connect(scene.lab.socket)
        there.sendall(b"version=1\nop=get\naccount=refresh\n\n")
        until(lambda: agent.events("cannot-accept"), 20, "its word on that")
    assert "token" in wire.parse(wire.receive(there))
    there.close()
    works(scene)
    assert not scene.leaks()
    ledger.row("no descriptors: as many as are open, and up to three more",
               tried + 1, "what needs one waits or fails, and that is logged "
               "without secrets; all is well as soon as there are some again")


# Memory.

def crowd(path) -> list:
    """Half a long request of each, as far as they come."""
    found = []
    for _ in range(200):
        there = wire.connect(path)
        with contextlib.suppress(OSError):
            there.sendall(b"version=1\nop=get\naccount=refresh\nhost="
                          + b"x" * 3000)
        found.append(there)
    return found


def test_no_memory(scene, ledger):
    """It may not grow, or not by much; a provider with one-time refresh
    tokens is asked, too."""
    agent, tried = scene.agent, 0
    strict = scene.lab.start_fault().endpoint("strict", mode="rotate")
    agent.accounts["strict"] = scene.lab.faulty(strict)
    agent.write()
    scene.note("refresh token", strict.refresh_token)
    agent.do("reload")
    agent.do("import", "strict", give=strict.refresh_token)
    pid = agent.process.pid
    works(scene)
    before, refused = failed(agent), 0
    for more in [0, 4, 64] * times(1, 7):
        size = int(Path(f"/proc/{pid}/statm").read_text().split()[0]) * PAGE
        with limited(pid, resource.RLIMIT_AS, size + more * 1024):
            for name in agent.accounts:
                scene.run("refresh", name)
                tried += 1
            visitors = crowd(scene.lab.socket)
            scene.run("reload")
            while visitors:         # each that leaves makes some room
                for _ in range(min(4 + more // 8, len(visitors))):
                    visitors.pop().close()
                for name in "strict", "command":
                    refused += scene.run("refresh", name).returncode != 0
                    tried += 1
        assert agent.process.alive()
        works(scene)
        assert not scene.leaks()
    assert refused and failed(agent) > before
    assert "the request is too long" not in agent.text()
    assert strict.alive
    del agent.accounts["strict"]
    agent.write()
    agent.do("reload")
    ledger.row("no memory: the agent has as much as it has, and clients take "
               "what is left of it", tried, "who cannot be served is told so, "
               "without secrets; all is well as soon as there is some again")


# The way out.

class Quoting(Proxy):
    """Refuses with what it was told, where `place` says."""

    place = "reason"

    def _serve(self, client: socket.socket):
        with client, contextlib.suppress(OSError):
            client.settimeout(20)
            head = b""
            while b"\r\n\r\n" not in head and (data := client.recv(8192)):
                head += data
            self.heads.append(head.decode())
            raw = re.search(rb"(?i)proxy-authorization: Basic (\S+)", head)
            said = raw[0] + b" " + base64.b64decode(raw[1])
            client.sendall({
                "reason": b"HTTP/1.1 407 %s\r\nContent-Length: 0\r\n\r\n",
                "header": b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic "
                          b"realm=\"%s\"\r\nContent-Length: 0\r\n\r\n",
                "page": b"HTTP/1.1 407 No\r\n\r\n<html>%s</html>",
                "other": b"HTTP/1.1 502 %s\r\nX-Debug: %s\r\n\r\n%s",
                "redirect": b"HTTP/1.1 302 No\r\nLocation: http://%s/\r\n"
                            b"Content-Length: 0\r\n\r\n",
                "junk": b"%s\r\n\r\n",
                "good, then junk": b"HTTP/1.1 200 %s\r\n\r\n%s",
            }[self.place].replace(b"%s", said))


PLACES = ("reason", "header", "page", "other", "redirect", "junk",
          "good, then junk")
# What somebody may write into https_proxy; {0}: user and password.
WRONG = ("ftp://{0}@127.0.0.1:1", "http://{0}@127.0.0.1:99999",
         "http://{0}@127.0.0.1:{0}", "http://{0}", "{0}", "//{0}",
         "http://{0}@[::1", "https://{0}@127.0.0.1:1",
         "socks5h://{0}@127.0.0.1:1", "http:{0}@127.0.0.1:1")


def shown_by_failures(agent, secrets) -> list:
    """What agent and command say of a renewal that fails, and shows one."""
    said = [agent.cli(*args) for args in (
        ["refresh", ACCOUNT], ["status"], ["status", "--json"])]
    alone = agent.cli("refresh", ACCOUNT, agent=False)
    assert said[0].returncode and alone.returncode
    texts = [agent.text()] + [text for done in [*said, alone]
                              for text in (done.stdout, done.stderr)]
    return [text for text in texts if secrets.seen(text)]


def test_proxy_that_quotes(lab, ledger):
    """Its password is in the agent's environment, where else."""
    secrets = canary.Secrets({"proxy's password": canary.make()})
    pair = "relay:" + secrets.named["proxy's password"]
    server = TlsFault(*issue(lab.ca, "provider", "DNS:" + PROVIDER),
                      host=PROVIDER)
    proxy = Quoting(server.server.server_port)
    lab.ends.callback(server.stop)
    lab.ends.callback(proxy.stop)
    point = server.endpoint("one")
    secrets.add("refresh token", point.refresh_token)
    agent = lab.make_agent({}, sockets=[lab.socket])
    agent.accounts[ACCOUNT] = lab.faulty(point, ca_file=lab.ca.certificate)
    del agent.accounts[ACCOUNT]["insecure_http"]
    agent.write()
    agent.do("import", ACCOUNT, agent=False, give=point.refresh_token)
    agent.environment = {"HTTPS_PROXY": f"http://{pair}@127.0.0.1:{proxy.port}"}
    agent.start()
    for proxy.place in PLACES:
        assert not shown_by_failures(agent, secrets), proxy.place
    assert len(proxy.heads) >= 2 * len(PLACES)
    ledger.row("a proxy that quotes its password in its refusal: as reason, "
               "in headers, a page, a redirect or junk", len(proxy.heads),
               "logged and shown without it")
    for form in WRONG:
        agent.stop()
        agent.environment = {"HTTPS_PROXY": form.format(pair)}
        agent.start()
        assert not shown_by_failures(agent, secrets), form
    assert "https_proxy is no URL of a proxy" in agent.text()
    ledger.row("a proxy's URL with a password that is none, as libcurl sees "
               "it", 2 * len(WRONG), "said without the URL")


# The log.

# Runs a program that has a directory of ours as /dev, where log leads to our
# socket.
WITH_SYSLOG = ["unshare", "--mount", "--propagation", "private", "sh", "-ec", """
    mount -t tmpfs none "$0"
    for name in null zero full random urandom; do
        touch "$0/$name"
        mount --bind "/dev/$name" "$0/$name"
    done
    ln -s "$1" "$0/log"
    mount --rbind "$0" /dev
    shift
    exec "$@" """]


class Syslog:
    def __init__(self, path: Path):
        path.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        path.chmod(0o666)

    def line(self, timeout: float = 20) -> str:
        self.socket.settimeout(timeout)
        return self.socket.recv(4096).decode()

    def waiting(self) -> list:
        """All that nobody has read yet."""
        found = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(self.line(0))
        return found


def test_syslog_that_nobody_reads(lab, ledger):
    """Neither before the agent nor after it: syslog(3) would wait."""
    endpoint = lab.start_fault().endpoint("one")
    agent = lab.make_agent({ACCOUNT: lab.faulty(endpoint)},
                           sockets=[lab.socket])
    agent.do("import", ACCOUNT, agent=False, give=endpoint.refresh_token)
    path, dev = lab.directory / "syslog", lab.directory / "dev"
    dev.mkdir()
    syslog = Syslog(path)
    agent.process = Process([*WITH_SYSLOG, dev, path, *agent.wrapper,
                             BUILD / "mailtokend", "-c", agent.conf],
                            agent.log, env=client_environment())
    while "event=ready" not in (line := syslog.line()):
        pass
    assert re.fullmatch(
        r"<21>[A-Z][a-z]{2} [ 1-3]\d \d\d:\d\d:\d\d "
        rf"mailtokend\[{agent.process.pid}\]: event=ready .*", line), line

    def get(number: int):
        for _ in range(number):
            assert "token" in wire.ask(lab.socket, op="get", account=ACCOUNT)

    def heard(number: int) -> int:
        """How many of so many gets' lines were lost, as it says itself."""
        here = lost = 0
        while here + lost < number:
            line = syslog.line()
            here += "event=token " in line
            if "event=log-lost " in line:
                lost += int(re.search(r"lines=(\d+)", line)[1])
        assert here + lost == number
        return lost
    get(1)
    assert heard(1) == 0
    tried = times(100, 1000)
    get(tried)
    read = sum("event=token " in line for line in syslog.waiting())
    assert 0 < read < tried
    get(1)
    assert heard(tried + 1 - read) > 0
    # It is started again, and not there for a while.
    syslog.socket.close()
    get(1)
    syslog = Syslog(path)
    get(1)
    heard(2)
    syslog.socket.close()
    ledger.row("nobody reads the syslog, and its socket is full", tried,
               "the agent serves on; its next line that is read says how many "
               "are missing", "lines of the log")
