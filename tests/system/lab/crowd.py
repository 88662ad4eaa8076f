"""Very many accounts at a few token endpoints, and what these have seen.

One thread serves all endpoints.  As at Entra ID every answer has a new refresh
token, and older ones work on."""

import asyncio
import bisect
import json
import random
import secrets
import shutil
import threading
import urllib.parse
from dataclasses import dataclass, field

from . import sealed
from .agent import USER, Agent
from .fasttime import FastTime

LISTEN_BACKLOG = 512


@dataclass
class Endpoint:
    """What one answers: "ok", a status, "hang", or "refuse" (nobody there)."""
    clock: FastTime
    port: int = 0
    mode: str = "ok"
    lives: tuple = (3600, 3600)     # of tokens: between these
    retry_after: int = 0
    requests: list = field(default_factory=list)    # times, from clock
    tokens: int = 0
    refused: int = 0            # refresh tokens that it has not given
    in_flight: int = 0
    most_in_flight: int = 0
    grants: dict = field(default_factory=dict)      # refresh token -> account
    server: asyncio.Server = None
    writers: set = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/token"

    def between(self, begin: float, end: float) -> int:
        """Requests in that time."""
        return sum(begin <= at < end for at in self.requests)

    def busiest(self, begin: float, end: float, width: float) -> int:
        """The most requests in any span of that width."""
        seen = sorted(at for at in self.requests if begin <= at < end)
        return max((bisect.bisect_left(seen, at + width) - i
                    for i, at in enumerate(seen)), default=0)


class Crowd:
    def __init__(self, clock: FastTime):
        self.clock, self.endpoints = clock, []
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever,
                                       daemon=True)
        self.thread.start()

    def _do(self, coroutine):
        return asyncio.run_coroutine_threadsafe(
            coroutine, self.loop).result(20)

    def endpoint(self, **settings) -> Endpoint:
        made = Endpoint(self.clock, **settings)
        self._do(self._listen(made))
        self.endpoints.append(made)
        return made

    def set(self, endpoint: Endpoint, mode: str):
        self._do(self._set(endpoint, mode))

    def stop(self):
        for endpoint in self.endpoints:
            self._do(self._set(endpoint, "refuse"))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(10)

    async def _listen(self, e: Endpoint):
        async def serve(reader, writer):
            e.writers.add(writer)
            try:
                while await self._serve_one(e, reader, writer):
                    pass
            except (OSError, asyncio.IncompleteReadError):
                pass            # the agent gave up
            finally:
                e.writers.discard(writer)
                writer.close()
        e.server = await asyncio.start_server(
            serve, "127.0.0.1", e.port, backlog=LISTEN_BACKLOG)
        e.port = e.server.sockets[0].getsockname()[1]

    async def _set(self, e: Endpoint, mode: str):
        if mode == "refuse" and e.server:
            e.server.close()
            e.server = None
        elif mode != "refuse" and not e.server:
            await self._listen(e)
        e.mode = mode
        for writer in list(e.writers):
            writer.transport.abort()

    async def _serve_one(self, e: Endpoint, reader, writer) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line.split(b":")[1]) for line in head.split(b"\r\n")
                      if line.lower().startswith(b"content-length:"))
        form = dict(urllib.parse.parse_qsl(
            (await reader.readexactly(length)).decode()))
        e.requests.append(self.clock.passed())
        e.in_flight += 1
        e.most_in_flight = max(e.most_in_flight, e.in_flight)
        try:
            if e.mode == "hang":
                await reader.read()     # until the agent gives up
                return False
            status, answer = self._answer(e, form)
            body = json.dumps(answer).encode()
            more = (f"Retry-After: {e.retry_after}\r\n"
                    if status == 503 and e.retry_after else "")
            writer.write(
                f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\n"
                f"{more}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            await writer.drain()
        finally:
            e.in_flight -= 1
        return True

    @staticmethod
    def _answer(e: Endpoint, form: dict) -> tuple:
        if e.mode != "ok":
            return int(e.mode), {"error": "temporarily_unavailable"}
        account = e.grants.get(form.get("refresh_token"))
        if account is None:
            e.refused += 1
            return 400, {"error": "invalid_grant"}
        fresh = secrets.token_urlsafe(24)
        e.grants[fresh] = account
        e.tokens += 1
        return 200, {"token_type": "Bearer", "refresh_token": fresh,
                     "expires_in": random.randint(*e.lives),
                     "access_token": f"at-{account}-{secrets.token_urlsafe(24)}"}


def names(word: str, count: int) -> list:
    return [f"{word}{i:04}@contoso.example" for i in range(count)]


def keys(endpoint: Endpoint) -> dict:
    """Of an account there."""
    return {"provider": "custom", "grant": "refresh_token",
            "token_endpoint": endpoint.url, "insecure_http": "yes",
            "client_id": "native", "scope": "mail", "allow": "root"}


def log_in(agent: Agent, accounts: dict):
    """accounts: name -> endpoint, where each has a refresh token then."""
    template = None
    for name, endpoint in accounts.items():
        refresh_token = secrets.token_urlsafe(24)
        endpoint.grants[refresh_token] = name
        if template is None:
            agent.do("import", name, agent=False, give=refresh_token)
            template = agent.grant(name)
            template.pop("place", None)     # not everybody's
        grant = template | {"account": name, "refresh_token": refresh_token}
        path = agent.state / f"{name}.grant"
        sealed.seal(path, agent.seal_key, "".join(
            f"{key}={value}\n" for key, value in grant.items()).encode()
            + b"\n")
        path.chmod(0o600)
        shutil.chown(path, USER, USER)
