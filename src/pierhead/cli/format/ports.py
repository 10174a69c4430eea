"""The PORTS column: ``0.0.0.0:8080->80/tcp, 443/tcp``, ranges put together."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _join(address: str, port: str) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _group(key: str, first: int, last: int) -> str:
    address, slash, kind = key.rpartition("/")
    span = str(first) if first == last else f"{first}-{last}"
    if slash:
        span = f"{_join(address, span)}->{span}"
    return f"{span}/{kind}"


def _order(port: dict[str, Any]) -> tuple[int, str, int, str]:
    return (
        port.get("PrivatePort", 0),
        port.get("IP") or "",
        port.get("PublicPort") or 0,
        port.get("Type") or "",
    )


def display_ports(ports: list[dict[str, Any]] | None) -> str:
    """The text for the ``Ports`` of an element of ``GET /containers/json``.

    A port published under its own number, or not published, joins its
    neighbours in a range; one published under another number stands alone.
    """
    groups: dict[str, tuple[int, int]] = {}
    result: list[str] = []
    mappings: list[str] = []
    for port in sorted(ports or (), key=_order):
        current = int(port.get("PrivatePort", 0))
        kind = port.get("Type") or ""
        address = port.get("IP") or ""
        key = kind
        if address:
            public = int(port.get("PublicPort") or 0)
            if public != current:
                mappings.append(f"{_join(address, str(public))}->{current}/{kind}")
                continue
            key = f"{address}/{kind}"
        span = groups.get(key)
        if span is None:
            groups[key] = (current, current)
        elif current == span[1] + 1:
            groups[key] = (span[0], current)
        else:
            result.append(_group(key, *span))
            groups[key] = (current, current)
    result += [_group(key, *span) for key, span in groups.items()]
    return ", ".join(result + mappings)
