#!/usr/bin/python3
"""reliability.py [--check] - docs/RELIABILITY.md from what `make faults` has
tried.  --check: does the page have the faults that `make check` has tried?"""

import os
import re
import sys
from pathlib import Path

from lab import ledger

HERE = Path(__file__).resolve().parent
PAGE = HERE.parents[1] / "docs" / "RELIABILITY.md"
INTRODUCTION = """\
# Reliability

What was done to mailtoken, how often, and what was lost. This page is written by

    make faults                     # as root; {minutes}

and tests/system/test_faults_*.py are what it runs; `make check` runs the same with smaller numbers, and fails if a fault is missing
here. Version {version}, {debian}, {processors} processors.
"""


def row(cells) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def table(head: list, body: list) -> str:
    numbers = [all(re.fullmatch(r"[-\d.,:%]+( \S+)?", cells[i])
                   for cells in body) for i in range(len(head))]
    return (row(head) + "|" + "|".join("---:" if n else "---" for n in numbers)
            + "|\n" + "".join(map(row, body)))


def section(part: dict) -> str:
    text = f"\n## {part['heading']}\n"
    if part["words"]:
        text += f"\n{part['words']}\n"
    if part["rows"]:
        text += "\n" + table(
            ["fault", "tried", "lost", "and then"],
            [[r["fault"], f"{r['tried']:,}", r["lost"], r["then"]]
             for r in part["rows"]])
    for figures in part["tables"]:
        text += f"\n**{figures['title']}**\n\n" + table(
            figures["head"], figures["body"])
        if figures["note"]:
            text += f"\n{figures['note']}\n"
    return text


def debian() -> str:
    pairs = dict(line.split("=", 1) for line in
                 Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return pairs["PRETTY_NAME"].strip('"')


def write(parts: list, minutes: str):
    version = (HERE.parents[1] / "VERSION").read_text().strip()
    PAGE.write_text(INTRODUCTION.format(
        version=version, debian=debian(), processors=os.cpu_count(),
        minutes=minutes) + "".join(map(section, parts)))
    print(f"{PAGE.relative_to(HERE.parents[1])}: {sum(len(p['rows']) for p in parts)} "
          f"faults, tried {sum(r['tried'] for p in parts for r in p['rows']):,} times")


def missing(parts: list) -> list:
    """Faults that were tried, and are not on the page with that loss."""
    page = PAGE.read_text() if PAGE.exists() else ""
    shown = {tuple(re.split(r"(?<!\\) \| ", line.strip("| "))[::2][:2])
             for line in page.splitlines() if line.startswith("| ")}
    return [r["fault"] for p in parts for r in p["rows"]
            if (r["fault"].replace("|", "\\|"), r["lost"]) not in shown]


def main() -> int:
    parts = ledger.parts(ledger.DIRECTORY)
    if sys.argv[1:] != ["--check"]:
        write(parts, "seventeen minutes on two processors")
        return 0
    for fault in missing(parts):
        print(f"docs/RELIABILITY.md: not there, or with another loss: {fault!r}: "
              "make faults", file=sys.stderr)
    return 1 if missing(parts) else 0


if __name__ == "__main__":
    sys.exit(main())
