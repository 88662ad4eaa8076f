"""What mailtoken sends to a provider, field by field beside what Microsoft's
own library sends there for the same purpose.

Every difference stands in a table with its reason, and a table that names a
difference that is none fails, too."""

import base64
import hashlib
import re
import time
from urllib.parse import parse_qsl, urlsplit

import jwt
import pytest

from lab import idp as provider
from lab import peer
from lab.agent import BUILD, client_environment
from lab.ca import openssl
from lab.idp import APP_SCOPE, MAIL_SCOPE
from lab.process import Process
from lab.wait import until

ANNA = "anna@contoso.example"
SCOPE = f"{MAIL_SCOPE} offline_access"
TOKEN = r"[A-Za-z0-9_-]{20,}"
VERIFIER = r"[A-Za-z0-9._~-]{43,128}"       # RFC 7636 section 4.1
CHALLENGE = r"[A-Za-z0-9_-]{43}"            # section 4.2, S256
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

# What is different each time: the form counts, not the value.
RANDOM = {
    "code": TOKEN, "code_verifier": VERIFIER, "code_challenge": CHALLENGE,
    "device_code": TOKEN, "refresh_token": TOKEN, "nonce": r"[0-9a-f]{64}",
    "state": r"[A-Za-z0-9_-]{16,}", "client_assertion": rf"({TOKEN}\.){{2}}{TOKEN}",
    "redirect_uri": r"http://localhost:[0-9]+/?",
}

WORDS = {"openid", "profile"}
MSAL_SCOPE = frozenset(SCOPE.split()) | WORDS
OUR_SCOPE = frozenset(SCOPE.split())

# key -> (MSAL's value, ours, why); None: not sent.
CLIENT_INFO = {"client_info": (
    "1", None, "asks Entra ID for the index of MSAL's own cache of accounts")}
NO_ID_TOKEN = {"scope": (
    MSAL_SCOPE, OUR_SCOPE, "MSAL wants an id_token to know whose tokens they"
    " are; here the account's name says so, and less is asked for")}
CODE_SCOPE = {"scope": (
    MSAL_SCOPE, None, "RFC 6749 section 4.1.3 has no scope here: the code"
    " stands for what was consented to")}

OLD_DEVICE_CODE = {"code": (
    "random", None, "what Entra ID called the device_code before RFC 8628")}
BROWSER = {
    "nonce": ("random", None, "it ends up in the id_token"),
    "X-AnchorMailbox": (f"UPN:{ANNA}", None, "routes within Entra ID, which"
                        " does not need it"),
    "response_mode": (None, "query", "said aloud; it is the default"),
}

# Of HTTP's; the rest of what MSAL sends counts its own calls.
OUR_HEADERS = {"host", "user-agent", "accept", "accept-encoding",
               "content-length", "content-type", "authorization", "connection"}


class World:
    def __init__(self, lab):
        self.lab = lab
        self.idp = lab.start_idp()
        self.agent = lab.make_agent({}, sockets=[lab.socket])

    def account(self, name: str, **keys) -> str:
        self.agent.accounts[name] = self.lab.delegated(scope=SCOPE) | keys
        self.agent.write()
        return name

    def application(self, name: str, client: str, **keys) -> str:
        self.agent.accounts[name] = {
            k: v for k, v in self.lab.delegated(
                grant="client_credentials", client_id=client,
                scope=APP_SCOPE).items()} | keys
        self.agent.write()
        return name

    def certificate(self) -> dict:
        application = self.idp.application
        path = self.agent.directory / "relay.pem"
        path.write_text(application.certificate.read_text())
        path.chmod(0o644)
        key = self.agent.secret("relay.key", application.key.read_text())
        return {"client_certificate": path,
                "client_key": key.removeprefix("file:")}

    def sent(self, action) -> list:
        """What arrives at the provider while action() runs."""
        since = len(self.idp.bodies())
        action()
        return self.idp.bodies()[since:]

    def token(self, account: str):
        return lambda: self.agent.do("token", account, agent=False)


@pytest.fixture(scope="module")
def world(shared_lab):
    return World(shared_lab)


def base64url(raw: bytes) -> str:
    """Without padding, as RFC 7515 has it."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def shown(key: str, value):
    if value is None:
        return None
    if key in RANDOM:
        assert re.fullmatch(RANDOM[key], value), (key, value)
        return "random"
    return frozenset(value.split()) if key == "scope" else value


def differences(theirs: dict, ours: dict) -> dict:
    pairs = {key: (shown(key, theirs.get(key)), shown(key, ours.get(key)))
             for key in theirs | ours}
    return {key: pair for key, pair in pairs.items() if pair[0] != pair[1]}


def same(theirs: dict, ours: dict, *allowed: dict):
    expected = {key: row[:2] for table in allowed for key, row in table.items()}
    assert differences(theirs, ours) == expected


def same_request(theirs: dict, ours: dict, *allowed: dict):
    """One request as it came, and its headers."""
    assert theirs["path"] == ours["path"]
    assert set(ours["headers"]) <= OUR_HEADERS
    for name in ("content-type", "authorization"):
        assert ours["headers"].get(name) == theirs["headers"].get(name)
    # MSAL asks for it at the token endpoint only.
    assert ours["headers"]["accept"] == "application/json"
    assert theirs["headers"]["accept"] in ("application/json", "*/*")
    same(theirs["form"], ours["form"], *allowed)


def succeed(answer: dict) -> dict:
    assert "access_token" in answer, answer
    return answer


def test_secret(world):
    msal = peer.confidential(world.idp, "daemon-secret", provider.CLIENT_SECRET)
    theirs, = world.sent(
        lambda: succeed(msal.acquire_token_for_client([APP_SCOPE])))
    world.application("app-secret", "daemon-secret",
                      client_secret=world.agent.secret(
                          "app.secret", provider.CLIENT_SECRET))
    ours, = world.sent(world.token("app-secret"))
    same_request(theirs, ours, CLIENT_INFO)


class Login:
    """mailtoken login, in the background, and what it prints."""

    def __init__(self, world, account: str, way: str):
        agent = world.agent
        self.process = Process(
            [BUILD / "mailtoken", "-c", agent.conf, "login", account, way],
            agent.directory / f"login{way}.log", env=client_environment(
                MAILTOKEN_SOCKET=str(agent.directory / "nobody")))

    def shown(self, pattern: str) -> str:
        return until(lambda: re.search(pattern, self.process.text()), 10,
                     f"{pattern} in {self.process.text()!r}")[0]

    def wait(self):
        try:
            status = self.process.popen.wait(20)
        finally:
            self.process.stop()
        assert status == 0 or "agent" in self.process.text(), (
            self.process.text())


def query(url: str) -> dict:
    pairs = parse_qsl(urlsplit(url).query, strict_parsing=True)
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def test_code(world):
    """The authorization code: where the browser goes, and the code's
    exchange."""
    urls = []

    def with_msal():
        url, answer = peer.log_in(world.idp, ANNA, MAIL_SCOPE)
        succeed(answer)
        urls.append(url)

    def with_mailtoken():
        login = Login(world, ANNA, "--browser")
        urls.append(login.shown(r"https://\S+/auth\?\S+"))
        peer.Person(world.idp).visit(urls[-1], ANNA)
        login.wait()

    theirs, = world.sent(with_msal)
    world.account(ANNA, authorization_endpoint=world.idp.issuer + "/auth")
    ours, = world.sent(with_mailtoken)
    assert urls[0].split("?")[0] == urls[1].split("?")[0]
    same(query(urls[0]), query(urls[1]), CLIENT_INFO, NO_ID_TOKEN, BROWSER)
    same_request(theirs, ours, CLIENT_INFO, CODE_SCOPE)
    for address, request in zip(urls, (theirs, ours)):
        form = request["form"]
        assert form["redirect_uri"] == query(address)["redirect_uri"]
        challenge = hashlib.sha256(form["code_verifier"].encode()).digest()
        assert query(address)["code_challenge"] == base64url(challenge)


def test_device(world):
    """The device code: asking for it, and asking for the token."""
    msal = peer.public(world.idp)

    def with_msal():
        flow = msal.initiate_device_flow([MAIL_SCOPE])
        person = peer.Person(world.idp)
        person.visit(flow["verification_uri"], ANNA, flow["user_code"])
        succeed(msal.acquire_token_by_device_flow(flow))

    def with_mailtoken():
        login = Login(world, ANNA, "--device")
        code = login.shown(r"\b[A-Z]{4}-[A-Z]{4}\b")
        peer.Person(world.idp).visit(f"{world.idp.issuer}/device", ANNA, code)
        login.wait()

    theirs = world.sent(with_msal)
    world.account(ANNA, device_authorization_endpoint=(
        world.idp.issuer + "/device/auth"))
    ours = world.sent(with_mailtoken)
    assert len(theirs) == len(ours) == 2
    same_request(theirs[0], ours[0], NO_ID_TOKEN)
    same_request(theirs[1], ours[1], CLIENT_INFO, OLD_DEVICE_CODE)


def test_refresh(world):
    msal = peer.public(world.idp)
    _, login = peer.log_in(world.idp, ANNA, MAIL_SCOPE)
    theirs, = world.sent(lambda: succeed(msal.acquire_token_by_refresh_token(
        login["refresh_token"], [MAIL_SCOPE])))
    world.account(ANNA)
    world.agent.do("import", ANNA, give=world.idp.login(ANNA), agent=False)
    ours, = world.sent(world.token(ANNA))
    same_request(theirs, ours, CLIENT_INFO, NO_ID_TOKEN)


def verified(world, assertion: str) -> tuple:
    key = openssl("x509", "-in", world.idp.application.certificate, "-noout",
                  "-pubkey")
    header = jwt.get_unverified_header(assertion)
    # MSAL's iat is a fraction of a second, which PyJWT takes for later.
    return header, jwt.decode(
        assertion, key, algorithms=[header["alg"]],
        options={"verify_aud": False, "verify_iat": False})


def thumbprint(world, digest: str) -> str:
    text = openssl("x509", "-in", world.idp.application.certificate, "-noout",
                   "-fingerprint", f"-{digest}")
    return base64url(bytes.fromhex(
        text.split("=")[1].strip().replace(":", "")))


def claims_are_alike(theirs: dict, ours: dict):
    """The same names with the same values, but for times."""
    assert {k: theirs[k] for k in ("aud", "iss", "sub")} == {
        k: ours[k] for k in ("aud", "iss", "sub")}
    assert theirs["jti"] != ours["jti"] and len(ours["jti"]) >= 22
    # Microsoft's page on certificate credentials wants nbf; MSAL leaves it out.
    assert set(ours) - set(theirs) == {"nbf"} and not set(theirs) - set(ours)
    # Half of MSAL's ten minutes; and whole seconds, as JWTs should have them.
    assert theirs["exp"] - theirs["iat"] == pytest.approx(600, abs=1)
    assert ours["exp"] - ours["iat"] == 300
    assert all(isinstance(ours[k], int) for k in ("exp", "iat", "nbf"))
    assert ours["nbf"] == ours["iat"] and abs(ours["iat"] - time.time()) < 30


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_certificate(world, algorithm):
    msal = peer.confidential(world.idp, "daemon-cert",
                             peer.certificate(world.idp))
    theirs, = world.sent(
        lambda: succeed(msal.acquire_token_for_client([APP_SCOPE])))
    name = f"app-{algorithm}"
    world.application(name, "daemon-cert", assertion_algorithm=algorithm,
                      **world.certificate())
    ours, = world.sent(world.token(name))
    same_request(theirs, ours, CLIENT_INFO)
    assert ours["form"]["client_assertion_type"] == ASSERTION_TYPE

    their_header, their_claims = verified(
        world, theirs["form"]["client_assertion"])
    our_header, our_claims = verified(world, ours["form"]["client_assertion"])
    claims_are_alike(their_claims, our_claims)
    expected = {"alg": algorithm, "typ": "JWT",
                "x5t#S256": thumbprint(world, "sha256")}
    if algorithm == "RS256":
        # MSAL leaves the padding in, which base64url in JOSE has not.
        assert their_header == {"alg": "RS256", "typ": "JWT",
                                "x5t": thumbprint(world, "sha1") + "="}
        expected["x5t"] = thumbprint(world, "sha1")
    assert our_header == expected
