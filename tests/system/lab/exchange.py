"""Fronts that talk as Exchange Online does until the client has logged in.

The texts are those of Microsoft's documentation, where there is one, and of
public reports, where there is none.  POP3 wants AUTH XOAUTH2 on two lines:
a response on the same line is a protocol error."""

import asyncio
import base64
import json
import re

from .front import Front, bearer

CHALLENGE = base64.b64encode(json.dumps(
    {"status": "400", "schemes": "Bearer",
     "scope": "https://outlook.office365.com/"}).encode())
IMAP_CAPABILITY = (b"* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR"
                   b" UIDPLUS MOVE ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+")
POP3_CAPABILITY = b"+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN XOAUTH2\r\nUSER\r\n."
DOVECOT_CAPABILITY = re.compile(rb"\* CAPABILITY [^\r\n]*")
BANNER = "The Microsoft Exchange {} service is ready. [TGFiLkV4YW1wbGU=]"


class _Exchange(Front):
    """throttled: words that the next logins get instead of an answer."""

    def __init__(self, *args, **kw):
        self.throttled = None
        self.refused = []           # what clients sent after the challenge
        super().__init__(*args, **kw)

    async def accepted(self, session, token) -> bool:
        """Does the identity provider know the token?"""
        if not token or not await asyncio.to_thread(self.expires, token):
            return False
        await self.seen(session, token)
        return True

    @staticmethod
    async def say(writer, line: bytes):
        writer.write(line + b"\r\n")
        await writer.drain()

    @staticmethod
    async def hear(reader) -> bytes:
        return (await reader.readuntil(b"\n")).rstrip(b"\r\n")


class Imap(_Exchange):
    async def serve(self, session, reader, writer):
        await self.say(writer, b"* OK " + BANNER.format("IMAP4").encode())
        while True:
            tag, command, *rest = (await self.hear(reader)).split(b" ")
            command = command.upper()
            if command == b"CAPABILITY":
                await self.say(writer, IMAP_CAPABILITY)
                await self.say(writer, tag + b" OK CAPABILITY completed.")
            elif command == b"AUTHENTICATE":
                if await self.authenticate(session, tag, rest, reader, writer):
                    return
            elif command == b"LOGIN":
                await self.say(writer, tag + b" NO LOGIN failed.")
            elif command == b"LOGOUT":
                await self.say(writer, b"* BYE Microsoft Exchange Server IMAP4"
                               b" server signing off.")
                await self.say(writer, tag + b" OK LOGOUT completed.")
                return
            else:
                await self.say(writer, tag +
                               b" BAD Command received in Invalid state.")

    async def authenticate(self, session, tag, rest, reader, writer) -> bool:
        """True at the session's end."""
        if len(rest) < 2:
            await self.say(writer, b"+ ")
            rest.append(await self.hear(reader))
        if self.throttled:
            await self.say(writer, b"* BYE " + self.throttled)
            return True
        if not await self.accepted(session, bearer(rest[1])):
            await self.say(writer, b"+ " + CHALLENGE)
            self.refused.append(await self.hear(reader))
            await self.say(writer, tag + b" NO AUTHENTICATE failed.")
            return False
        up_reader, up_writer = await self.connect()
        await self.hear(up_reader)
        up_writer.write(b"%b AUTHENTICATE XOAUTH2 %b\r\n" % (tag, rest[1]))
        while not (line := await self.hear(up_reader)).startswith(tag):
            pass
        assert line.startswith(tag + b" OK"), line
        await self.say(writer, tag + b" OK AUTHENTICATE completed.")
        await self.relay(session, reader, _Capabilities(writer), up_reader,
                         up_writer)
        return True


class _Capabilities:
    """A writer that says what Exchange can instead of what Dovecot can."""

    def __init__(self, writer):
        self.writer = writer

    def write(self, data: bytes):
        self.writer.write(DOVECOT_CAPABILITY.sub(IMAP_CAPABILITY, data))

    async def drain(self):
        await self.writer.drain()


class Pop3(_Exchange):
    async def serve(self, session, reader, writer):
        await self.say(writer, b"+OK " + BANNER.format("POP3").encode())
        while True:
            command, *rest = (await self.hear(reader)).split(b" ")
            command = command.upper()
            if command == b"CAPA":
                await self.say(writer, POP3_CAPABILITY)
            elif command == b"AUTH" and len(rest) == 1:
                if await self.authenticate(session, reader, writer):
                    return
            elif command == b"AUTH":
                await self.say(writer, b"-ERR Protocol error. 14")
            elif command == b"QUIT":
                await self.say(writer, b"+OK")
                return
            else:
                await self.say(writer,
                               b"-ERR Command is not valid in this state.")

    async def authenticate(self, session, reader, writer) -> bool:
        await self.say(writer, b"+ ")
        response = await self.hear(reader)
        if not await self.accepted(session, bearer(response)):
            await self.say(writer, b"-ERR Authentication failure: unknown"
                           b" user name or bad password.")
            return False
        up_reader, up_writer = await self.connect()
        await self.hear(up_reader)
        up_writer.write(b"AUTH XOAUTH2 " + response + b"\r\n")
        line = await self.hear(up_reader)
        assert line.startswith(b"+OK"), line
        await self.say(writer, b"+OK User successfully authenticated.")
        await self.relay(session, reader, writer, up_reader, up_writer)
        return True
