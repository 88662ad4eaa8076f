"""One agent with very many accounts."""

import random
import re
import shutil
import time
from pathlib import Path

from lab.lab import Lab
from lab.process import Process
from local import agent_with, compare, request
from report import at_most, fact, say

ASKED = 2000        # different accounts
START_S = 120


def _private_kb(pid: int) -> int:
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(n) for n in
               re.findall(r"^Private_(?:Clean|Dirty): +(\d+) kB", text, re.M))


def _start(agent) -> float:
    start = time.monotonic()
    agent.start()
    return time.monotonic() - start


def measure(lab: Lab, echo: Process, sizes: list, token: str,
            rounds: int, gets: int) -> list:
    rows, few = [], _private_kb(lab.agent.process.pid)
    for number in sizes:
        say(f"scale: {number} accounts")
        names = [f"user{i}@contoso.example" for i in range(number)]
        socket = lab.directory / f"scale{number}.sock.d" / "agent.sock"
        agent = agent_with(lab, names, token, f"scale{number}", [socket])
        took = _start(agent)
        each = (_private_kb(agent.process.pid) - few) / number
        chosen = random.sample(names, min(ASKED, number))
        questions = b"".join(map(request, chosen))
        rows += [
            fact(f"{number:,} accounts: start-up", took, " s", 2),
            fact(f"{number:,} accounts: memory of each, token included",
                 each, " kB", 2),
        ]
        for way, _, ours, ratio, _ in compare(lab, echo, agent, rounds, gets,
                                              questions):
            rows += [
                fact(f"{number:,} accounts: get, {way}", ours, " us", 1),
                at_most(f"{number:,} accounts: get / echo, {way}", ratio, 2,
                        digits=2),
            ]
        assert not agent.events("renewal"), "the provider was asked"
        agent.stop()
        shutil.rmtree(agent.state)
    return rows
