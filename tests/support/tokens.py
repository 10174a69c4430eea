"""A token server that docker-registry trusts: signed tokens, users, refresh tokens."""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import threading
import time
import urllib.parse
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from support.certificates import openssl


def _packed(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


class TokenServer:
    """Use as a context manager, and give it to ``registries.registry(token=...)``.

    Users (name → password) may do everything, others may pull from ``public``. ``life_s`` is
    how long a token is good. ``requests`` keeps what was asked, ``refresh`` the refresh
    tokens given (token → user).
    """

    service = "registry for tests"
    issuer = "tests"

    def __init__(
        self,
        folder: Path,
        users: Mapping[str, str],
        *,
        life_s: int = 300,
        public: tuple[str, ...] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.certificate = folder / "token.pem"
        self._key = folder / "token-key.pem"
        openssl(
            folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=tokens", "-keyout", "token-key.pem", "-out", "token.pem",
        )  # fmt: skip
        self.users = dict(users)
        self.life_s = life_s
        self.public = public
        self.refresh: dict[str, str] = {}
        self.requests: list[tuple[str, dict[str, list[str]], dict[str, str]]] = []
        handler = type("Handler", (_Handler,), {"server_": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self.realm = f"http://{self.host}/token"
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        ).start()

    def __enter__(self) -> TokenServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def token(self, user: str, scopes: list[str]) -> str:
        """A token with what ``user`` (empty: nobody) may do of ``scopes``."""
        access = []
        for scope in (part for given in scopes for part in given.split(" ") if part):
            kind, _, rest = scope.partition(":")
            name, _, actions = rest.rpartition(":")
            allowed = actions.split(",")
            if not user:
                allowed = ["pull"] if name in self.public and "pull" in allowed else []
            access.append({"type": kind, "name": name, "actions": allowed})
        now = int(time.time())
        certificate = "".join(
            line
            for line in self.certificate.read_text().splitlines()
            if not line.startswith("-----")
        )
        header = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        claims = {
            "iss": self.issuer,
            "sub": user,
            "aud": self.service,
            "exp": now + self.life_s,
            "nbf": now - 10,
            "iat": now,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        signed = ".".join(_packed(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", str(self._key)],
            input=signed.encode(), check=True, capture_output=True,
        ).stdout  # fmt: skip
        return f"{signed}.{_packed(signature)}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_: TokenServer

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _send(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _refuse(self) -> None:
        message = "incorrect username or password"
        self._send(401, {"errors": [{"code": "UNAUTHORIZED", "message": message, "detail": None}]})

    def _note(self, form: dict[str, list[str]]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server_.requests.append((self.command, form, headers))

    def _grant(self, user: str, scopes: list[str], *, offline: bool) -> None:
        document: dict[str, Any] = {
            "token": self.server_.token(user, scopes),
            "expires_in": self.server_.life_s,
        }
        document["access_token"] = document["token"]
        if offline and user:
            refresh = secrets.token_urlsafe(24)
            self.server_.refresh[refresh] = user
            document["refresh_token"] = refresh
        self._send(200, document)

    def do_GET(self) -> None:
        form = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
        self._note(form)
        user = ""
        given = self.headers.get("Authorization", "")
        if given:
            name, _, password = base64.b64decode(given.partition(" ")[2]).decode().partition(":")
            if self.server_.users.get(name) != password:
                return self._refuse()
            user = name
        self._grant(user, form.get("scope", []), offline="offline_token" in form)

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        form = urllib.parse.parse_qs(raw.decode())
        self._note(form)
        user = self.server_.refresh.get(form.get("refresh_token", [""])[0])
        if user is None:
            return self._refuse()
        self._grant(user, form.get("scope", []), offline=False)
