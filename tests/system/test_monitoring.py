"""Metrics, the plugin for Nagios, and the program that is told when somebody
must act: docs/monitoring.md."""

import contextlib
import http.server
import os
import re
import shutil
import signal
import socket
import socketserver
import stat
import subprocess
import threading
import time
import urllib.request
from pathlib import Path

import pytest
import yaml
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics

from lab import postfix, wire
from lab.agent import (BUILD, EX_CONFIG, EX_NOPERM, EX_OK, EX_TEMPFAIL,
                       EX_USAGE, USER, client_environment)
from lab.page import Page
from lab.ports import free_port
from lab.process import Process
from lab.wait import until

GOOD = "good@contoso.example"
DEAD = "dead@contoso.example"
WRONG = "wrong@contoso.example"
AWAY = "away@contoso.example"
APP = "app@contoso.example"
HANGS = "hangs@contoso.example"
MODES = {GOOD: "ok", DEAD: "700082", WRONG: "7000215", AWAY: "500", APP: "ok"}
STATES = {GOOD: "ok", DEAD: "reauth", WRONG: "config", AWAY: "retry", APP: "ok"}
SECRET = "never-to-be-seen-client-secret"
DAY = 86400
KILLED_AFTER = 30       # seconds that the program has
ENVIRONMENT = {"PATH", "HOME", "LANG", "USER", "PWD", "OLDPWD", "SHLVL", "_"}
PAGE = Page("monitoring.md")


class Hook:
    """A program for notify that writes down what it is told."""

    def __init__(self, directory: Path, then: str = ""):
        directory.mkdir(mode=0o755)
        shutil.chown(directory, USER, USER)
        self.heard_in = directory / "heard"
        self.program = directory / "program"
        self.program.write_text(
            "#!/bin/sh\n{ echo \"argument $*\"; cat; env; echo; } "
            f">>{self.heard_in}\n{then}\n")
        self.program.chmod(0o755)

    def heard(self) -> list:
        """The environments, as dictionaries; arguments under "argument"."""
        if not self.heard_in.exists():
            return []
        return [dict(re.split("[ =]", line, maxsplit=1)
                     for line in block.splitlines())
                for block in self.heard_in.read_text().split("\n\n")[:-1]]

    def events(self, account: str = None) -> list:
        return [told["MAILTOKEN_EVENT"] for told in self.heard()
                if account in (None, told.get("MAILTOKEN_ACCOUNT"))]


@pytest.fixture(scope="module")
def hanging(shared_lab):
    """An agent whose program hangs: begun first, since that takes its time."""
    hook = Hook(shared_lab.directory / "hangs",
                f"echo $$ >{shared_lab.directory}/hangs/pid; exec sleep 600")
    if shared_lab.fault is None:
        shared_lab.start_fault()
    endpoint = shared_lab.fault.endpoint("hangs")
    agent = shared_lab.make_agent(
        {HANGS: shared_lab.faulty(endpoint)}, name="hanging",
        sockets=[shared_lab.directory / "hanging.d" / "agent.sock"],
        notify=hook.program)
    agent.start()
    agent.cli("token", HANGS)       # there is no login
    until(hook.heard, 20, "the program")
    return agent, hook, endpoint


@pytest.fixture(scope="module")
def watched(shared_lab, hanging):
    """Every state; one account's secret ends soon."""
    lab = shared_lab
    endpoints = {who: lab.fault.endpoint(who, mode=mode)
                 for who, mode in MODES.items()}
    accounts = {who: lab.faulty(endpoint)
                for who, endpoint in endpoints.items()}
    hook = Hook(lab.directory / "told")
    agent = lab.make_agent(accounts, notify=f"{hook.program} one  two",
                           admin="nobody")
    accounts[APP] |= {
        "grant": "client_credentials",
        "client_secret": agent.secret("app.secret", SECRET),
        "client_secret_expires": time.strftime(
            "%Y-%m-%d", time.gmtime(time.time() + 20 * DAY))}
    agent.write()
    for who, endpoint in endpoints.items():
        if who != APP:
            agent.do("import", who, agent=False, give=endpoint.refresh_token)
    agent.start()
    for who in MODES:
        agent.cli("token", who)
    until(lambda: len(agent.events("renewal")) >= len(MODES), 20,
          "every renewal")
    return lab, agent, endpoints, hook


def secrets_of(endpoints: dict, agent) -> list:
    found = [SECRET, agent.seal_key.read_text().split()[0]]
    for endpoint in endpoints.values():
        found += endpoint.secrets
    return found


def samples(text: str) -> dict:
    """(name, labels) -> value, as OpenMetrics' own parser has it."""
    found = {}
    for family in openmetrics.text_string_to_metric_families(text):
        assert family.documentation and family.type != "unknown", family
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def value(found: dict, name: str, **labels) -> float:
    return found["mailtoken_" + name, frozenset(labels.items())]


def metrics(agent, *arguments) -> dict:
    return samples(agent.do("metrics", *arguments))


# Metrics

def test_metrics_are_what_has_happened(watched):
    lab, agent, endpoints, _ = watched
    before = metrics(agent)
    token = wire.ask(lab.socket, op="get", account=GOOD)
    assert token["status"] == "ok"
    for _ in range(2):
        assert wire.ask(lab.socket, op="reject", account=GOOD,
                        generation=token["generation"],
                        reason="535 5.7.3 no")["status"] == "ok"
    agent.cli("token", GOOD, user="postfix")
    agent.cli("token", GOOD, user="backup")
    wire.ask(lab.socket, op="get", account="nobody@contoso.example")
    text = agent.do("metrics")
    now = samples(text)

    def more(name: str, **labels) -> float:
        return value(now, name, **labels) - value(before, name, **labels)

    assert more("account_gets_total", account=GOOD, result="ok") == 2
    assert more("account_gets_total", account=GOOD, result="denied") == 1
    assert more("account_gets_total", account=DEAD, result="ok") == 0
    assert more("account_rejects_total", account=GOOD) == 2
    assert more("rejects_total") == 2
    assert more("gets_total", result="config") == 1
    assert more("gets_total", result="ok") == 2
    assert more("connections_accepted_total", socket="agent") >= 6
    assert value(now, "connections") == 1       # ourselves
    for who, state in STATES.items():
        for other in "ok", "new", "retry", "reauth", "config":
            assert value(now, "account_state", account=who,
                         state=other) == (other == state), who
        assert value(now, "account_unsaved", account=who) == 0
    for state in "ok", "retry", "reauth", "config", "new":
        assert value(now, "accounts", state=state) == list(
            STATES.values()).count(state)
    assert value(now, "accounts_without_token") == 3
    assert value(now, "up") == 1
    version = (Path(__file__).parents[2] / "VERSION").read_text().strip()
    assert value(now, "build_info", version=version) == 1
    assert abs(value(now, "start_time_seconds") - time.time()) < 600


def test_renewals_are_those_of_the_log(watched):
    """Both are read until nothing happens in between."""
    _, agent, endpoints, _ = watched
    for _ in range(20):
        logged = agent.events("renewal")
        now = metrics(agent)
        if value(now, "renewals_in_flight") == 0 and \
                agent.events("renewal") == logged:
            break
        time.sleep(0.2)
    for result in "ok", "retry", "reauth", "config":
        of = [line["account"] for line in logged if line["result"] == result]
        assert value(now, "renewals_total", result=result) == len(of)
        for who in STATES:
            assert value(now, "account_renewals_total", account=who,
                         result=result) == of.count(who)
    assert value(now, "renewal_duration_seconds_count") == len(logged)
    assert value(now, "renewal_duration_seconds_bucket", le="+Inf") == len(logged)
    assert value(now, "renewal_duration_seconds_bucket",
                 le="30.0") <= len(logged)
    token = agent.grant(GOOD)
    assert value(now, "account_token_expires_timestamp_seconds",
                 account=GOOD) == int(token["expires_at"])
    ends = value(now, "account_credential_expires_timestamp_seconds",
                 account=APP, credential="client_secret")
    assert 18 * DAY < ends - time.time() < 21 * DAY
    assert ends == value(now, "credential_expires_first_timestamp_seconds")
    assert ("mailtoken_account_token_expires_timestamp_seconds",
            frozenset({("account", DEAD)})) not in now


def test_a_slow_provider_is_seen(shared_lab, watched):
    _, agent, endpoints, _ = watched
    before = metrics(agent)
    endpoints[APP].delay = 1.2
    try:
        agent.do("refresh", APP)
    finally:
        endpoints[APP].delay = 0
    now = metrics(agent)

    def more(le: str) -> float:
        return (value(now, "renewal_duration_seconds_bucket", le=le)
                - value(before, "renewal_duration_seconds_bucket", le=le))

    assert more("+Inf") - more("1.0") >= 1
    assert (value(now, "renewal_duration_seconds_sum")
            - value(before, "renewal_duration_seconds_sum")) >= 1.2


def test_nothing_secret_and_no_words_are_in_it(watched):
    _, agent, endpoints, _ = watched
    text = agent.do("metrics")
    for secret in secrets_of(endpoints, agent):
        assert secret not in text
    assert "AADSTS" not in text and "client_id" not in text
    sums = agent.do("metrics", "--no-accounts")
    assert "contoso" not in sums and "account=" not in sums
    assert value(samples(sums), "accounts", state="reauth") == 1
    assert "mailtoken_credential_expires_first" in sums


def test_the_older_format_has_the_same_samples(watched):
    _, agent, *_ = watched
    text = agent.do("metrics")
    older = {(s.name, frozenset(s.labels.items()))
             for family in parser.text_string_to_metric_families(text)
             for s in family.samples}
    assert older == set(samples(text))


def test_who_may_not_ask_is_told_so(watched):
    _, agent, *_ = watched
    assert agent.cli("metrics", user="nobody").returncode == EX_OK
    done = agent.cli("metrics", user="backup")
    assert done.returncode == EX_NOPERM and done.stdout == ""
    assert "'admin'" in done.stderr
    assert agent.cli("metrics", "--outptu", "x").returncode == EX_USAGE
    assert agent.cli("metrics", "--output").returncode == EX_USAGE


def test_a_file_is_replaced_as_a_whole(watched, tmp_path):
    _, agent, *_ = watched
    file = tmp_path / "mailtoken.prom"
    agent.do("metrics", "--output", file)
    was = file.stat()
    assert stat.S_IMODE(was.st_mode) == 0o644
    assert value(samples(file.read_text()), "up") == 1
    agent.do("metrics", "--no-accounts", "--output", file)
    assert file.stat().st_ino != was.st_ino
    done = agent.cli("metrics", "--output", file, agent=False)
    assert done.returncode == EX_TEMPFAIL and "mailtokend" in done.stderr
    assert samples(file.read_text()) == {("mailtoken_up", frozenset()): 0}
    done = agent.cli("metrics", agent=False)
    assert done.returncode == EX_TEMPFAIL
    assert samples(done.stdout) == {("mailtoken_up", frozenset()): 0}
    text = file.read_text()
    # Who is denied knows nothing, and must not say that it is down.
    tmp_path.chmod(0o777)
    assert agent.cli("metrics", "--output", file,
                     user="backup").returncode == EX_NOPERM
    assert file.read_text() == text
    assert list(tmp_path.iterdir()) == [file]
    done = agent.cli("metrics", "--output", "/nonexistent/mailtoken.prom")
    assert done.returncode == EX_CONFIG and "directory" in done.stderr


def test_node_exporter_reads_it(watched, tmp_path):
    _, agent, *_ = watched
    agent.do("metrics", "--output", tmp_path / "mailtoken.prom")
    url = f"http://127.0.0.1:{free_port()}"
    exporter = Process(
        ["prometheus-node-exporter", "--collector.disable-defaults",
         "--collector.textfile", f"--collector.textfile.directory={tmp_path}",
         f"--web.listen-address={url.removeprefix('http://')}"],
        tmp_path / "log", env=client_environment())

    def get() -> str:
        with contextlib.suppress(OSError):
            with urllib.request.urlopen(f"{url}/metrics", timeout=5) as answer:
                return answer.read().decode()
        return ""

    try:
        text = until(get, 20, "node_exporter")
    finally:
        exporter.stop()
    assert "\nnode_textfile_scrape_error 0\n" in text
    read = {line.split(" ")[0] for line in text.splitlines()
            if line.startswith("mailtoken_")}
    ours = {line.split(" ")[0] for line in
            (tmp_path / "mailtoken.prom").read_text().splitlines()
            if not line.startswith("#")}
    # It writes a bucket's limit as Go does.
    assert len(read) == len(ours)
    assert 'mailtoken_gets_total{result="ok"}' in read
    assert f'mailtoken_account_state{{account="{DEAD}",state="reauth"}}' in read


class Answer(socketserver.StreamRequestHandler):
    """An agent that says what the server has for it."""

    def handle(self):
        while self.rfile.readline().strip():
            pass
        self.wfile.write(self.server.answer)


@contextlib.contextmanager
def agent_that_says(path: Path, answer: str):
    with socketserver.ThreadingUnixStreamServer(str(path), Answer) as server:
        server.answer = answer.encode()
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join(10)


def say(**pairs) -> str:
    return "".join(f"{key}={value}\n" for key, value in
                   ({"version": 1, "status": "ok"} | pairs).items()) + "\n"


EVERYTHING = say(
    more=1, account=GOOD, state="ok", expires_at=2000000000,
    renewed_at=1900000000, login_idle_at=1990000000, credential="certificate",
    credential_expires_at=1980000000, unsaved=1, waiting=2, failures=3,
    renewals="ok 5 retry 1", gets="ok 9", rejects=4) + say(
    accounts=1, version_agent='9"\\', started_at=1900000000,
    renewals="ok 5 retry 1 newkind 7", gets="ok 9", rejects=4, lookups="ok 2",
    accepted="agent 8 socketmap 1", refused="agent 0 socketmap 0",
    connections=1, in_flight=0, renewal_ms="100 3 250 2 30000 1",
    renewal_ms_sum=1234, renewal_ms_count=7, notified=1, notify_failed=0)


def ask_what_says(path: Path, answer: str, *command):
    with agent_that_says(path, answer):
        return subprocess.run(
            [BUILD / "mailtoken", "-c", "/nonexistent", "-s", path, *command],
            env=client_environment(), capture_output=True, text=True,
            timeout=30)


def test_all_that_an_agent_may_say_is_shown(tmp_path):
    done = ask_what_says(tmp_path / "s", EVERYTHING, "metrics")
    assert done.returncode == EX_OK, done.stderr
    found = samples(done.stdout)
    assert value(found, "build_info", version='9"\\') == 1
    assert value(found, "renewals_total", result="newkind") == 7
    assert [value(found, "renewal_duration_seconds_bucket", le=le) for le in
            ("0.1", "0.25", "30.0", "+Inf")] == [3, 5, 6, 7]
    assert value(found, "renewal_duration_seconds_sum") == 1.234
    assert value(found, "login_idle_first_timestamp_seconds") == 1990000000


@pytest.mark.parametrize("answer", [
    "", "version=1\nstatus=ok\nmore=1\n", say(more=1, state="ok"),
    EVERYTHING[:-2], say(more=1, account=GOOD), "status=ok\nx\n\n",
    "version=1\nstatus=error\nkind=retry\ntext=too many\n\n"],
    ids=lambda _: "")
def test_half_an_answer_is_none(tmp_path, answer):
    done = ask_what_says(tmp_path / "s", answer, "metrics")
    assert done.returncode not in (EX_OK, EX_USAGE)
    assert "contoso" not in done.stdout and done.stderr
    assert done.stdout in ("", "# TYPE mailtoken_up gauge\n# HELP mailtoken_up "
                           "Whether the agent answers.\nmailtoken_up 0\n# EOF\n")


@pytest.mark.parametrize("lists", [
    "ok", "ok x", "ok 5 retry", "a" * 40 + " 5", "  ", "ok 99999999999999999999"])
def test_odd_lists_break_nothing(tmp_path, lists):
    answer = say(accounts=0, renewals=lists, renewal_ms=lists)
    done = ask_what_says(tmp_path / "s", answer, "metrics")
    assert done.returncode == EX_OK and "mailtoken_up 1\n" in done.stdout


# What docs/monitoring.md has

def test_every_name_of_the_page_is_there(tmp_path):
    found = {name for name, _ in samples(ask_what_says(
        tmp_path / "s", EVERYTHING, "metrics").stdout)}
    table = PAGE.text.split("### What there is")[1].split("### Rules")[0]
    named = set(re.findall(r"\bmailtoken_\w+", table)) - {
        "mailtoken_renewal_duration_seconds"}
    shown = {name for name in found if "duration_seconds" not in name}
    assert named == shown


def test_the_rules_are_about_what_there_is(tmp_path):
    rules = yaml.safe_load(PAGE.block("mailtoken.rules.yml", {}))
    found = {name for name, _ in samples(ask_what_says(
        tmp_path / "s", EVERYTHING, "metrics").stdout)}
    for rule in rules["groups"][0]["rules"]:
        assert set(rule) <= {"alert", "expr", "for", "annotations"}
        used = set(re.findall(r"\b(?!node_)[a-z]+_[a-z_]+", rule["expr"]))
        assert used <= found, rule
        assert used or "node_textfile_mtime_seconds" in rule["expr"]


def test_the_units_of_the_page_have_no_error(tmp_path):
    for name in "mailtoken-metrics.service", "mailtoken-metrics.timer":
        (tmp_path / name).write_text(PAGE.block(
            name, {"/usr/bin/mailtoken ": f"{BUILD / 'mailtoken'} "}
            if name.endswith("service") else {}))
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", "verify",
         tmp_path / "mailtoken-metrics.timer",
         tmp_path / "mailtoken-metrics.service"], timeout=60, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8",
             "XDG_RUNTIME_DIR": str(tmp_path)})
    assert done.returncode == 0, done.stdout
    assert "mailtoken" not in done.stdout, done.stdout


class Mail(socketserver.StreamRequestHandler):
    """Takes any message."""

    def handle(self):
        self.wfile.write(b"220 here\r\n")
        data = False
        for line in map(bytes.strip, self.rfile):
            self.server.got.append(line.decode())
            if data and line != b".":
                continue
            data = line.upper() == b"DATA"
            self.wfile.write(b"354 go on\r\n" if data else b"250 ok\r\n")


class Web(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.got += [self.headers["Title"], self.headers["Priority"],
                            body.decode()]
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


PROGRAMS = {    # name: what is behind it; what is different here; arguments
    "mailtoken-mail": (Mail, {"smtp://127.0.0.1:25": "smtp://127.0.0.1:{}"},
                       "postmaster@example.com"),
    "mailtoken-webhook": (Web, {}, "http://127.0.0.1:{}/topic"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_programs_of_the_page_work(lab, name):
    handler, here, argument = PROGRAMS[name]
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.got, server.daemon_threads = [], True
        port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        lab.start_fault()
        agent = lab.make_agent({DEAD: lab.faulty(lab.fault.endpoint(DEAD))})
        program = agent.directory / name
        program.write_text(PAGE.block(
            name, {old: new.format(port) for old, new in here.items()}))
        program.chmod(0o755)
        agent.settings["notify"] = f"{program} {argument.format(port)}"
        agent.write()
        assert "notify" not in agent.cli("check").stderr
        agent.start()
        try:
            ended = until(lambda: agent.events("notification"), 30, "its end")
        finally:
            server.shutdown()
    assert ended[0]["result"] == "ok", ended
    text = "\n".join(server.got)
    assert DEAD in text and "login-needed" in text
    assert f"mailtoken login {DEAD}" in text


def test_a_real_mta_takes_the_message(lab):
    """From the agent, which cannot use sendmail(1)."""
    lab.start_fault()
    boxes = lab.directory / "mail"
    boxes.mkdir()
    os.chown(boxes, 65534, 65534)
    mta = postfix.Postfix(lab.directory / "mta", {
        "virtual_mailbox_domains": "example.com",
        "virtual_mailbox_base": boxes, "virtual_mailbox_maps": "static:box/",
        "virtual_uid_maps": "static:65534", "virtual_gid_maps": "static:65534"})
    lab.ends.callback(mta.stop)
    mta.start()
    agent = lab.make_agent({DEAD: lab.faulty(lab.fault.endpoint(DEAD))})
    program = agent.directory / "mail"
    program.write_text(PAGE.block("mailtoken-mail", {
        "smtp://127.0.0.1:25": f"smtp://127.0.0.1:{mta.port}"}))
    program.chmod(0o755)
    agent.settings["notify"] = f"{program} postmaster@example.com"
    agent.write()
    agent.start()
    message = until(lambda: list(boxes.glob("box/new/*")), 30, "a message")[0]
    text = message.read_text()
    assert f"Subject: mailtoken: login-needed {DEAD}\n" in text
    assert f"\n\nno refresh token yet: run mailtoken login {DEAD}\n" in text


# The program

def test_one_that_cannot_be_run_is_said_at_once(lab):
    """At start and reload, in the words of check; the rest is taken."""
    lab.start_fault()
    agent = lab.make_agent({DEAD: lab.faulty(lab.fault.endpoint(DEAD))})
    agent.settings["notify"] = "/nonexistent/program"
    agent.write()
    words = f"{agent.conf}: notify: /nonexistent/program: No such file"
    assert words in agent.cli("check").stderr
    agent.start()

    def said() -> list:
        return [e["text"] for e in agent.events("configuration")]
    assert len(said()) == 1 and words in said()[0]
    done = agent.cli("reload")
    assert done.returncode == EX_OK
    assert "reloaded: 1 account\n" in done.stderr
    assert f"warning: {words}" in done.stderr
    assert len(said()) == 2
    agent.process.signal(signal.SIGHUP)
    until(lambda: len(said()) == 3, 10, "the warning after the signal")
    agent.settings["notify"] = Hook(lab.directory / "mended").program
    agent.write()
    assert "warning" not in agent.cli("reload").stderr
    assert len(said()) == 3


def test_each_trouble_is_told_once(watched):
    _, agent, endpoints, hook = watched
    until(lambda: len(hook.heard()) >= 3, 20, "three events")
    for who in DEAD, WRONG:
        agent.cli("refresh", who)           # the same again
    assert sorted(hook.events()) == ["change-needed", "expires",
                                     "login-needed"]
    assert hook.events(DEAD) == ["login-needed"]
    assert hook.events(WRONG) == ["change-needed"]
    assert hook.events(APP) == ["expires"]
    for told in hook.heard():
        assert told["argument"] == "one two"
        assert told["MAILTOKEN_COUNT"] == "1"
        others = {key for key in told if not key.startswith("MAILTOKEN_")}
        assert others <= ENVIRONMENT | {"argument"}, told
    told = hook.heard()[hook.events().index("login-needed")]
    assert told["MAILTOKEN_RESULT"] == "reauth"
    assert "AADSTS700082" in told["MAILTOKEN_TEXT"]
    assert "mailtoken login" in told["MAILTOKEN_TEXT"]
    text = hook.heard_in.read_text()
    for secret in secrets_of(endpoints, agent):
        assert secret not in text


def test_an_end_of_trouble_is_told(watched):
    _, agent, endpoints, hook = watched
    endpoints[DEAD].mode = "ok"
    agent.do("refresh", DEAD)
    until(lambda: hook.events(DEAD)[-1:] == ["recovered"], 20, "recovered")
    told = [t for t in hook.heard() if t.get("MAILTOKEN_ACCOUNT") == DEAD][-1]
    assert told["MAILTOKEN_RESULT"] == "ok"
    done = value(metrics(agent), "notifications_total", result="ok")
    assert done == len(agent.events("notification")) == len(hook.heard())
    # Coming back at once is not news again.
    endpoints[DEAD].mode = "700082"
    agent.cli("refresh", DEAD)
    agent.do("refresh", GOOD)
    assert hook.events(DEAD) == ["login-needed", "recovered"]


FAILS = {
    "exit 3": "ended with status 3",
    "kill -9 $$": "was killed by signal 9",
    "gone": "there is no such program",
    "not a program": "may not execute it",
}


@pytest.mark.parametrize("how", FAILS)
def test_one_that_fails_is_logged(lab, how):
    """And the agent goes on."""
    lab.start_fault()
    endpoint = lab.fault.endpoint(GOOD)
    hook = Hook(lab.directory / "fails", how)
    agent = lab.make_agent(
        {GOOD: lab.faulty(endpoint), DEAD: lab.faulty(lab.fault.endpoint("d"))},
        notify=hook.program)
    if how == "gone":
        hook.program.unlink()
    if how == "not a program":
        hook.program.chmod(0o644)
    agent.do("import", GOOD, agent=False, give=endpoint.refresh_token)
    agent.start()
    line = until(lambda: agent.events("notification"), 20, "its end")[0]
    assert line["account"] == DEAD and line["what"] == "login-needed"
    assert FAILS[how] in line["text"] and line["result"] != "ok"
    agent.do("token", GOOD)
    assert value(metrics(agent), "notifications_total", result="failed") == 1
    assert agent.stop() == 0


def test_many_at_once_are_summed_up(lab):
    many = 30
    hook = Hook(lab.directory / "many")
    lab.start_fault()
    agent = lab.make_agent(
        {f"a{i}@contoso.example": lab.faulty(lab.fault.endpoint("none"))
         for i in range(many)}, notify=hook.program)
    agent.start()
    until(lambda: len(agent.events("login-needed")) == many, 30, "all of them")
    until(lambda: "many" in hook.events(), 20, "the sum")
    assert hook.events()[:10] == ["login-needed"] * 10
    assert hook.events()[10:] == ["many"]
    told = hook.heard()[-1]
    assert "mailtoken status" in told["MAILTOKEN_TEXT"]
    assert 1 <= int(told["MAILTOKEN_COUNT"]) <= many - 10
    assert "MAILTOKEN_ACCOUNT" not in told


def test_a_reload_takes_another_program(lab):
    """None at first: who has one then is told of what is wrong."""
    hook = Hook(lab.directory / "reload")
    lab.start_fault()
    agent = lab.make_agent({DEAD: lab.faulty(lab.fault.endpoint("d"))})
    agent.start()
    until(lambda: agent.events("login-needed"), 20, "login-needed")
    assert not agent.events("notification")
    agent.settings["notify"] = hook.program
    agent.write()
    agent.do("reload")
    until(hook.heard, 20, "the program")
    assert hook.events() == ["login-needed"]


# Nagios

def nagios(which, *arguments, **kw) -> tuple:
    done = which.cli("status", "--nagios", *arguments, **kw)
    first, *rest = done.stdout.splitlines()
    return done.returncode, first, "\n".join(rest)


def test_the_plugin_for_nagios(watched):
    _, agent, *_ = watched
    code, first, rest = nagios(agent)
    assert code == 2 and first.startswith("MAILTOKEN CRITICAL - 5 accounts | ")
    assert re.search(r"\| ok=2 new=0 retry=1 reauth=1 config=1$", first)
    for who in DEAD, WRONG, AWAY:
        assert f"{who}: " in rest and "|" not in rest
    code, first, _ = nagios(agent, GOOD)
    assert (code, first) == (
        0, "MAILTOKEN OK - 1 account | ok=1 new=0 retry=0 reauth=0 config=0")
    code, first, rest = nagios(agent, APP)
    assert code == 1 and re.search(r"client_secret ends in 1\d days", rest)
    assert nagios(agent, AWAY)[0] == 1
    code, first, _ = nagios(agent, agent=False)
    assert code == 2 and "start mailtokend" in first
    code, first, _ = nagios(agent, user="backup")
    assert code == 3 and first.startswith("MAILTOKEN UNKNOWN - ")
    assert nagios(agent, user="nobody")[0] == 2
    assert nagios(agent, "unknown@contoso.example")[0] == 3
    assert agent.cli("status", "--nagios", "--json").returncode == EX_USAGE


# Many accounts

def rss(pid: int) -> int:
    return int(re.search(r"VmRSS:\s+(\d+)",
                         Path(f"/proc/{pid}/status").read_text())[1]) << 10


def test_who_does_not_read_keeps_nobody(lab):
    """Of very many accounts the answer is made as it is read."""
    accounts, readers = 6000, 30
    agent = lab.make_agent({f"a{i}@contoso.example": {
        "provider": "custom", "grant": "refresh_token", "client_id": "native",
        "token_endpoint": "https://login.example.com/token", "scope": "mail"}
        for i in range(accounts)})
    agent.start()
    pid = agent.process.pid
    # Not what is said of each that has no login, meanwhile.
    agent.do("metrics", "--no-accounts")
    before = rss(pid)
    with contextlib.ExitStack() as stack:
        lazy = []
        for op in ["status", "metrics"] * (readers // 2):
            s = stack.enter_context(wire.connect(lab.socket))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            s.sendall(f"version=1\nop={op}\n\n".encode())
            lazy.append(s)
            start = time.monotonic()
            assert wire.ask(lab.socket, op="status",
                            account="a0@contoso.example")["status"] == "ok"
            assert time.monotonic() - start < 5
        # All of their answers together would be 60 MB and more.
        assert rss(pid) - before < 30 << 20
        for s in lazy[-2:]:
            data = wire.receive(s).decode()
            messages = data.split("\n\n")[:-1]
            assert len(messages) == accounts + 1
            assert "more=1" not in messages[-1]
            assert all("more=1" in m for m in messages[:-1])
            assert all(m.count("\n") < 24 for m in messages)
    found = metrics(agent, "--no-accounts")
    assert sum(value(found, "accounts", state=state) for state in
               ("ok", "new", "retry", "reauth", "config")) == accounts


def test_accounts_may_change_while_they_are_listed(lab):
    agent = lab.make_agent({f"a{i}@contoso.example": {
        "provider": "custom", "grant": "refresh_token", "client_id": "native",
        "token_endpoint": "https://login.example.com/token", "scope": "mail"}
        for i in range(3000)})
    agent.start()
    with wire.connect(lab.socket) as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(b"version=1\nop=metrics\n\n")
        first = s.recv(4096)
        for name in list(agent.accounts)[:2990]:
            del agent.accounts[name]
        agent.accounts["new@contoso.example"] = {
            "provider": "custom", "grant": "refresh_token",
            "client_id": "native", "scope": "mail",
            "token_endpoint": "https://login.example.com/token"}
        agent.write()
        agent.do("reload")
        messages = (first + wire.receive(s)).decode().split("\n\n")[:-1]
    assert wire.parse(messages[-1].encode())["accounts"] == "11"
    assert wire.parse(messages[-2].encode())["account"] == \
        "a2999@contoso.example"
    assert 11 < len(messages) < 3000


# Last: its time is over by now.

def test_one_that_hangs_is_killed(hanging):
    agent, hook, endpoint = hanging
    pid = int((hook.program.parent / "pid").read_text())
    agent.do("import", HANGS, agent=False, give=endpoint.refresh_token)
    agent.do("refresh", HANGS)
    line = until(lambda: agent.events("notification"), KILLED_AFTER + 20,
                 "its end")[0]
    assert "took longer than" in line["text"] and "killed" in line["text"]
    until(lambda: not Path(f"/proc/{pid}").exists() or " Z " in
          Path(f"/proc/{pid}/stat").read_text(), 10, "the end of the program")
    agent.do("token", HANGS)
