"""Which proxy to take, by the environment, as Go's programs (and so dockerd) read it. No IO.

``HTTP_PROXY``, ``HTTPS_PROXY``, ``NO_PROXY`` or the same in lower case. Loopback addresses
and ``localhost`` are never asked for through a proxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from pierhead.errors import InvalidParameter

_PORTS: Final = {"http": 80, "https": 443}


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy's URL (perhaps with user and password) for a request of ``url``.

    Raises ``InvalidParameter`` for a proxy of another kind than HTTP.
    """
    parts = urlsplit(url)
    name = "HTTPS_PROXY" if parts.scheme == "https" else "HTTP_PROXY"
    proxy = _variable(environment, name)
    # A CGI program's HTTP_PROXY is a client's Proxy: header.
    if not proxy or (name == "HTTP_PROXY" and "REQUEST_METHOD" in environment):
        return None
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or _PORTS.get(parts.scheme, 0)
    if _excepted(host, port, _variable(environment, "NO_PROXY")):
        return None
    if "://" not in proxy:
        proxy = f"http://{proxy}"
    scheme = urlsplit(proxy).scheme
    if scheme not in _PORTS:
        raise InvalidParameter(
            f"{name}: a proxy of the kind {scheme!r} can't be used: want http or https"
        )
    return proxy


def _variable(environment: Mapping[str, str], name: str) -> str:
    return (environment.get(name) or environment.get(name.lower()) or "").strip()


def _excepted(host: str, port: int, exceptions: str) -> bool:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        address = None
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    return any(
        _matches(entry.strip().lower(), host.lower(), address, port)
        for entry in exceptions.split(",")
    )


def _matches(
    entry: str, host: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None, port: int
) -> bool:
    if not entry:
        return False
    if entry == "*":
        return True
    if "/" in entry:
        try:
            network = ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
        return address is not None and address.version == network.version and address in network
    name, wanted = _split_port(entry)
    if wanted and wanted != str(port):
        return False
    if address is not None:
        try:
            return address == ipaddress.ip_address(name)
        except ValueError:
            return False
    if name.startswith("*."):
        name = name[1:]
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _split_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        name, _, rest = entry[1:].partition("]")
        return name, rest.removeprefix(":")
    if entry.count(":") == 1:
        name, _, port = entry.partition(":")
        return name, port
    return entry, ""
