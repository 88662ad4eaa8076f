"""Fenced blocks of a page of docs/ that have a name: ```KIND NAME"""

import re
from pathlib import Path

DOCS = Path(__file__).parents[3] / "docs"
BLOCK = re.compile(r"^```(\w+) (\S+)\n(.*?)^```$", re.M | re.S)


class Page:
    """section: only what stands below that heading of the second level."""

    def __init__(self, name: str, section: str = None):
        text = (DOCS / name).read_text()
        if section:
            text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
        self.text = text
        found = BLOCK.findall(text)
        self.blocks = {name: block for _, name, block in found}
        assert len(self.blocks) == len(found), "two blocks of one name"
        self.used = set()

    def block(self, name: str, here: dict) -> str:
        """With what is different here (old words -> new, the longest first)
        in place of what is said there.  Words that the page does not have
        are an error: it has changed, then."""
        for words in here:
            assert words in self.text, words
        self.used.add(name)
        text = self.blocks[name]
        for words in sorted(here, key=len, reverse=True):
            text = text.replace(words, str(here[words]))
        return text
