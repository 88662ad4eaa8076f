"""An application as an administrator registers it: its certificate and key,
and the key of a Google service account.  Made once for a run of the tests,
since keys take their time."""

import atexit
import functools
import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from .ca import openssl

PASSPHRASE = "only for tests"
SERVICE_ACCOUNT = "relay@project.example.com"
SERVICE_KEY_ID = "0123456789abcdef"


@dataclass
class Application:
    """PEM files, but for the last; copies go to where programs read them."""
    certificate: Path
    key: Path
    encrypted_key: Path         # under PASSPHRASE
    service_key: Path
    service_public_key: Path

    def service_account(self, token_uri: str) -> str:
        """What Google hands out for a service account, as JSON."""
        return json.dumps({
            "type": "service_account", "client_email": SERVICE_ACCOUNT,
            "private_key_id": SERVICE_KEY_ID,
            "private_key": self.service_key.read_text(),
            "token_uri": token_uri})


def certificate(directory: Path, name: str, days: int = 90) -> tuple:
    """A certificate of its own signature, and its key, RSA 2048."""
    cert, key = directory / f"{name}.pem", directory / f"{name}.key"
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key,
            "-out", cert, "-subj", f"/CN={name}", "-days", days)
    return cert, key


@functools.cache
def application() -> Application:
    directory = Path(tempfile.mkdtemp(prefix="mailtoken-app-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    cert, key = certificate(directory, "relay")
    encrypted, service = directory / "encrypted.key", directory / "service.key"
    public = directory / "service.pub"
    openssl("pkcs8", "-topk8", "-in", key, "-out", encrypted, "-v2",
            "aes-256-cbc", "-passout", f"pass:{PASSPHRASE}")
    openssl("genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048",
            "-out", service)
    openssl("pkey", "-in", service, "-pubout", "-out", public)
    return Application(cert, key, encrypted, service, public)
