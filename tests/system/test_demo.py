"""`./run demo` comes before the packages of the tests."""

import subprocess
from pathlib import Path

HERE = Path(__file__).parent


def test_it_needs_no_module_that_python_comes_without():
    # -S: without those that Debian packages, pytest among them.
    done = subprocess.run(
        ["/usr/bin/python3", "-B", "-S", "-c", "import demo"], cwd=HERE,
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
