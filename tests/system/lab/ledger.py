"""What was done to mailtoken, how often, and what was lost: the rows of
docs/RELIABILITY.md.

A module test_faults_NAME.py is a part of that page: its docstring's first
line is the heading, the rest the words above the tables.  `make check` tries
each fault a few times, `make faults` as often as the page says.  Faults must
have the same names and the same losses in both."""

import json
import os
from pathlib import Path

from .agent import BUILD

FULL = os.environ.get("FAULTS") == "full"
DIRECTORY = BUILD / "faults" / ("full" if FULL else "quick")
NOTHING = "nothing"


def times(quick: int, full: int) -> int:
    """How often, here and now."""
    return full if FULL else quick


class Ledger:
    def __init__(self, module):
        heading, _, words = module.__doc__.strip().partition("\n")
        self.path = DIRECTORY / f"{module.__name__}.json"
        self.part = {"heading": heading.rstrip("."), "words": words.strip(),
                     "rows": [], "tables": []}

    def row(self, fault: str, tried: int, then: str, lost: str = NOTHING):
        """One fault, after its test has seen that this is so.  A number in
        fault or lost must not depend on how often it was tried."""
        assert tried > 0, fault
        self.part["rows"].append({"fault": fault, "tried": tried,
                                  "then": then, "lost": lost})

    def table(self, title: str, head: list, body: list, note: str = ""):
        """Figures of this run; every cell is shown as it is."""
        assert all(len(cells) == len(head) for cells in body), title
        self.part["tables"].append(
            {"title": title, "head": [str(cell) for cell in head],
             "body": [[str(cell) for cell in cells] for cells in body],
             "note": note})

    def write(self):
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.part, indent=1))


def parts(directory: Path) -> list:
    """What the last run of each module has written, in the files' order."""
    return [json.loads(path.read_text())
            for path in sorted(directory.glob("test_faults_*.json"))]
