"""A daemon of a few lines on a unix socket: scripted answers, byte for byte.

For tests of what goes over the wire (client, streams, exit codes of real ``pier``
processes). ``FakeClient`` in ``fake_cli`` is lighter where that doesn't matter.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MAIN = Path(__file__).parents[2] / "src" / "pierhead" / "cli" / "__main__.py"


@dataclass
class WireRequest:
    method: str
    path: str  # without version and query
    version: str
    query: str
    headers: dict[str, str]
    body: bytes
    sock: socket.socket = field(repr=False)

    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[WireRequest], "bytes | None"]


def respond(
    body: Any = b"", status: str = "200 OK", headers: dict[str, str] | None = None
) -> bytes:
    """A response with a length; anything but bytes goes as JSON."""
    if not isinstance(body, bytes):
        body = json.dumps(body).encode()
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}"]
    lines += [f"{key}: {value}" for key, value in (headers or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def failure(status: str, message: str) -> bytes:
    return respond({"message": message}, status)


def chunked(*parts: bytes, headers: str = "") -> bytes:
    """A response in chunks."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"
    return f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n{headers}\r\n".encode() + body


def frame(stream: int, data: bytes) -> bytes:
    """One frame of a multiplexed stream."""
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


UPGRADED = (
    b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
    b"Content-Type: application/vnd.docker.multiplexed-stream\r\n\r\n"
)


class WireDaemon:
    """Answers ``"METHOD /path"`` from ``answers``: bytes, or a function of the request that
    may take over the connection and return ``None``."""

    def __init__(self, folder: Path, answers: dict[str, bytes | Answer]) -> None:
        self.path = folder / "d.sock"
        self.answers = answers
        self.requests: list[WireRequest] = []
        self.connections = 0
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.path))
        self._listener.listen(16)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def close(self) -> None:
        self._listener.close()

    def seen(self) -> list[str]:
        return [f"{request.method} {request.path}" for request in self.requests]

    def pier(self, *args: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Run the real program against this daemon."""
        return subprocess.run(
            [sys.executable, "-IS", str(MAIN), *args],
            input=stdin,
            capture_output=True,
            timeout=20,
            env={"PATH": os.environ["PATH"], "DOCKER_HOST": self.host, "HOME": "/nonexistent"},
        )

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            self._answer(sock)
        except OSError:
            pass  # the client went away

    def _answer(self, sock: socket.socket) -> None:
        reader = sock.makefile("rb", buffering=0)
        while True:
            line = _line(reader)
            if not line:
                return
            headers: dict[str, str] = {}
            while header := _line(reader):
                key, _, value = header.partition(":")
                headers[key.lower()] = value.strip()
            method, target, _ = line.split(" ")
            path, _, query = target.partition("?")
            version = ""
            if path.startswith("/v1."):
                version, _, rest = path[2:].partition("/")
                path = "/" + rest
            body = _body(reader, headers)
            request = WireRequest(method, path, version, query, headers, body, sock)
            self.requests.append(request)
            answer = self.answers.get(f"{method} {path}")
            if callable(answer):
                data = answer(request)
                if data is None:
                    return
            else:
                data = answer if answer is not None else failure("404 Not Found", "no such thing")
            if method == "HEAD":
                data = data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n"
            sock.sendall(data)


def _line(reader: Any) -> str:
    data = b""
    while not data.endswith(b"\n"):
        byte = reader.read(1)
        if not byte:
            return ""
        data += byte
    return data.decode().strip()


def _body(reader: Any, headers: dict[str, str]) -> bytes:
    def exactly(size: int) -> bytes:
        data = b""
        while len(data) < size:
            data += reader.read(size - len(data))
        return data

    if headers.get("transfer-encoding") == "chunked":
        data = b""
        while size := int(_line(reader), 16):
            data += exactly(size)
            _line(reader)
        _line(reader)
        return data
    return exactly(int(headers.get("content-length", "0")))
