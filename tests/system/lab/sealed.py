"""State files as docs/STORE.md has them, read and written by other code."""

import hashlib
import os
from pathlib import Path

NONCE = 12
LABEL = b"mailtoken seal key id\0"


def _aes(key: bytes):
    # Here, since the demonstration has no such package.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    return AESGCM(key)


def keys(path: Path) -> dict:
    """The key file's keys by their names, newest first."""
    lines = [bytes.fromhex(line) for line in path.read_text().splitlines()
             if line and not line.startswith("#")] if path.exists() else []
    return {hashlib.sha256(LABEL + key).hexdigest()[:16]: key
            for key in lines}


def is_sealed(data: bytes) -> bool:
    return data.startswith(b"version=2 ")


def key_of(data: bytes) -> str:
    """The name of the key that a file is sealed with."""
    return data.split(b"\n")[0].decode().split("key=")[1].split(" ")[0]


def text(path: Path, key_file: Path) -> bytes:
    """What is in a state file, sealed or not."""
    data = path.read_bytes()
    if not is_sealed(data):
        return data
    line, sealed = data[:data.index(b"\n") + 1], data[data.index(b"\n") + 1:]
    account = path.name.removesuffix(".grant").encode()
    return _aes(keys(key_file)[key_of(data)]).decrypt(
        sealed[:NONCE], sealed[NONCE:], line + account)


def seal(path: Path, key_file: Path, content: bytes):
    """Replaces what is in a state file."""
    name, key = next(iter(keys(key_file).items()))
    generation = dict(line.split("=", 1) for line in
                      content.decode().splitlines() if line)["generation"]
    line = f"version=2 key={name} generation={generation}\n".encode()
    account = path.name.removesuffix(".grant").encode()
    nonce = os.urandom(NONCE)
    path.write_bytes(
        line + nonce + _aes(key).encrypt(nonce, content, line + account))
