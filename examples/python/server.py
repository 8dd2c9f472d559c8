"""A resource server: answers GET / to whoever brings an access token of one issuer.

    ISSUER=http://127.0.0.1:8080/t/acme [AUDIENCE=...] [PORT=7002] python server.py
"""

import json
import os
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt

ALGORITHMS = {"ES256", "RS256", "EdDSA", "PS256", "ES384"}


class Keys:
    """The issuer's public keys.

    Fetched at the first token, again for a kid that is not among them (at most every 10 seconds), and again when they are
    5 minutes old, so that a revoked key is not trusted for longer than the tenant's policy promises (jwks_max_age_seconds).
    """

    COOLDOWN = 10
    MAX_AGE = 300

    def __init__(self, issuer: str) -> None:
        self._url = f"{issuer}/.well-known/jwks.json"
        self._lock = threading.Lock()
        self._keys: dict[str, jwt.PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")

    def key(self, kid: str) -> jwt.PyJWK:
        with self._lock:
            now = time.monotonic()
            is_stale = now - self._fetched_at >= self.MAX_AGE
            if (is_stale or kid not in self._keys) and now - self._tried_at >= self.COOLDOWN:
                self._tried_at = now
                self._fetch(now)
            elif is_stale:
                raise jwt.PyJWKClientError("the keys are too old, and were asked for just now")
            try:
                return self._keys[kid]
            except KeyError:
                raise jwt.PyJWKClientError(f"unknown kid {kid!r}") from None

    def _fetch(self, now: float) -> None:
        try:
            with urllib.request.urlopen(self._url, timeout=5) as response:
                keys = jwt.PyJWKSet.from_dict(json.load(response)).keys
        except (OSError, ValueError) as error:
            raise jwt.PyJWKClientError(f"{self._url}: {error}") from error
        self._keys = {key.key_id: key for key in keys if key.key_id and key.algorithm_name in ALGORITHMS}
        self._fetched_at = now


def verify(token: str, keys: Keys, issuer: str, audience: str) -> dict:
    header = jwt.get_unverified_header(token)
    if str(header.get("typ", "")).lower() not in ("at+jwt", "application/at+jwt"):
        raise jwt.InvalidTokenError("not an access token")
    key = keys.key(str(header.get("kid", "")))
    # The algorithm is the key's, never the token's choice.
    return jwt.decode(
        token,
        key=key,
        algorithms=[key.algorithm_name],
        issuer=issuer,
        audience=audience,
        leeway=30,
        options={"require": ["exp", "iss", "aud", "sub"]},
    )


class Handler(BaseHTTPRequestHandler):
    keys: Keys
    issuer: str
    audience: str

    def do_GET(self) -> None:  # noqa: N802, the name is http.server's
        if self.path != "/":
            self._answer(404, {"error": "not_found"})
            return
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            self._answer(401, {"error": "no_token"}, "Bearer")
            return
        try:
            claims = verify(token, self.keys, self.issuer, self.audience)
        except jwt.PyJWTError as error:
            # For the operator. The caller only learns that the token is no good.
            print(f"refused: {error}", file=sys.stderr)
            self._answer(401, {"error": "invalid_token"}, 'Bearer error="invalid_token"')
            return
        self._answer(200, {name: claims[name] for name in ("sub", "scope", "roles", "exp") if name in claims})

    def _answer(self, status: int, body: dict, challenge: str | None = None) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Content-Length", str(len(content)))
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""


def main() -> None:
    issuer = os.environ.get("ISSUER")
    if not issuer:
        sys.exit("Set ISSUER, for example ISSUER=http://127.0.0.1:8080/t/acme")
    Handler.issuer = issuer
    Handler.audience = os.environ.get("AUDIENCE") or issuer
    Handler.keys = Keys(issuer)
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "7002"))), Handler)
    print(f"http://127.0.0.1:{server.server_port} takes tokens of {issuer} for {Handler.audience}", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
