"""Microsoft's own library, MSAL for Python as Debian has it, at the test
provider: the applications that its users write, unchanged.

The library insists on Microsoft's layout of addresses; it gets the provider's
own description under the name that it asks for, and everything else it does
over the network by itself."""

import re
import threading
import webbrowser

import msal
import requests

from .ca import openssl
from .idp import MAX_HOPS, Browser, Provider

TENANT = "contoso.example"
TIMEOUT_S = 20


class _Http(requests.Session):
    """Trusts the test CA; answers the question for the tenant's description."""

    def __init__(self, idp: Provider):
        super().__init__()
        self.idp = idp
        self.verify = str(idp.ca.certificate)
        self.trust_env = False

    def request(self, method, url, **kw):
        if url.endswith(f"/{TENANT}/v2.0/.well-known/openid-configuration"):
            url = f"{self.idp.issuer}/.well-known/openid-configuration"
        return super().request(method, url, timeout=TIMEOUT_S, **kw)


def _application(kind, idp: Provider, client: str, **kw):
    return kind(client, authority=f"{idp.issuer}/{TENANT}",
                instance_discovery=False, http_client=_Http(idp), **kw)


def public(idp: Provider) -> msal.PublicClientApplication:
    return _application(msal.PublicClientApplication, idp, "native")


def confidential(idp: Provider, client: str,
                 credential) -> msal.ConfidentialClientApplication:
    return _application(msal.ConfidentialClientApplication, idp, client,
                        client_credential=credential)


def certificate(idp: Provider) -> dict:
    """The application's certificate as the library wants it."""
    fingerprint = openssl("x509", "-in", idp.application.certificate, "-noout",
                          "-fingerprint", "-sha1")
    return {"private_key": idp.application.key.read_text(),
            "thumbprint": fingerprint.split("=")[1].strip().replace(":", "")}


class Person(Browser):
    """Somebody who answers whatever the provider's pages ask, and follows
    where they lead, to a program that listens on localhost, too."""

    def visit(self, url: str, user: str, user_code: str = None) -> str:
        """Returns the last page: one without a form."""
        page = self._open(url)
        for _ in range(MAX_HOPS):
            found = re.search(r'<form[^>]* action="([^"]+)"[^>]*>', page)
            if not found:
                return page
            form = dict(re.findall(
                r'<input type="hidden" name="(\w+)" value="([^"]*)"', page))
            if form.get("prompt") == "login":
                form |= {"login": user, "password": "any"}
            elif "prompt" not in form:
                form |= {"user_code": user_code, "confirm": "yes"}
            page = self._open(found[1], form)
        raise AssertionError(f"no end after {MAX_HOPS} pages:\n{page[:500]}")


class Desktop(webbrowser.BaseBrowser):
    """The browser of a person's desktop, which the library opens by itself."""

    def __init__(self, idp: Provider, user: str):
        super().__init__("a person")
        self.idp, self.user, self.urls, self.thread = idp, user, [], None
        webbrowser.register("a person", None, self, preferred=True)

    def open(self, url, new=0, autoraise=True) -> bool:
        self.urls.append(url)
        self.thread = threading.Thread(
            target=Person(self.idp).visit, args=(url, self.user), daemon=True)
        self.thread.start()
        return True


def log_in(idp: Provider, user: str, scope: str) -> tuple:
    """In the browser; returns the address that it was sent to, and what the
    application got."""
    desktop = Desktop(idp, user)
    answer = public(idp).acquire_token_interactive(
        [scope], prompt="consent", login_hint=user, timeout=TIMEOUT_S)
    desktop.thread.join(TIMEOUT_S)
    return desktop.urls[0], answer
