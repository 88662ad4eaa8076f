"""The agent's protocol, spoken by hand (docs/PROTOCOL.md)."""

import socket
from pathlib import Path


def connect(path: Path) -> socket.socket:
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(20)
    s.connect(str(path))
    return s


def receive(s: socket.socket) -> bytes:
    """Everything up to the end of the connection.  An agent that does not
    want to read all that we sent ends it with a reset."""
    data = b""
    try:
        while part := s.recv(65536):
            data += part
    except ConnectionResetError:
        pass
    return data


def parse(data: bytes) -> dict:
    """One message's pairs; {} for none at all."""
    return dict(line.split("=", 1) for line in data.decode().splitlines()
                if line)


def ask(path: Path, **pairs) -> dict:
    """One request of version 1, one answer."""
    text = "".join(f"{k}={v}\n" for k, v in ({"version": 1} | pairs).items())
    return ask_raw(path, text.encode() + b"\n")


def ask_raw(path: Path, request: bytes) -> dict:
    with connect(path) as s:
        try:
            s.sendall(request)
        except BrokenPipeError:
            pass                # it has answered already
        return parse(receive(s))


def ask_many(path: Path, requests: list) -> list:
    """The same for many at the same time; answers in that order."""
    answers, begun = [], []
    for pairs in requests:
        s = connect(path)
        s.sendall("".join(f"{k}={v}\n" for k, v in
                          ({"version": 1} | pairs).items()).encode() + b"\n")
        begun.append(s)
    for s in begun:
        with s:
            answers.append(parse(receive(s)))
    return answers
