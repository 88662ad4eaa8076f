"""The configurations of docs/dovecot.md, which are what the tests run."""

import functools
import re
from pathlib import Path

PAGE = Path(__file__).parents[3] / "docs" / "dovecot.md"
BLOCK = re.compile(r"^```dovecot (\S+) (\S+)\n(.*?)^```$", re.M | re.S)


@functools.cache
def blocks() -> dict:
    """(release, name) -> text."""
    return {(release, name): text
            for release, name, text in BLOCK.findall(PAGE.read_text())}


def configuration(release: str, names: list, here: dict) -> str:
    """The named blocks, with what is different here (old words -> new) in
    place of what is said there.  Words that stand nowhere are an error only
    if they stand in no block at all: the page has changed, then."""
    for words in here:
        assert any(words in text for text in blocks().values()), words
    text = "\n".join(blocks()[release, name] for name in names)
    for words in sorted(here, key=len, reverse=True):
        text = re.sub(rf"(?<![\w.]){re.escape(words)}(?![\w])",
                      lambda _: str(here[words]), text)
    return text
