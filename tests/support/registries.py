"""Registries for tests: Debian's docker-registry, a token server, lines that break, liars.

All on free loopback ports, all ended by leaving the ``with``. What a machine lacks makes
the test skip and say so. ``LyingRegistry`` (``support.lying``) needs nothing installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from support.certificates import Authority
from support.lying import LyingRegistry
from support.tokens import TokenServer

__all__ = [
    "Authority",
    "Cutting",
    "DockerRegistry",
    "LyingRegistry",
    "TokenServer",
    "cutting",
    "need",
    "nginx",
    "registry",
    "settings",
]

DEBIAN = {"htpasswd": "apache2-utils"}  # program → package, where the names differ


def need(*programs: str) -> None:
    """Skip the test, visibly, where one of the programs isn't installed."""
    for program in programs:
        if _which(program) is None:
            pytest.skip(f"no {program} here (Debian package {DEBIAN.get(program, program)})")


def _which(program: str) -> str | None:
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class RegistrySettings:
    """What ``pierhead.distribution`` asks of the daemon's settings."""

    insecure_registries: list[str] = field(default_factory=list)
    registry_mirrors: list[str] = field(default_factory=list)
    registry_mirrors_for: dict[str, list[str]] = field(default_factory=dict)


def settings(
    *,
    insecure: list[str] | None = None,
    mirrors: list[str] | None = None,
    mirrors_for: dict[str, list[str]] | None = None,
) -> RegistrySettings:
    return RegistrySettings(insecure or [], mirrors or [], mirrors_for or {})


@dataclass
class DockerRegistry:
    """A running docker-registry. ``host`` is what an image's name begins with."""

    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    tls: Authority | None = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://{self.host}"

    @property
    def log(self) -> str:
        return (self.folder / "registry.log").read_text(errors="replace")

    def blob_path(self, digest: str) -> Path:
        """Where it keeps a blob: to damage it, or to look whether it is there."""
        hex_ = digest.partition(":")[2]
        base = self.folder / "data/docker/registry/v2/blobs/sha256"
        return base / hex_[:2] / hex_ / "data"


@contextlib.contextmanager
def registry(
    folder: Path,
    *,
    htpasswd: Mapping[str, str] | None = None,
    token: TokenServer | None = None,
    tls: Authority | bool = False,
    client_ca: Path | None = None,
    proxy: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> Iterator[DockerRegistry]:
    """Debian's docker-registry with its data below ``folder``.

    ``htpasswd`` maps users to passwords; ``token`` makes it trust that token server;
    ``proxy`` makes it a pull-through mirror of that URL; ``client_ca`` makes it ask for
    client certificates (needs ``tls``).
    """
    need("docker-registry")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    authority = Authority(folder / "tls") if tls is True else (tls or None)
    configuration: dict[str, Any] = {
        "version": 0.1,
        "log": {"level": "info", "accesslog": {"disabled": False}},
        "storage": {
            "filesystem": {"rootdirectory": str(folder / "data")},
            "delete": {"enabled": True},
            "maintenance": {"uploadpurging": {"enabled": False}},
        },
        "http": {"addr": f"127.0.0.1:{port}", "secret": "for tests"},
    }
    if authority is not None:
        certificate, key = authority.issue("registry")
        configuration["http"]["tls"] = {"certificate": str(certificate), "key": str(key)}
        if client_ca is not None:
            configuration["http"]["tls"]["clientcas"] = [str(client_ca)]
    if htpasswd is not None:
        need("htpasswd")
        users = folder / "htpasswd"
        users.touch()
        for name, password in htpasswd.items():
            subprocess.run(
                ["htpasswd", "-iB", "-C", "4", str(users), name],
                input=password.encode(), check=True, capture_output=True,
            )  # fmt: skip
        configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(users)}}
    if token is not None:
        configuration["auth"] = {
            "token": {
                "realm": token.realm,
                "service": token.service,
                "issuer": token.issuer,
                "rootcertbundle": str(token.certificate),
            }
        }
    if proxy is not None:
        configuration["proxy"] = {"remoteurl": proxy}
    file = folder / "config.yml"
    file.write_text(json.dumps(configuration))  # JSON is YAML
    with (folder / "registry.log").open("ab") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(file)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            env={**os.environ, "OTEL_TRACES_EXPORTER": "none", **(environment or {})},
        )  # fmt: skip
    started = DockerRegistry(port, folder, process, authority)
    try:
        _wait_for(port, process, lambda: started.log)
        yield started
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Any) -> None:
    deadline = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5):
            return
        if process.poll() is not None:
            raise AssertionError(f"{process.args} ended with {process.returncode}\n{log()}")
        if time.monotonic() > deadline:
            raise AssertionError(f"{process.args} does not listen\n{log()}")
        time.sleep(0.02)


@contextlib.contextmanager
def nginx(folder: Path, upstream: str, *, tls: Authority | None = None, extra: str = "") -> Any:
    """An nginx before ``upstream`` (a URL); gives its ``host:port``. ``extra`` goes into its
    location block: ``limit_rate 100k;``, ``client_max_body_size 1m;``..."""
    need("nginx")
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    listen = f"listen 127.0.0.1:{port};"
    if tls is not None:
        certificate, key = tls.issue("nginx")
        listen = (
            f"listen 127.0.0.1:{port} ssl; ssl_certificate {certificate};"
            f" ssl_certificate_key {key};"
        )
    temporary = " ".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"""
        daemon off; master_process off; worker_processes 1;
        pid {folder}/nginx.pid; error_log {folder}/error.log;
        events {{ worker_connections 64; }}
        http {{
            access_log off; {temporary}
            server {{
                {listen}
                client_max_body_size 0;
                location / {{
                    proxy_pass {upstream}; proxy_http_version 1.1; proxy_buffering off;
                    proxy_request_buffering off; proxy_set_header Host $http_host;
                    {extra}
                }}
            }}
        }}
        """
    )
    process = subprocess.Popen(
        [_which("nginx") or "nginx", "-p", str(folder), "-c", "nginx.conf", "-e", "error.log"],
        cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=(folder / "stderr.log").open("ab"), start_new_session=True,
    )  # fmt: skip
    try:
        _wait_for(port, process, lambda: (folder / "error.log").read_text(errors="replace"))
        yield f"127.0.0.1:{port}"
    finally:
        _end(process)


class Cutting:
    """A TCP proxy that breaks connections at random bytes.

    ``cuts`` counts those broken, ``connections`` all. ``budget`` cuts are made at most; then
    the line is good. Every second cut is a reset, the others an early end.
    """

    def __init__(
        self,
        upstream: str,
        *,
        seed: int = 1,
        least: int = 1,
        most: int = 1 << 20,
        budget: int = 20,
        both_ways: bool = False,
    ) -> None:
        host, _, port = upstream.rpartition("://")[2].rpartition(":")
        self._upstream = (host.strip("[]"), int(port))
        self._random = random.Random(seed)
        self._range = (least, most)
        self.budget = budget
        self._both_ways = both_ways
        self.cuts = 0
        self.connections = 0
        self.passed_bytes = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        self._listener.close()
        with self._lock:
            for sock in list(self._open):
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._upstream, 30)
        except OSError:
            client.close()
            return
        server.settimeout(None)
        with self._lock:
            self.connections += 1
            self._open |= {client, server}
            limit = self._random.randint(*self._range)
        counted = [limit]
        up = threading.Thread(
            target=self._relay,
            args=(client, server, client, counted if self._both_ways else None),
            daemon=True,
        )
        up.start()
        self._relay(server, client, client, counted)
        up.join()
        with self._lock:
            self._open -= {client, server}
        client.close()
        server.close()

    def _relay(
        self,
        source: socket.socket,
        target: socket.socket,
        client: socket.socket,
        left: list[int] | None,
    ) -> None:
        try:
            while chunk := source.recv(65536):
                if left is not None and len(chunk) >= left[0] and self._may_cut():
                    with contextlib.suppress(OSError):
                        target.sendall(chunk[: left[0]])
                    self._cut(client, source, target)
                    return
                if left is not None:
                    left[0] = max(1, left[0] - len(chunk))
                target.sendall(chunk)
                with self._lock:
                    self.passed_bytes += len(chunk)
        except OSError:
            pass
        for sock, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
            with contextlib.suppress(OSError):
                sock.shutdown(how)

    def _may_cut(self) -> bool:
        with self._lock:
            if self.cuts >= self.budget:
                return False
            self.cuts += 1
            return True

    def _cut(self, client: socket.socket, source: socket.socket, target: socket.socket) -> None:
        if self.cuts % 2:
            # A reset: the kernel sends it when a socket that lingers for 0 s is closed.
            with contextlib.suppress(OSError):
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def cutting(upstream: str, **options: Any) -> Iterator[Cutting]:
    """A line to ``upstream`` (``host:port`` or URL) that breaks; see ``Cutting``."""
    proxy = Cutting(upstream, **options)
    try:
        yield proxy
    finally:
        proxy.close()


def answers(url: str) -> int:
    """The status of a GET, errors included (for tests' own questions)."""
    try:
        with urllib.request.urlopen(url, timeout=30) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        return error.code
