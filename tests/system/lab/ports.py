"""Free TCP ports on loopback."""

import socket


def free_port() -> int:
    """A port that nobody listens on; whoever asked binds it soon."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
