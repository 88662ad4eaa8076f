"""The identity provider: oidc-provider on node, and a person who logs in."""

import base64
import hashlib
import http.cookiejar
import json
import re
import secrets
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from . import tenant
from .ca import Authority
from .process import Process
from .wait import until

SERVER = Path(__file__).parent.parent / "idp" / "server.mjs"
REDIRECT = "http://127.0.0.1/done"
MAIL_SCOPE = "https://outlook.office.com/SMTP.Send"
APP_SCOPE = "https://outlook.office365.com/.default"
LOGIN_SCOPE = f"openid offline_access {MAIL_SCOPE}"
# Every character that a form or Basic encoding can get wrong.
CLIENT_SECRET = "s3cr3t+/ %&=~:?#"
MAX_HOPS = 12


class Provider:
    def __init__(self, directory: Path, ca: Authority, life: int = 3600,
                 size: int = 0, rotate: bool = True,
                 mailbox: str = "relay@contoso.example",
                 certificate: Path = None):
        """certificate: of the application daemon-cert, instead of
        self.application's."""
        directory.mkdir(mode=0o755)
        self.ca = ca
        self.application = tenant.application()
        self.introspection_secret = secrets.token_urlsafe(16)
        settings = directory / "settings.json"
        settings.write_text(json.dumps({
            "cert": str(ca.server_certificate), "key": str(ca.server_key),
            "life": life, "bytes": size, "rotate": rotate,
            "mailbox": mailbox, "secret": CLIENT_SECRET,
            "clientCertificate": str(
                certificate or self.application.certificate),
            "servicePublicKey": str(self.application.service_public_key),
            "serviceAccount": tenant.SERVICE_ACCOUNT,
            "serviceKeyId": tenant.SERVICE_KEY_ID,
            "introspectionSecret": self.introspection_secret}))
        settings.chmod(0o600)
        self.log = directory / "log"
        self.process = Process(["node", SERVER, settings], self.log)
        try:
            ready = until(self._ready, 30, "the identity provider's start")
        except BaseException:
            self.stop()
            raise
        self.issuer = ready["issuer"]
        self.control = ready["control"]
        self.token_endpoint = self.issuer + "/token"
        self.google_token_endpoint = self.issuer + "/google/token"
        self.introspection_url = (
            f"http://dovecot:{self.introspection_secret}@"
            + ready["plain"].removeprefix("http://") + "/token/introspection")

    def _ready(self):
        for line in self.process.text().splitlines():
            if line.startswith('{"issuer"'):
                return json.loads(line)
        assert self.process.alive(), self.process.text()
        return None

    def _control(self, path: str, data: bytes = None):
        with urllib.request.urlopen(self.control + path, data, 10) as answer:
            return json.load(answer)

    def requests(self) -> list:
        """Every token request so far: time, grant, client, error."""
        return self._control("/requests")

    def bodies(self) -> list:
        """Every token and device request so far as it came: path, headers,
        form."""
        return self._control("/bodies")

    def count(self, grant: str = "refresh_token") -> int:
        return sum(r["grant"] == grant for r in self.requests())

    def issued(self) -> list:
        """Every access and refresh token ever given out."""
        return self._control("/issued")

    def set(self, **settings):
        self._control("/settings", json.dumps(settings).encode())

    def revoke(self, token: str):
        assert self._control("/revoke", token.encode())["revoked"]

    def expires(self, token: str):
        """When a valid access token does, in Unix time; None: it is not."""
        url = urllib.parse.urlsplit(self.introspection_url)
        basic = base64.b64encode(
            f"{url.username}:{url.password}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{url.port}{url.path}",
            urllib.parse.urlencode({"token": token}).encode(),
            {"Authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.load(answer).get("exp")

    def login(self, user: str) -> str:
        """Logs in as a person does, in a browser; returns a refresh token."""
        return Browser(self).login(user)

    def stop(self):
        self.process.stop()


class _Arrived(Exception):
    """A redirect that leaves the provider."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    def __init__(self, redirect: str):
        self.redirect = redirect

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if newurl.startswith(self.redirect):
            raise _Arrived(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class Browser:
    """Cookies, redirects, and the provider's login and consent pages.

    redirect: where URLs that leave the provider begin."""

    def __init__(self, idp: Provider, redirect: str = REDIRECT):
        self.idp = idp
        self.opener = urllib.request.build_opener(
            _Redirects(redirect),
            urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(
                cafile=idp.ca.certificate)))

    def _open(self, url: str, form: dict = None) -> str:
        data = urllib.parse.urlencode(form).encode() if form else None
        with self.opener.open(url, data, 20) as page:
            return page.read().decode()

    def _answer(self, page: str, user: str, decline: bool) -> str:
        """The page after this one; decline: the consent, by Cancel."""
        prompt = re.search(r'name="prompt" value="(\w+)"', page)[1]
        if decline and prompt == "consent":
            return self._open(re.search(r'<a href="([^"]+)"', page)[1])
        form = {"prompt": prompt}
        if prompt == "login":
            form |= {"login": user, "password": "any"}
        return self._open(re.search(r'<form[^>]* action="([^"]+)"', page)[1],
                          form)

    def walk(self, url: str, user: str, decline: bool = False) -> str:
        """Answers page after page until a redirect leaves the provider;
        returns where it leads."""
        try:
            page = self._open(url)
            for _ in range(MAX_HOPS):
                page = self._answer(page, user, decline)
        except _Arrived as arrived:
            return str(arrived)
        raise AssertionError(f"no code after {MAX_HOPS} pages:\n{page[:500]}")

    def device(self, uri: str, code: str, user: str, decline: bool = False):
        """Types a device's code and logs in; decline: instead of that."""
        page = self._open(uri)
        for more in ({"user_code": code},
                     {"user_code": code, "abort" if decline else "confirm":
                      "yes"}):
            xsrf = re.search(r'name="xsrf" value="(\w+)"', page)[1]
            page = self._open(uri, {"xsrf": xsrf} | more)
        for _ in range(MAX_HOPS):
            if 'name="prompt"' not in page:
                break
            page = self._answer(page, user, False)
        assert ("interrupted" if decline else "Success") in page, page[-800:]

    def login(self, user: str) -> str:
        verifier = secrets.token_urlsafe(48)
        challenge = base64.urlsafe_b64encode(
            hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        done = self.walk(self.idp.issuer + "/auth?" + urllib.parse.urlencode({
            "client_id": "native", "response_type": "code",
            "redirect_uri": REDIRECT, "scope": LOGIN_SCOPE,
            "prompt": "consent", "code_challenge": challenge,
            "code_challenge_method": "S256", "state": "s"}), user)
        code = urllib.parse.parse_qs(urllib.parse.urlsplit(done).query)["code"]
        answer = json.loads(self._open(self.idp.token_endpoint, {
            "grant_type": "authorization_code", "client_id": "native",
            "redirect_uri": REDIRECT, "code": code[0],
            "code_verifier": verifier}))
        return answer["refresh_token"]
