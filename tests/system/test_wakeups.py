"""A request is looked at, and taken from the socket only once it is answered:
to be woken for nothing would take its client longer than the answer takes."""

import select

import pytest

from lab import wire

REQUEST = b"version=1\nop=get\naccount=nobody@contoso.example\n\n"
TIMES = 500     # it depends on who is faster whether it is seen


@pytest.fixture(scope="module")
def path(shared_lab):
    return shared_lab.make_agent({}).start().sockets[0]


def first_event(path) -> int:
    """What happens first to a socket after a request was sent."""
    with wire.connect(path) as s, select.epoll() as events:
        events.register(s, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        assert events.poll(0), "it can be written to"
        s.sendall(REQUEST)
        [(_, what)] = events.poll(20)
        assert b"status=error" in wire.receive(s)
    return what


def test_woken_by_the_answer_alone(path):
    for i in range(TIMES):
        assert first_event(path) & select.EPOLLIN, f"woken in vain, time {i}"


def long(size: int) -> bytes:
    padding = b"\nuser=" + b"u" * (size - len(REQUEST) - 6)
    return REQUEST[:9] + padding + REQUEST[9:]


@pytest.mark.parametrize("pieces", [
    [REQUEST],
    [REQUEST[:20], REQUEST[20:]],
    [b"version=1\nuser=" + b"u" * 5000, b"u" * 5000 + REQUEST[9:]],
    [REQUEST + b"more"],
    # As long as what is looked at first, and as that and the next time.
    [long(1000) + b"more"],
    [long(5096) + b"more"],
], ids=["at once", "in two pieces", "long", "and more", "1000 and more",
        "5096 and more"])
def test_taken_in_the_end(path, pieces):
    """What is left in a socket that is closed makes that a reset."""
    for _ in range(20):
        with wire.connect(path) as s:
            for piece in pieces:
                s.sendall(piece)
                select.select([s], [], [], 0.01)    # it is read by then
            answer = b""
            while part := s.recv(65536):
                answer += part
        assert wire.parse(answer)["kind"] == "config"
