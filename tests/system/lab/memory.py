"""Another process's memory, as only root can read it."""

import re
from pathlib import Path

MAPPING = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)$", re.M)
PART = 1 << 24


def writable(pid: int):
    """(what is mapped there, bytes) of all that the process can write.
    Stop it before, if it is not idle."""
    maps = Path(f"/proc/{pid}/maps").read_text()
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for start, end, mode, name in MAPPING.findall(maps):
            if "rw" not in mode or name.startswith("[v"):
                continue
            at, end, text = int(start, 16), int(end, 16), b""
            while at < end:
                memory.seek(at)
                part = memory.read(min(PART, end - at))
                if not part:
                    break
                text += part
                at += len(part)
            yield name or "anonymous", text


def count(pid: int, pieces) -> dict:
    """Piece -> how often it is there."""
    found = {}
    for _, text in writable(pid):
        for piece in pieces:
            if piece in text:
                found[piece] = found.get(piece, 0) + text.count(piece)
    return found
