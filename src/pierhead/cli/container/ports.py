"""``-p`` and ``--expose``: port specifications, as go-connections' ``nat`` reads them."""

from __future__ import annotations

from pierhead.cli.flags import go_quote, is_ip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def parse_range(text: str) -> tuple[int, int]:
    """``8000`` or ``8000-8010`` as first and last. Raises ``ValueError`` with Go's text."""
    if not text:
        raise ValueError("empty string specified for ports")
    first, dash, last = text.partition("-")
    start = _port(first)
    end = _port(last) if dash else start
    if end < start:
        raise ValueError(f"invalid range specified for port: {text}")
    return start, end


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"strconv.ParseUint: parsing {go_quote(text)}: invalid syntax")
    value = int(text)
    if value > 65535:
        raise ValueError(f"strconv.ParseUint: parsing {go_quote(text)}: value out of range")
    return value


def split_protocol(text: str) -> tuple[str, str]:
    """``80/udp`` as (``80``, ``udp``); ``tcp`` when none is given."""
    port, slash, protocol = text.partition("/")
    if not port:
        return "", ""
    return port, (protocol if slash and protocol else "tcp")


def standard_notation(text: str) -> str:
    """The long form ``target=80,published=8080,protocol=tcp`` as ``8080:80/tcp``."""
    if "=" not in text:
        return text
    values = {"protocol": "tcp", "published": "", "target": ""}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise ValueError(f"invalid publish opts format (should be name=value but got '{part}')")
        values[key] = value
    return f"{values['published']}:{values['target']}/{values['protocol']}"


def parse_publish(
    specs: Sequence[str],
) -> tuple[dict[str, dict[str, Any]], dict[str, list[dict[str, str]]]]:
    """All ``-p`` values as (``ExposedPorts``, ``PortBindings``). Raises ``ValueError``."""
    exposed: dict[str, dict[str, Any]] = {}
    bindings: dict[str, list[dict[str, str]]] = {}
    for spec in [standard_notation(text) for text in specs]:
        for port, binding in _parse_one(spec):
            exposed[port] = {}
            bindings.setdefault(port, []).append(binding)
    return exposed, bindings


def _parse_one(spec: str) -> list[tuple[str, dict[str, str]]]:
    parts = spec.split(":")
    container_text = parts[-1]
    host_text = parts[-2] if len(parts) > 1 else ""
    address = ":".join(parts[:-2])
    container_text, protocol = split_protocol(container_text)
    if address.startswith("["):
        if not address.endswith("]"):
            raise ValueError(
                f"invalid IP address {address}: address {address}:: missing ']' in address"
            )
        address = address[1:-1]
    if address and not is_ip(address):
        raise ValueError(f"invalid IP address: {address}")
    if not container_text:
        raise ValueError(f"no port specified: {spec}<empty>")
    try:
        start, end = parse_range(container_text)
    except ValueError:
        raise ValueError(f"invalid containerPort: {container_text}") from None
    host_start = host_end = 0
    if host_text:
        try:
            host_start, host_end = parse_range(host_text)
        except ValueError:
            raise ValueError(f"invalid hostPort: {host_text}") from None
        # A range on the host for one port of the container means: any free one of these.
        if end - start != host_end - host_start and end != start:
            raise ValueError(
                "invalid ranges specified for container and host Ports: "
                f"{container_text} and {host_text}"
            )
    if protocol.lower() not in ("tcp", "udp", "sctp"):
        raise ValueError(f"invalid proto: {protocol}")
    result: list[tuple[str, dict[str, str]]] = []
    for offset in range(end - start + 1):
        host_port = ""
        if host_text:
            host_port = str(host_start + offset)
            if start == end and host_start != host_end:
                host_port += f"-{host_end}"
        result.append(
            (
                f"{start + offset}/{protocol.lower()}",
                {"HostIp": address, "HostPort": host_port},
            )
        )
    return result


def parse_expose(specs: Sequence[str], exposed: dict[str, dict[str, Any]]) -> None:
    """Add ``--expose`` values to ``exposed``. Raises ``ValueError``."""
    for spec in specs:
        if ":" in spec:
            raise ValueError(f"invalid port format for --expose: {spec}")
        port, protocol = split_protocol(spec)
        try:
            start, end = parse_range(port)
        except ValueError as error:
            raise ValueError(f"invalid range format for --expose: {spec}, error: {error}") from None
        for number in range(start, end + 1):
            exposed.setdefault(f"{number}/{protocol}", {})
