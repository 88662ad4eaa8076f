"""What systemd does for the agent: it holds the sockets, hands them over, and
starts the agent at first, when somebody comes, and after a failure."""

import os
import re
import select
import signal
import socket
import threading
import time
from pathlib import Path

from .agent import BUILD, READY, Agent, client_environment
from .process import Process
from .wait import until

UNIT = Path(__file__).parents[3] / "helpers" / "mailtokend.service"
BACKLOG = 1024          # as the units have it
# argv: descriptors, their names, the program and its arguments
HAND_OVER = """
import os, sys
fds = list(map(int, sys.argv[1].split(",")))
for to, fd in enumerate(fds, 3):
    os.dup2(fd, to)
os.environ |= {"LISTEN_FDS": str(len(fds)), "LISTEN_FDNAMES": sys.argv[2],
               "LISTEN_PID": str(os.getpid())}
os.execv(sys.argv[3], sys.argv[3:])
"""


def restart_s() -> float:
    """RestartSec= of the unit."""
    found, = re.findall(r"^RestartSec=([0-9.]+)(ms)?$", UNIT.read_text(), re.M)
    return float(found[0]) / (1000 if found[1] else 1)


class Manager:
    """sockets: path -> name; "socketmap" is where Postfix asks."""

    def __init__(self, agent: Agent, sockets: dict,
                 program: Path = BUILD / "mailtokend"):
        self.agent, self.program = agent, program
        self.names = list(sockets.values())
        self.listeners = [self._listen(path) for path in sockets]
        self.starts = 0
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)

    @staticmethod
    def _listen(path: Path) -> socket.socket:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        made = socket.socket(socket.AF_UNIX)
        made.bind(str(path))
        path.chmod(0o666)
        # Above those that the agent is given.
        high = socket.socket(fileno=os.dup(made.fileno()))
        high.listen(BACKLOG)
        made.close()
        return high

    def start(self) -> "Manager":
        self._spawn()
        self.thread.start()
        self._until_ready(1)
        return self

    def _spawn(self):
        agent = self.agent
        agent.process = Process(
            ["/usr/bin/python3", "-SEIc", HAND_OVER,
             ",".join(str(one.fileno()) for one in self.listeners),
             ":".join(self.names), self.program, "-f", "-c", agent.conf],
            agent.log, env=client_environment(),
            pass_fds=[one.fileno() for one in self.listeners])
        self.starts += 1

    def _run(self):
        while not self.ended.is_set():
            process = self.agent.process
            if process.alive():
                time.sleep(0.01)
            elif process.popen.returncode == 0 and not self.wanted:
                if select.select(self.listeners, [], [], 0.1)[0]:
                    self._spawn()
            elif process.popen.returncode != 0 and self.ended.wait(
                    restart_s()):
                return
            else:
                self.wanted = False
                self._spawn()

    wanted = False

    def _until_ready(self, count: int):
        until(lambda: self.agent.text().count(READY) >= count, 60,
              f"{count} times {READY} in {self.agent.log}")

    def restart(self):
        """As systemctl restart does."""
        ready = self.agent.text().count(READY)
        self.wanted = True
        self.agent.process.signal(signal.SIGTERM)
        self._until_ready(ready + 1)

    def kill(self):
        """It fails, and is started again."""
        ready = self.agent.text().count(READY)
        self.agent.process.signal(signal.SIGKILL)
        self._until_ready(ready + 1)

    def reload(self):
        """As systemctl reload does."""
        done = self.agent.text().count("event=reload")
        self.agent.process.signal(signal.SIGHUP)
        until(lambda: self.agent.text().count("event=reload") > done, 30,
              "a reload")

    def stop(self):
        self.ended.set()
        if self.thread.is_alive():
            self.thread.join(30)
        self.agent.stop()
        for one in self.listeners:
            one.close()
