"""Token endpoints of fault.py behind TLS of every kind, and a proxy that
listens in."""

import contextlib
import select
import socket
import ssl
import threading
from pathlib import Path

from .ca import Authority, openssl
from .fault import Fault

CHUNK = 65536
IDLE_S = 30
HEAD_MAX = 8192


def issue(ca: Authority, name: str, alternative: str, days: int = 2) -> tuple:
    """A certificate of the CA for an alternative name, and its key."""
    directory = ca.certificate.parent
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    request, names = directory / f"{name}.csr", directory / f"{name}.names"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-keyout", key, "-out", request, "-subj", f"/CN={name}")
    names.write_text(f"subjectAltName={alternative}\n"
                     "authorityKeyIdentifier=keyid\n")
    openssl("x509", "-req", "-in", request, "-CA", ca.certificate, "-CAkey",
            directory / "ca.key", "-set_serial", 7, "-days", days,
            "-extfile", names, "-out", cert)
    return cert, key


def self_signed(directory: Path) -> tuple:
    cert, key = directory / "self.pem", directory / "self.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", cert,
            "-subj", "/CN=127.0.0.1", "-days", 2, "-addext",
            "subjectAltName=IP:127.0.0.1")
    return cert, key


class TlsFault(Fault):
    """newest: the newest version of TLS that it speaks."""

    def __init__(self, certificate: Path, key: Path,
                 newest: ssl.TLSVersion = ssl.TLSVersion.MAXIMUM_SUPPORTED,
                 host: str = "127.0.0.1"):
        super().__init__()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if newest != ssl.TLSVersion.MAXIMUM_SUPPORTED:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = newest
        context.load_cert_chain(certificate, key)
        self.server.handle_error = lambda *args: None
        # Before anybody knows the port.  The handshake is the handler's.
        self.server.socket = context.wrap_socket(
            self.server.socket, server_side=True,
            do_handshake_on_connect=False)
        self.base = f"https://{host}:{self.server.server_port}"

    def redirect(self, status: int, to: str) -> str:
        """The mode of an endpoint that answers with a redirect."""
        mode = f"redirect-{status}"
        self.rows[mode] = {"http": status, "raw": "",
                           "headers": {"Location": to}}
        return mode


class Proxy:
    """Takes CONNECT for any host, and leads all of them to one port here.

    refuse: the status to answer with instead."""

    def __init__(self, port: int):
        self.to = port
        self.refuse = None
        self.heads = []             # of requests
        self.passed = bytearray()   # in either direction, when connected
        self.ended = threading.Event()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.settimeout(0.2)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def stop(self):
        self.ended.set()
        self.thread.join(10)
        self.listener.close()

    def _accept(self):
        while not self.ended.is_set():
            with contextlib.suppress(TimeoutError):
                client = self.listener.accept()[0]
                threading.Thread(target=self._serve, args=(client,),
                                 daemon=True).start()

    def _serve(self, client: socket.socket):
        with client, contextlib.suppress(OSError):
            client.settimeout(IDLE_S)
            head = b""
            while b"\r\n\r\n" not in head and len(head) < HEAD_MAX:
                if not (data := client.recv(CHUNK)):
                    return
                head += data
            self.heads.append(head.decode())
            if self.refuse or not head.startswith(b"CONNECT "):
                client.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n"
                               % (self.refuse or 405))
                return
            with socket.create_connection(("127.0.0.1", self.to)) as up:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                self._pass(client, up)

    def _pass(self, client: socket.socket, up: socket.socket):
        while not self.ended.is_set():
            for ready in select.select([client, up], [], [], 0.2)[0]:
                if not (data := ready.recv(CHUNK)):
                    return
                self.passed += data
                (up if ready is client else client).sendall(data)
