"""Free TCP ports on loopback."""

import random
import socket

# Below those that the kernel takes for connections: nobody gets one of these
# before whoever asked has bound it.
FIRST, LAST = 15000, 32000
TRIES = 100
_given = set()


def free_port() -> int:
    """A port that nobody listens on, and a different one each time."""
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)
        if port in _given:
            continue
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port
    raise AssertionError(f"no free port in {TRIES} tries")
