"""Waiting, always with an end."""

import time


def until(predicate, timeout: float, what: str, pause: float = 0.05):
    """Returns predicate()'s first true value; fails after timeout seconds."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s in vain for: {what}")
        time.sleep(pause)
