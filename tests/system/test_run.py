"""What tests/system/run says to somebody who has not built everything."""

import os
import subprocess
from pathlib import Path

RUN = Path(__file__).parent / "run"


def test_it_says_what_to_build(tmp_path):
    (tmp_path / "mailtokend").touch()       # `make` alone, without the hosts
    done = subprocess.run(
        [RUN, "test_run.py"], env=os.environ | {"BUILD": str(tmp_path)},
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 66
    assert f"run: make BUILD={tmp_path} all hosts" in done.stderr
