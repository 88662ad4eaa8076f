"""What stands before the upstream Dovecot: a TLS server in a thread of the
test that passes a session on, and ends it when its access token expires, as
Office 365 does.

    Front       passes everything on, from the first byte
    exchange.*  speak for themselves until the client has logged in

manner is how a session ends: "bye" says so first, between two responses;
"hard" is a closed connection, wherever it happens."""

import asyncio
import base64
import binascii
import re
import ssl
import threading
import time
from dataclasses import dataclass

CHUNK = 16384
LINE_MAX = 1 << 16
BYE = b"* BYE Session invalidated - AccessTokenExpired\r\n"
LITERAL = re.compile(rb"\{(\d+)\+?\}\r?\n$")
GRACE_S = 5         # for the end of a response


@dataclass
class Session:
    token: str = None
    expires_at: float = None
    cut: bool = False
    boundary: "Boundary" = None


class Boundary:
    """Follows a stream of IMAP responses; knows where one ends."""

    def __init__(self):
        self.literal = 0
        self.line = b""

    def feed(self, data: bytes):
        """Returns the offset in data behind its last whole response, or
        None if data ends none."""
        at, end = 0, None
        while at < len(data):
            if self.literal:
                step = min(self.literal, len(data) - at)
                self.literal -= step
                at += step
                continue
            newline = data.find(b"\n", at)
            if newline < 0:
                self.line = (self.line + data[at:])[-64:]
                break
            line = (self.line + data[at:newline + 1])[-64:]
            self.line, at = b"", newline + 1
            found = LITERAL.search(line)
            if found:
                self.literal = int(found[1])
            else:
                end = at
        return end

    def idle(self) -> bool:
        return not self.literal and not self.line


def bearer(line: bytes):
    """The token in an initial response, alone or behind AUTHENTICATE."""
    try:
        response = base64.b64decode(line.split()[-1], validate=True)
    except (IndexError, binascii.Error):
        return None
    found = re.search(rb"auth=Bearer ([^\x01]+)\x01", response)
    return found[1].decode() if found else None


class Front:
    """Relays to a plain port.  expires: token -> Unix time or None; asked
    once for each session, and only if manner is given.  rate: bytes each
    second that a session gets; 0: as fast as it goes."""

    def __init__(self, ca, port: int, expires=None, manner: str = None,
                 rate: int = 0):
        self.upstream_port = port
        self.expires = expires
        self.manner = manner
        self.rate = rate
        self.sessions = []
        self.failures = []          # of this program, not of its peers
        self.port = None
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(ca.server_certificate, ca.server_key)
        self._started = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._started.wait(10)

    @property
    def tokens(self) -> list:
        """Of the sessions that showed one, in order."""
        return [s.token for s in self.sessions if s.token]

    @property
    def cuts(self) -> int:
        return sum(s.cut for s in self.sessions)

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self):
        self._ended = asyncio.Event()
        server = await asyncio.start_server(
            self._accept, "127.0.0.1", 0, ssl=self._context, limit=LINE_MAX,
            backlog=300)
        self.port = server.sockets[0].getsockname()[1]
        self._started.set()
        await self._ended.wait()
        server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def stop(self):
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join(10)

    async def _accept(self, reader, writer):
        session = Session()
        self.sessions.append(session)
        try:
            await self.serve(session, reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass                # a peer went away
        except Exception as e:
            self.failures.append(repr(e))
            raise
        finally:
            writer.close()

    async def serve(self, session, reader, writer):
        await self.relay(session, reader, writer, *await self.connect())

    async def connect(self):
        return await asyncio.open_connection("127.0.0.1", self.upstream_port,
                                             limit=LINE_MAX)

    async def relay(self, session, reader, writer, up_reader, up_writer):
        session.boundary = session.boundary or Boundary()
        both = [asyncio.create_task(self._up(session, reader, up_writer)),
                asyncio.create_task(self._down(session, up_reader, writer))]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in both:
                task.cancel()
            await asyncio.gather(*both, return_exceptions=True)
            up_writer.close()

    async def seen(self, session, token: str):
        session.token = token
        if self.manner:
            session.expires_at = await asyncio.to_thread(self.expires, token)

    async def _up(self, session, reader, up_writer):
        while data := await reader.read(CHUNK):
            if session.token is None:
                # The response may come in pieces: go on by lines.
                if not data.endswith(b"\n"):
                    data += await reader.readuntil(b"\n")
                for line in data.splitlines():
                    token = bearer(line)
                    if token:
                        await self.seen(session, token)
            up_writer.write(data)
            await up_writer.drain()

    async def _down(self, session, up_reader, writer):
        while True:
            left = None
            if session.expires_at:
                left = max(session.expires_at - time.time(), 0)
            try:
                data = await asyncio.wait_for(
                    up_reader.read(CHUNK), 1 if left is None else left + 0.01)
            except asyncio.TimeoutError:
                if left is None:
                    continue    # perhaps there is a token by now
                if session.boundary.idle() or self.manner == "hard":
                    await self._end(session, writer)
                    return
                data = await asyncio.wait_for(up_reader.read(CHUNK), GRACE_S)
            if not data:
                return
            end = session.boundary.feed(data)
            expired = session.expires_at and time.time() >= session.expires_at
            if expired and (end or self.manner == "hard"):
                writer.write(data[:end if self.manner == "bye"
                                  else len(data) // 2])
                await self._end(session, writer)
                return
            writer.write(data)
            await writer.drain()
            if self.rate:
                await asyncio.sleep(len(data) / self.rate)

    async def _end(self, session, writer):
        session.cut = True
        if self.manner == "bye":
            writer.write(BYE)
        await writer.drain()
