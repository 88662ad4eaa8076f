"""What is in mailboxes: putting it there, and comparing."""

import hashlib
import imaplib

from .imap import LOCAL_PASSWORD, Instance

TEXT = "All work and no play makes a dull message.\r\n"


def message(number: int, folder: str, size: int = 1500) -> bytes:
    """No two are alike, but for their length."""
    head = (f"From: a{number}@contoso.example\r\nTo: inbox@contoso.example\r\n"
            f"Subject: {folder} {number}\r\n"
            f"Message-ID: <{number}.{folder.replace('/', '.')}@contoso.example>"
            "\r\n\r\n")
    return (head + TEXT * (size // len(TEXT))).encode()


def login(instance: Instance, user: str, password: str = LOCAL_PASSWORD,
          timeout: float = 30) -> imaplib.IMAP4:
    client = imaplib.IMAP4("127.0.0.1", instance.ports.imap, timeout=timeout)
    client.login(user, password)
    return client


def _append(client: imaplib.IMAP4, folder: str, messages: list):
    """All in one command (MULTIAPPEND, LITERAL+), which is much faster."""
    command = f'fill APPEND "{folder}"'.encode()
    for body in messages:
        command += b" {%d+}\r\n" % len(body) + body
    client.send(command + b"\r\n")
    while not (line := client.readline()).startswith(b"fill "):
        assert line, "the server hung up"
    assert line.startswith(b"fill OK"), line


def fill(instance: Instance, user: str, number: int, folders: int = 1,
         size: int = 1500):
    """number messages in as many folders, INBOX being one."""
    client = login(instance, user, timeout=120)
    for index in range(folders):
        folder = f"folder{index}/sub" if index % 4 == 3 else f"folder{index}"
        if index == 0:
            folder = "INBOX"
        else:
            client.create(folder)
        _append(client, folder, [message(i, folder, size)
                                 for i in range(index, number, folders)])
    client.logout()


def records(instance: Instance, user: str, fields: str) -> list:
    """doveadm's answer for every message of the user, as it gives it."""
    text = instance.do("fetch", "-u", user, fields, "ALL", timeout=240)
    return [record for record in text.split("\f\n") if record]


def contents(instance: Instance, user: str) -> set:
    """What must be the same on both sides: mailbox, date, flags and the hash
    of the text.  (Over IMAP there are no GUIDs to compare.)"""
    found = set()
    texts = records(instance, user, "mailbox date.received flags text")
    for record in texts:
        head, _, body = record.replace("\\Recent", "").partition("text:\n")
        found.add((" ".join(head.split()),
                   hashlib.sha256(body.encode()).hexdigest()))
    assert len(found) == len(texts), "two messages are the same"
    return found


def identities(instance: Instance, user: str) -> set:
    """What must stay the same on one side, if there was nothing to do."""
    return set(records(instance, user, "mailbox guid uid text"))
