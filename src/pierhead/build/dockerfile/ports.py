"""EXPOSE's ports: ``80``, ``80/udp``, ``8000-8010``, and Docker's odd ``ip:host:port``. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from pierhead.build.dockerfile.gotext import quote

MAX_PORT = 65535


@dataclass(frozen=True, slots=True)
class Ports:
    """One word of EXPOSE, with what the lint has to say about it."""

    exposed: tuple[str, ...]
    """``80/tcp``: one for each port of a range."""
    odd_case: bool = False
    maps: bool = False
    """It names an address or a port of the host, which EXPOSE can't mean."""


def exposed(words: Iterable[str]) -> list[str]:
    """All the ports of EXPOSE's expanded words, in order. ``ValueError`` in Docker's words."""
    return [port for word in words for port in parse(word).exposed]


def parse(word: str) -> Ports:
    """``ValueError`` in Docker's words."""
    parts = word.split(":")
    host = parts[-2] if len(parts) > 1 else ""
    address = ":".join(parts[:-2])
    port, _, protocol = parts[-1].partition("/")
    if not port:
        raise ValueError(f"invalid port: {quote(word)}: no port specified")
    if protocol.lower() not in ("", "tcp", "udp", "sctp"):
        raise ValueError(f"invalid port: {quote(word)}: invalid proto: {protocol}")
    _check_address(address)
    span = _range(port)
    if span is None:
        raise ValueError(f"invalid containerPort: {port}")
    first, last = span
    if host:
        host_span = _range(host)
        if host_span is None:
            raise ValueError(f"invalid hostPort: {host}")
        if last - first != host_span[1] - host_span[0] and last != first:
            raise ValueError(
                f"invalid ranges specified for container and host Ports: {port} and {host}"
            )
    proto = protocol.lower() or "tcp"
    return Ports(
        exposed=tuple(f"{number}/{proto}" for number in range(first, last + 1)),
        odd_case=protocol != protocol.lower(),
        maps=bool(address or host),
    )


def _check_address(address: str) -> None:
    if not address:
        return
    bare = address
    if address.startswith("["):
        if not address.endswith("]"):
            raise ValueError(
                f"invalid IP address {address}: address {address}:: missing ']' in address"
            )
        bare = address[1:-1]
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        raise ValueError(f"invalid IP address: {bare}") from None


def _range(text: str) -> tuple[int, int] | None:
    start, dash, end = text.partition("-")
    first = _number(start)
    last = _number(end) if dash else first
    if first is None or last is None or last < first:
        return None
    return first, last


def _number(text: str) -> int | None:
    digits = text.removeprefix("+")
    if not digits.isascii() or not digits.isdigit() or len(digits.lstrip("0")) > 5:
        return None
    number = int(digits)
    return number if number <= MAX_PORT else None
