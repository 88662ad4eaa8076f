"""Secrets that are looked for, as they are and in every disguise that one of
our programs, a host or a server could give them."""

import base64
import json
import secrets
import urllib.parse

WINDOW = 12         # so much of a secret is a leak


def make(more: str = "") -> str:
    """A new secret; more: characters that somebody may have to encode."""
    return secrets.token_urlsafe(15) + more + secrets.token_urlsafe(24)


def _windows(text) -> set:
    """Pieces of which the beginning is one, and each longer part of the text
    has one."""
    return {text[at:at + WINDOW]
            for at in range(0, len(text) - WINDOW + 1, WINDOW)}


def _base64(secret: bytes) -> set:
    """What is the same in base64 whatever stands before and behind it."""
    found = set()
    for before in range(3):
        for encode in base64.b64encode, base64.urlsafe_b64encode:
            text = encode(b"\0" * before + secret)
            whole = text[(4 if before else 0):len(text) // 4 * 4 - 4]
            found |= {whole[at:at + 16] for at in range(0, len(whole) - 15, 16)}
    return found


def forms(secret: str) -> set:
    """Every piece of it that must not be found anywhere."""
    plain = secret.encode()
    texts = {plain, json.dumps(secret)[1:-1].encode(),
             json.dumps(secret)[1:-1].replace("/", "\\/").encode(),
             urllib.parse.quote(secret, safe="").encode(),
             urllib.parse.quote_plus(secret).encode(),
             plain.hex().encode(), plain.hex().upper().encode()}
    found = set().union(*map(_windows, texts)) | _base64(plain)
    # A window of nothing but what everybody writes is no secret.
    return {piece for piece in found if len(set(piece)) > 4}


class Secrets:
    """name -> secret; grows while others look for them."""

    def __init__(self, named: dict = None):
        self.named, self.windows = {}, {}
        for name, secret in (named or {}).items():
            self.add(name, secret)

    def add(self, name: str, secret: str):
        self.named[name] = secret
        for piece in forms(secret):
            self.windows[piece[:WINDOW]] = name

    def seen(self, text) -> set:
        """Names of those that the text shows a part of."""
        if isinstance(text, str):
            text = text.encode(errors="surrogateescape")
        windows = self.windows
        return {windows[text[at:at + WINDOW]]
                for at in range(len(text) - WINDOW + 1)
                if text[at:at + WINDOW] in windows}


def seen(named: dict, text) -> set:
    return Secrets(named).seen(text)
