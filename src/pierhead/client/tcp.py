"""TCP connections to a daemon, with TLS on top where asked; imported on need."""

from __future__ import annotations

import _socket

from pierhead.client.errors import ConnectFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def open_tcp(address: str, tls: Any) -> Any:
    """Connect to ``host:port`` (default port 2375, with TLS 2376).

    Without TLS this answers a bare ``_socket.socket``. Raises ``OSError`` and
    ``ConnectFailed``.
    """
    host, colon, port = address.rpartition(":")
    if not colon or "]" in port:
        host, port = address, "2376" if tls else "2375"
    host = host.strip("[]") or "127.0.0.1"
    if tls is not None:
        import socket

        return tls(socket.create_connection((host, int(port))), host)
    last: OSError | None = None
    try:
        found = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM)
    except OSError as error:
        raise ConnectFailed(
            f"error during connect: lookup {host}: {error.strerror or error}"
        ) from error
    for family, kind, protocol, _, where in found:
        sock = _socket.socket(family, kind, protocol)
        try:
            sock.connect(where)
            sock.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
            return sock
        except OSError as error:
            sock.close()
            last = error
    raise last or OSError(f"no address for {host}")
