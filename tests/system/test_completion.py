"""What a TAB does with names that a shell would run; in pseudo-terminals."""

import re
import shutil
import subprocess

import pexpect
import pytest

from lab.agent import BUILD, client_environment

PROMPT = "ready> "
LOGOUT = "mailtoken -c mailtoken.conf logout "
# What a shell that expanded them would do: make the file in its directory.
NAMES = [f"{how}@contoso.example" for how in (
    "`touch${IFS}ran`", "$(touch${IFS}ran)", "a`touch${IFS}ran`",
    "a&touch${IFS}ran&", "a|tee${IFS}ran", "a>ran", "${a=`touch${IFS}ran`}",
    "{a,`touch${IFS}ran`}", "=`touch${IFS}ran`", "~`touch${IFS}ran`")]
START = {
    "bash": (["--norc", "--noprofile", "-i"],
             ["bind 'set enable-bracketed-paste off'",
              "bind 'set show-all-if-ambiguous on'",
              "source <(mailtoken completion bash)", "PS1='rea''dy> '"]),
    "zsh": (["-f", "-i"],
            ["fpath=($PWD $fpath)", "mailtoken completion zsh >_mailtoken",
             "autoload -U compinit", "compinit -u",
             "unsetopt zle_bracketed_paste", "PS1='rea''dy> '"]),
}


@pytest.fixture(scope="module")
def agent(shared_lab):
    return shared_lab.make_agent({})


def only_account(agent, name: str):
    agent.accounts = {name: {
        "provider": "custom", "grant": "refresh_token", "client_id": "native",
        "token_endpoint": "https://127.0.0.1:9/token", "scope": "mail"}}
    agent.write()


@pytest.fixture(params=START)
def shell(request, agent):
    """One at a terminal, with the completion in it."""
    options, commands = START[request.param]
    if not shutil.which(request.param):
        pytest.skip(f"no {request.param} here")
    child = pexpect.spawn(
        request.param, options, timeout=10, encoding="utf-8",
        cwd=str(agent.directory), dimensions=(50, 200),
        env=client_environment(
            PATH=f"{BUILD}:/usr/bin:/bin", TERM="dumb",
            HOME=str(agent.directory),
            MAILTOKEN_SOCKET=str(agent.directory / "nobody")))
    child.send("; ".join(commands) + "\r")
    child.expect_exact(PROMPT)
    yield child
    child.close(force=True)


def test_a_tab_runs_nothing(agent, shell):
    """It inserts a name as one word, which is then the command's argument."""
    ran = agent.directory / "ran"
    for name in NAMES:
        only_account(agent, name)
        for typed in ("", "\\" + name[0]):
            shell.send(f"{LOGOUT}{typed}\t")
            shell.expect_exact("contoso.example")
            assert not ran.exists(), name
            shell.send("\x15" if typed == "" else "\r")
        shell.expect_exact(f"mailtoken: account {name}: logged out here")
        shell.expect_exact(PROMPT)
        assert not ran.exists(), name


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_tab_inside_quotes(agent, shell, quote):
    only_account(agent, "anna@contoso.example")
    for typed in ("an", "anna@cont"):
        shell.send(f"{LOGOUT}{quote}{typed}\t")
        shell.expect_exact("contoso.example" + quote)
        shell.send("\r")
        shell.expect_exact("account anna@contoso.example: logged out here")
        shell.expect_exact(PROMPT)


@pytest.mark.parametrize("quote", ["'", '"'])
def test_a_tab_inside_quotes_runs_nothing(agent, shell, quote):
    """bash does not say how it would quote there: what needs quotes is left."""
    ran = agent.directory / "ran"
    for name in NAMES:
        if quote == '"' and name[0] != "a":
            continue            # what was typed would run, or wait for more
        only_account(agent, name)
        shell.send(f"{LOGOUT}{quote}{name[0]}\t")
        if "bash" in str(shell.command):
            shell.send(quote + "\r")
            shell.expect(r"mailtoken: [^\r\n]*")
            assert "contoso.example" not in shell.after
        else:
            shell.expect_exact("contoso.example" + quote)
            shell.send("\r")
            shell.expect_exact(f"account {name}: logged out here")
        shell.expect_exact(PROMPT)
        assert not ran.exists(), name


def test_a_command_to_copy_runs_only_itself(agent):
    """Of what names an account that somebody else may have thought of."""
    ran = agent.directory / "ran"
    for name in NAMES:
        agent.accounts = {}
        agent.write()
        unknown = agent.cli("logout", name).stderr
        added = agent.cli(
            "add", name, "--provider", "custom", "--grant", "refresh_token",
            "--client-id", "native", "--scope", "mail", "--token-endpoint",
            "https://127.0.0.1:9/token").stderr
        logged_out = agent.cli("token", name, agent=False).stderr
        for said in (unknown, added, logged_out):
            command = re.findall(r"mailtoken (?:add|login) [^ \n]+", said)[-1]
            words = subprocess.run(
                ["bash", "-c", f"printf '%s\\n' {command.rstrip(',')}"],
                timeout=20, text=True, capture_output=True, check=True,
                cwd=agent.directory).stdout.splitlines()
            assert words[0] == "mailtoken" and words[2:] == [name], said
            assert not ran.exists(), said
