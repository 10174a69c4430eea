"""The Engine API with nothing between: plain requests and raw bytes on the unix socket."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Response:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def message(self) -> str:
        """Docker's error text."""
        return str(self.json["message"])


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Api:
    """``api.get("/containers/json")``; paths without a version get the newest known to both."""

    def __init__(self, host: str) -> None:
        assert host.startswith("unix://"), host
        self.path = host.removeprefix("unix://")

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30,
    ) -> Response:
        """``body``: bytes go as they are, anything else as JSON."""
        connection = _UnixConnection(self.path, timeout_s)
        send = dict(headers or {})
        data: bytes | None = None
        if isinstance(body, bytes):
            data = body
        elif body is not None:
            data = json.dumps(body).encode()
            send.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, data, send)
            answer = connection.getresponse()
            return Response(
                answer.status,
                {key.lower(): value for key, value in answer.getheaders()},
                answer.read(),
            )
        finally:
            connection.close()

    def get(self, path: str, **more: Any) -> Response:
        return self.request("GET", path, **more)

    def post(self, path: str, body: object = None, **more: Any) -> Response:
        return self.request("POST", path, body, **more)

    def delete(self, path: str, **more: Any) -> Response:
        return self.request("DELETE", path, **more)

    def connect(self, timeout_s: float = 10) -> socket.socket:
        """A bare connection, for what no client library would send."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(timeout_s)
        connection.connect(self.path)
        return connection

    def raw(self, data: bytes, *, timeout_s: float = 10) -> bytes:
        """Send ``data``, half-close, read to the end."""
        with self.connect(timeout_s) as connection:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            chunks = []
            while True:
                try:
                    chunk = connection.recv(65536)
                except (TimeoutError, ConnectionResetError):
                    break
                if not chunk:
                    break
                chunks.append(chunk)
            return b"".join(chunks)
