"""A certificate authority for one run of the tests, and one server's key."""

import subprocess
from pathlib import Path

from dataclasses import dataclass

# What strict verification asks for, Python's since 3.13.
OF_CA = "keyUsage=critical,keyCertSign,cRLSign"
OF_SERVER = """\
subjectAltName=IP:127.0.0.1,DNS:localhost
authorityKeyIdentifier=keyid
"""


@dataclass
class Authority:
    certificate: Path       # what clients trust
    server_certificate: Path
    server_key: Path


def openssl(*args) -> str:
    """Its standard output."""
    return subprocess.run(
        ["openssl", *map(str, args)], check=True, timeout=60, text=True,
        stdin=subprocess.DEVNULL, capture_output=True).stdout


def make(directory: Path) -> Authority:
    directory.mkdir(mode=0o755)
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    cert, key = directory / "server.pem", directory / "server.key"
    request, names = directory / "server.csr", directory / "names"
    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
               "-nodes")
    openssl("req", "-x509", *new_key, "-keyout", ca_key, "-out", ca,
             "-subj", "/CN=mailtoken test CA", "-days", 2, "-addext", OF_CA)
    openssl("req", *new_key, "-keyout", key, "-out", request,
             "-subj", "/CN=127.0.0.1")
    names.write_text(OF_SERVER)
    openssl("x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key,
             "-CAcreateserial", "-days", 2, "-out", cert, "-extfile", names)
    return Authority(ca, cert, key)
