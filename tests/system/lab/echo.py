"""A provider that tells everybody what it was told: each mode quotes the
request, with its secrets, in another place of the answer."""

import base64
import json
import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "access_token"


def _error(words: str, **more) -> tuple:
    return 400, json.dumps({"error": "invalid_grant",
                            "error_description": words} | more), {}


# said: the request decoded; raw: as it came; new: a token that was never told.
MODES = {
    "in the description": lambda said, raw, new: _error(said),
    "in the description, encoded": lambda said, raw, new: _error(raw),
    "in pieces": lambda said, raw, new: _error(" ".join(
        said[i:i + 30] for i in range(0, len(said), 30))),
    "as the error": lambda said, raw, new: (
        400, json.dumps({"error": said}), {}),
    "in Entra ID's other fields": lambda said, raw, new: _error(
        "AADSTS7000215: no", error_uri=said, suberror=said, claims=said,
        error_codes=[said], trace_id=said, correlation_id=said),
    "in a page": lambda said, raw, new: (
        500, f"<html><h1>{said}</h1><pre>{raw}</pre></html>",
        {"Content-Type": "text/html"}),
    "in headers": lambda said, raw, new: (
        401, "", {"WWW-Authenticate": f'Bearer error_description="{raw}"',
                  "X-Debug": raw, "Set-Cookie": f"r={raw}"}),
    "in a redirect": lambda said, raw, new: (
        302, raw, {"Location": f"https://login.example.com/?{raw}"}),
    "in Retry-After": lambda said, raw, new: (429, raw, {"Retry-After": raw}),
    "in the reason of the status": lambda said, raw, new: (
        (503, raw[:200]), "{}", {}),
    "in JSON that ends too early": lambda said, raw, new: (
        400, _error(said)[1][:-9], {}),
    "in a string, an array": lambda said, raw, new: (
        400, json.dumps([said, {"error": said}]), {}),
    "twice": lambda said, raw, new: (
        400, _error(said)[1][:-1] + "," + _error(raw)[1][1:], {}),
    # Tokens that are not taken.
    "a token, cut": lambda said, raw, new: (
        200, '{"token_type":"Bearer","access_token":"' + new, {}),
    "a token as its own type": lambda said, raw, new: (
        200, json.dumps({TOKEN: new, "token_type": new}), {}),
    "a token with a line's end": lambda said, raw, new: (
        200, json.dumps({TOKEN: f"{new}\r\n{new}"}), {}),
    "a token as an object": lambda said, raw, new: (
        200, json.dumps({TOKEN: {new: new}, "expires_in": new}), {}),
    "a token that nobody can pay": lambda said, raw, new: (
        200, json.dumps({TOKEN: new * 1000}), {}),
    "a token, and junk": lambda said, raw, new: (
        200, json.dumps({TOKEN: new}) + new, {}),
}
GOOD = "good"


class Echo:
    """url is the token endpoint; mode is one of MODES, or GOOD.  secret() is
    called with every new token."""

    def __init__(self, note, make):
        self.mode, self.count = GOOD, 0
        echo = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 60

            def log_message(self, *args):
                pass

            def do_POST(self):
                raw = self.rfile.read(int(self.headers["Content-Length"])
                                      ).decode()
                form = urllib.parse.parse_qs(raw)
                said = "; ".join(f"{k} {v[0]}" for k, v in form.items())
                basic = self.headers.get("Authorization", "")
                if basic:
                    pair = base64.b64decode(basic.split()[1]).decode()
                    raw = f"{basic}&{raw}&{pair}"
                    said = urllib.parse.unquote_plus(pair) + said
                for key in ("assertion", "client_assertion", "code",
                            "code_verifier"):
                    if key in form:
                        note(key, form[key][0])
                new = make()
                note("new token", new)
                echo.count += 1
                if "device" in self.path:
                    note("device code", echo.device_code)
                    answer = (200, json.dumps({
                        "device_code": echo.device_code, "user_code": "AB-CD",
                        "verification_uri": "https://login.example.com/",
                        "expires_in": 3, "interval": 1}), {})
                elif echo.mode == GOOD:
                    again = make()
                    note("new refresh token", again)
                    answer = (200, json.dumps({
                        TOKEN: new, "token_type": "Bearer", "expires_in": 3600,
                        "refresh_token": again}), {})
                else:
                    answer = MODES[echo.mode](said, raw, new)
                status, text, headers = answer
                status, reason = (status if isinstance(status, tuple)
                                  else (status, None))
                self.send_response(status, reason)
                for key, value in ({"Content-Type": "application/json"} |
                                   headers).items():
                    self.send_header(key, value)
                self.send_header("Content-Length", str(len(text.encode())))
                self.end_headers()
                self.wfile.write(text.encode())

        self.device_code = make()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/token"
        self.thread = threading.Thread(target=self.server.serve_forever,
                                       daemon=True)
        self.thread.start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)
