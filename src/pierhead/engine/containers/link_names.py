"""Legacy links as text: how they are written, and the variables that they stand for. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pierhead.engine.config import HostConfig

_BRIDGE: Final = "bridge"


def split(link: str) -> tuple[str, str]:
    """``other:alias``, ``other``, ``/other:/this/alias`` → (other, alias)."""
    target, _, alias = link.partition(":")
    target = target.strip("/")
    return target, alias.rsplit("/", 1)[-1] or target


def are_legacy(host: HostConfig) -> bool:
    """Whether the links of this configuration are those of the default bridge."""
    return bool(host.links) and host.network_mode in ("", "default", _BRIDGE)


def link_variables(
    name: str, address: str, env: Iterable[str], exposed: Iterable[str]
) -> list[str]:
    """What Docker's links told about the container at ``address``. Pure.

    ``name``: ``/this/alias``; ``env`` and ``exposed`` ("80/tcp") are the other's.
    """
    alias = name.rsplit("/", 1)[-1].upper().replace("-", "_")
    ports = sorted({_port(text) for text in exposed}, key=lambda port: (port[1] != "tcp", *port))
    found = []
    if ports:
        number, protocol = ports[0]
        found.append(f"{alias}_PORT={protocol}://{address}:{number}")
    for number, protocol in ports:
        prefix = f"{alias}_PORT_{number}_{protocol.upper()}"
        found += [
            f"{prefix}={protocol}://{address}:{number}",
            f"{prefix}_ADDR={address}",
            f"{prefix}_PORT={number}",
            f"{prefix}_PROTO={protocol}",
        ]
    for first, last, protocol in _ranges(ports):
        prefix = f"{alias}_PORT_{first}_{protocol.upper()}"
        found += [
            f"{prefix}_START={protocol}://{address}:{first}",
            f"{prefix}_PORT_START={first}",
            f"{prefix}_END={protocol}://{address}:{last}",
            f"{prefix}_PORT_END={last}",
        ]
    found.append(f"{alias}_NAME={name}")
    for entry in env:
        key, equals, value = entry.partition("=")
        if equals and key not in ("HOME", "PATH"):
            found.append(f"{alias}_ENV_{key}={value}")
    return found


def _port(text: str) -> tuple[int, str]:
    number, _, protocol = text.partition("/")
    return int(number.partition("-")[0]), protocol.lower() or "tcp"


def _ranges(ports: list[tuple[int, str]]) -> list[tuple[int, int, str]]:
    """Runs of consecutive numbers of one protocol, two long at least."""
    runs: list[tuple[int, int, str]] = []
    for number, protocol in ports:
        if runs and runs[-1][1:] == (number - 1, protocol):
            runs[-1] = (runs[-1][0], number, protocol)
        else:
            runs.append((number, number, protocol))
    return [run for run in runs if run[1] > run[0]]
