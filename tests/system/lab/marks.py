"""Marks of tests.  Apart from watched.py, since `./run demo` comes without
pytest."""

import pytest

from .watched import SANITIZED, WRAPPER

# What measures time or memory, or looks at the very file that runs.
unwatched = pytest.mark.skipif(
    SANITIZED or bool(WRAPPER), reason="not of a program that is watched")

# What takes the whole machine: after all others, one at a time.
alone = pytest.mark.alone
