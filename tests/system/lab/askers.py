"""Agents that answer too late or not at all, or die, in a thread of the test."""

import socket
import threading
import time
from pathlib import Path

from . import wire


class Hanging:
    """Takes connections and says nothing."""

    def __init__(self, path: Path, agent: Path):
        self.path, self.agent = path, agent
        self.asked = 0
        self.kept = []
        self.listener = socket.socket(socket.AF_UNIX)
        path.unlink(missing_ok=True)
        self.listener.bind(str(path))
        path.chmod(0o666)
        self.listener.listen(300)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return          # stop()
            self.asked += 1
            self.answer(client)

    def answer(self, client: socket.socket):
        self.kept.append(client)

    def stop(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(10)
        for client in self.kept:
            client.close()
        self.path.unlink(missing_ok=True)


class Relaying(Hanging):
    """Asks the agent."""

    def answer(self, client: socket.socket):
        with client:
            client.settimeout(10)
            request = b""
            while not request.endswith(b"\n\n"):
                more = client.recv(65536)
                if not more:
                    return      # it only looked whether somebody is here
                request += more
            self.relay(client, request)

    def relay(self, client: socket.socket, request: bytes):
        with wire.connect(self.agent) as agent:
            agent.sendall(request)
            try:
                client.sendall(wire.receive(agent))
            except OSError:
                pass            # it has given up


class Slow(Relaying):
    """Only after a while, and for one at a time."""

    DELAY_S = 3

    def relay(self, client: socket.socket, request: bytes):
        time.sleep(self.DELAY_S)
        super().relay(client, request)


class Dying(Relaying):
    """Is killed with the first request in its hands; whoever asks then finds
    the next agent at the same socket."""

    DEATHS = 1
    requests = 0

    def relay(self, client: socket.socket, request: bytes):
        self.requests += 1
        if self.requests > self.DEATHS:
            super().relay(client, request)


class Dead(Dying):
    """So are all that come after it."""

    DEATHS = 1000
