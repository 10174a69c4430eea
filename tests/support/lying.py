"""A registry in memory that does what it is told, lies above all.

It serves ``blobs`` and ``manifests`` under any repository name and takes uploads. ``on``
puts a *lie* before that: a function of an ``Exchange`` that answers in its own way (or
returns False to have the truth told). ``requests`` keeps everything that was asked.

    with LyingRegistry() as liar:
        layer = liar.add_blob(b"...")
        liar.on("GET", f"/blobs/{layer}", cut_after(1000), times=2)
"""

from __future__ import annotations

import json
import re
import socket
import ssl
import struct
import threading
import urllib.parse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"


def digest_of(data: bytes) -> str:
    return f"sha256:{sha256(data).hexdigest()}"


@dataclass
class Request:
    method: str
    path: str
    """With its query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes = b""

    @property
    def query(self) -> dict[str, list[str]]:
        return urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)


Lie = Callable[["Exchange"], Any]


@dataclass
class _Rule:
    method: str
    pattern: re.Pattern[str]
    lie: Lie
    times: int | None


@dataclass
class _Upload:
    data: bytearray = field(default_factory=bytearray)


class Exchange(BaseHTTPRequestHandler):
    """One request, and the ways to answer it."""

    protocol_version = "HTTP/1.1"
    registry: LyingRegistry
    request_: Request
    _read = False

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _do(self) -> None:
        self.request_ = Request(
            self.command, self.path, {k.lower(): v for k, v in self.headers.items()}
        )
        self._read = False
        self.registry.requests.append(self.request_)
        lie = self.registry._lie_for(self.command, self.path)
        try:
            if lie is None or lie(self) is False:
                self.truth()
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            self.close_connection = True

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = _do

    # Ways to answer

    def read_body(self) -> bytes:
        """The request's body; what came of it when the line broke."""
        if self._read:
            return self.request_.body
        self._read = True
        data = b""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while (size := int(self.rfile.readline().split(b";")[0] or b"0", 16)) > 0:
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            left = int(self.headers.get("Content-Length") or 0)
            while left > 0 and (chunk := self.rfile.read(min(left, 65536))):
                data += chunk
                left -= len(chunk)
        self.request_.body = data
        return data

    def reply(
        self,
        status: int,
        body: bytes = b"",
        headers: dict[str, str] | None = None,
        *,
        length: int | None = None,
    ) -> None:
        """``length`` is what Content-Length says, if not the truth (-1: nothing)."""
        if self.command in ("POST", "PUT", "PATCH"):
            self.read_body()
        self.send_response(status)
        told = len(body) if length is None else length
        if told >= 0:
            self.send_header("Content-Length", str(told))
        else:
            self.send_header("Connection", "close")
            self.close_connection = True
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
            if length is not None and length != len(body):
                self.cut()

    def error(self, status: int, code: str, message: str, **headers: str) -> None:
        """An error document. Header names with ``_`` for ``-``."""
        body = json.dumps({"errors": [{"code": code, "message": message, "detail": {}}]})
        self.reply(
            status,
            body.encode(),
            {
                "Content-Type": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )

    def cut(self, *, reset: bool = False) -> None:
        """End the connection here."""
        self.close_connection = True
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close() if reset else self.connection.shutdown(socket.SHUT_WR)

    # The truth

    def truth(self) -> None:
        """Answer as an honest registry."""
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        if path == "/v2/":
            return self.reply(200, b"{}", {"Content-Type": "application/json"})
        if match := re.fullmatch(r"/v2/(.+)/manifests/([^/]+)", path):
            return self._manifest(match[1], match[2])
        if match := re.fullmatch(r"/v2/(.+)/blobs/(sha256:[0-9a-f]{64})", path):
            return self._blob(match[2])
        if match := re.fullmatch(r"/v2/(.+)/blobs/uploads/([^/]*)", path):
            return self._upload(match[1], match[2])
        if match := re.fullmatch(r"/v2/(.+)/tags/list", path):
            tags = sorted(
                ref for repo, ref in self.registry.manifests if repo == match[1] and ":" not in ref
            )
            body = json.dumps({"name": match[1], "tags": tags}).encode()
            return self.reply(200, body, {"Content-Type": "application/json"})
        self.error(404, "NAME_UNKNOWN", "repository name not known to registry")

    def _manifest(self, repo: str, ref: str) -> None:
        known = self.registry.manifests
        if self.command == "PUT":
            data = self.read_body()
            kind = self.headers.get("Content-Type", "")
            for name in {ref, digest_of(data)}:
                known[repo, name] = (kind, data)
            return self.reply(201, b"", {"Docker-Content-Digest": digest_of(data)})
        if (repo, ref) not in known:
            return self.error(404, "MANIFEST_UNKNOWN", "manifest unknown")
        kind, data = known[repo, ref]
        self.reply(200, data, {"Content-Type": kind, "Docker-Content-Digest": digest_of(data)})

    def _blob(self, digest: str) -> None:
        data = self.registry.blobs.get(digest)
        if data is None:
            return self.error(404, "BLOB_UNKNOWN", "blob unknown to registry")
        headers = {"Content-Type": "application/octet-stream", "Docker-Content-Digest": digest}
        match = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if match and self.registry.ranges:
            start = int(match[1])
            if start >= len(data):
                return self.reply(416, b"")
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
            return self.reply(206, data[start:], headers)
        self.reply(200, data, headers)

    def _upload(self, repo: str, name: str) -> None:
        uploads = self.registry.uploads
        query = self.request_.query
        if self.command == "POST":
            if query.get("mount", [""])[0] in self.registry.blobs:
                return self.reply(201)
            name = f"u{len(uploads)}"
            uploads[name] = _Upload()
            return self.reply(202, b"", self._where(repo, name))
        upload = uploads.get(name)
        if upload is None:
            return self.error(404, "BLOB_UPLOAD_UNKNOWN", "blob upload unknown to registry")
        if self.command == "PATCH":
            told = self.headers.get("Content-Range")
            if told is not None and int(told.partition("-")[0]) != len(upload.data):
                return self.reply(416, b"", self._where(repo, name))
            upload.data += self.read_body()
            return self.reply(202, b"", self._where(repo, name))
        if self.command == "GET":
            return self.reply(204, b"", self._where(repo, name))
        if self.command == "PUT":
            upload.data += self.read_body()
            digest = query.get("digest", [""])[0]
            if digest_of(bytes(upload.data)) != digest:
                return self.error(
                    400, "DIGEST_INVALID", "provided digest did not match uploaded content"
                )
            self.registry.blobs[digest] = bytes(upload.data)
            del uploads[name]
            return self.reply(201, b"", {"Docker-Content-Digest": digest})
        del uploads[name]
        self.reply(204)

    def _where(self, repo: str, name: str) -> dict[str, str]:
        upload = self.registry.uploads[name]
        return {
            "Location": f"/v2/{repo}/blobs/uploads/{name}?_state=x%2Fy%3D",
            "Range": f"0-{max(0, len(upload.data) - 1)}",
            "Docker-Upload-UUID": name,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # connections break on purpose


class LyingRegistry:
    """See the module. ``address`` may be an IPv6 literal; ``tls`` is (certificate, key)."""

    def __init__(
        self,
        *,
        address: str = "127.0.0.1",
        tls: tuple[Path, Path] | None = None,
        client_ca: Path | None = None,
    ) -> None:
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.uploads: dict[str, _Upload] = {}
        self.requests: list[Request] = []
        self.ranges = True
        """Whether Range is honoured."""
        self._rules: list[_Rule] = []
        self._lock = threading.Lock()
        handler = type("Handler", (Exchange,), {"registry": self})
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        server = type("Server", (_Server,), {"address_family": family})
        self._server = server((address, 0), handler)
        self.port = int(self._server.server_address[1])
        self.host = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        if tls is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            if client_ca is not None:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(client_ca)
            # Shaken hands in the connection's own thread, at its first read.
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def __enter__(self) -> LyingRegistry:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    # Content

    def add_blob(self, data: bytes) -> str:
        self.blobs[digest_of(data)] = data
        return digest_of(data)

    def add_manifest(self, repo: str, tag: str, data: bytes, kind: str = DOCKER_MANIFEST) -> str:
        for ref in (tag, digest_of(data)):
            self.manifests[repo, ref] = (kind, data)
        return digest_of(data)

    def add_image(
        self, repo: str, tag: str, layers: Sequence[bytes], diff_ids: Sequence[str] | None = None
    ) -> str:
        """An image of these (compressed) layers; ``diff_ids`` default to the layers' digests."""
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {"Cmd": ["true"]},
                "rootfs": {
                    "type": "layers",
                    "diff_ids": list(diff_ids or [digest_of(layer) for layer in layers]),
                },
            }
        ).encode()
        document = {
            "schemaVersion": 2,
            "mediaType": DOCKER_MANIFEST,
            "config": {
                "mediaType": DOCKER_CONFIG,
                "size": len(config),
                "digest": self.add_blob(config),
            },
            "layers": [
                {"mediaType": DOCKER_LAYER, "size": len(layer), "digest": self.add_blob(layer)}
                for layer in layers
            ],
        }
        return self.add_manifest(repo, tag, json.dumps(document).encode())

    # Lies

    def on(self, method: str, pattern: str, lie: Lie, *, times: int | None = None) -> None:
        """Answer requests whose path contains ``pattern`` (a regular expression) by ``lie``.

        ``times``: only so many of them. The rule added last counts first.
        """
        with self._lock:
            self._rules.insert(0, _Rule(method, re.compile(pattern), lie, times))

    def _lie_for(self, method: str, path: str) -> Lie | None:
        with self._lock:
            for rule in self._rules:
                if rule.times == 0 or rule.method not in (method, "*"):
                    continue
                if rule.pattern.search(urllib.parse.unquote(path)):
                    if rule.times is not None:
                        rule.times -= 1
                    return rule.lie
        return None

    def asked(self, method: str, pattern: str) -> list[Request]:
        """The requests so far whose path contains ``pattern``."""
        return [
            request
            for request in list(self.requests)
            if request.method == method and re.search(pattern, urllib.parse.unquote(request.path))
        ]


def status(code: int, body: bytes = b"", **headers: str) -> Lie:
    """Answer with that status. Header names with ``_`` for ``-``."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda exchange: exchange.reply(code, body, told)


def redirect(to: str, code: int = 307) -> Lie:
    return status(code, Location=to)


def other_bytes(data: bytes) -> Lie:
    """Something else than what was asked for."""
    return lambda exchange: exchange.reply(200, data)


def cut_after(count: int, *, reset: bool = False) -> Lie:
    """Promise the whole, send ``count`` bytes of the (ranged) truth, and break."""

    def lie(exchange: Exchange) -> None:
        digest = exchange.path.rpartition("/")[2]
        data = exchange.registry.blobs[urllib.parse.unquote(digest)]
        start = 0
        match = re.fullmatch(r"bytes=(\d+)-", exchange.headers.get("Range", ""))
        if match and exchange.registry.ranges:
            start = int(match[1])
            exchange.send_response(206)
            exchange.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
        else:
            exchange.send_response(200)
        exchange.send_header("Content-Length", str(len(data) - start))
        exchange.end_headers()
        exchange.wfile.write(data[start : start + count])
        exchange.cut(reset=reset)

    return lie


def endless(chunk: bytes = b"\0" * 65536) -> Lie:
    """Never stop sending."""

    def lie(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Connection", "close")
        exchange.end_headers()
        exchange.close_connection = True
        while True:
            exchange.wfile.write(chunk)

    return lie


def stall(until: threading.Event, after: bytes = b"", length: int = 1 << 20) -> Lie:
    """Send the headers and ``after``, then nothing until the event is set."""

    def lie(exchange: Exchange) -> None:
        exchange.send_response(200)
        exchange.send_header("Content-Length", str(length))
        exchange.end_headers()
        exchange.wfile.write(after)
        exchange.wfile.flush()
        until.wait(60)
        exchange.close_connection = True

    return lie


def silent(until: threading.Event) -> Lie:
    """Don't even send headers until the event is set."""

    def lie(exchange: Exchange) -> None:
        until.wait(60)
        exchange.close_connection = True

    return lie


def bearer(realm: str, valid: Callable[[str], bool], service: str = "liar") -> Lie:
    """Ask for a token (``error="invalid_token"`` for one that isn't valid), else the truth."""

    def lie(exchange: Exchange) -> bool:
        given = exchange.headers.get("Authorization", "")
        if given.startswith("Bearer ") and valid(given[7:]):
            return False
        wrong = ',error="invalid_token"' if given else ""
        exchange.error(
            401,
            "UNAUTHORIZED",
            "authentication required",
            WWW_Authenticate=f'Bearer realm="{realm}",service="{service}"{wrong}',
        )
        return True

    return lie


def tokens_for_one_use(registry: LyingRegistry) -> tuple[Lie, set[str]]:
    """Serve ``/token``, good for an hour it says, of which each is taken but once.

    The lie that asks for them, to be put where it belongs; and those that were shown.
    """
    used: set[str] = set()

    def once(token: str) -> bool:
        fresh = token not in used
        used.add(token)
        return fresh

    def give(exchange: Exchange) -> None:
        token = f"t{len(registry.asked('GET', '/token'))}"
        exchange.reply(200, json.dumps({"token": token, "expires_in": 3600}).encode())

    registry.on("GET", "/token", give)
    return bearer(f"{registry.url}/token", once), used


def basic(user: str, password: str) -> Lie:
    """Ask for that user and password, else the truth."""
    import base64

    wanted = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def lie(exchange: Exchange) -> bool:
        if exchange.headers.get("Authorization") == wanted:
            return False
        exchange.error(
            401, "UNAUTHORIZED", "authentication required", WWW_Authenticate='Basic realm="liar"'
        )
        return True

    return lie
