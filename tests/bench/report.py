"""The table: what was measured, what the goal is, whether it is met."""

import math
import statistics
import sys
from dataclasses import dataclass


@dataclass
class Row:
    what: str
    value: str
    goal: str = ""
    met: bool = None            # None: no goal, only for the picture


def at_most(what: str, value: float, goal: float, unit: str = "",
            digits: int = 0) -> Row:
    """Judged as shown: what rounds to the goal meets it."""
    shown = round(value, digits)
    return Row(what, f"{shown:,.{digits}f}{unit}",
               f"<= {goal:,.{digits}f}{unit}", shown <= goal)


def fact(what: str, value: float, unit: str = "", digits: int = 0) -> Row:
    return Row(what, f"{value:,.{digits}f}{unit}")


def say(words: str):
    """Progress, for whoever waits."""
    print(f"bench: {words}", file=sys.stderr, flush=True)


def show(groups: dict) -> bool:
    """Prints the table, in Markdown; False if a goal is missed."""
    rows = [("", "measured", "goal", "")]
    for title, group in groups.items():
        rows.append((f"**{title}**", "", "", ""))
        for r in group:
            verdict = {None: "", True: "PASS", False: "MISS"}[r.met]
            rows.append((r.what, r.value, r.goal, verdict))
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    for i, row in enumerate(rows):
        cells = [row[0].ljust(widths[0])] + [
            cell.rjust(width) for cell, width in zip(row[1:3], widths[1:3])
        ] + [row[3].ljust(widths[3])]
        print("| " + " | ".join(cells) + " |")
        if i == 0:
            print("|" + "|".join(
                "-" * (w + 1) + ("-" if n in (0, 3) else ":")
                for n, w in enumerate(widths)) + "|")
    return all(r.met is not False for g in groups.values() for r in g)


median = statistics.median


def quartiles(values: list) -> str:
    low, _, high = statistics.quantiles(values, n=4)
    return f"{low:.2f} to {high:.2f}"


def interval(values: list) -> str:
    """In which the median lies with 95 % certainty, by order statistics: no
    matter how the values are distributed."""
    ranked, n = sorted(values), len(values)
    tail, low = 0.5 ** n, 0
    while low < n // 2 and tail + math.comb(n, low + 1) / 2 ** n <= 0.025:
        low += 1
        tail += math.comb(n, low) / 2 ** n
    return f"{ranked[low]:.1f} to {ranked[n - 1 - low]:.1f}"
