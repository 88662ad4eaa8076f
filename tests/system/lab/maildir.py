"""What arrived."""

import email
from pathlib import Path


def messages(directory: Path) -> list:
    """Every message of a Maildir, parsed."""
    return [email.message_from_bytes(path.read_bytes())
            for path in sorted(directory.glob("new/*"))]


def subjects(directory: Path) -> list:
    return [message["Subject"] for message in messages(directory)]
