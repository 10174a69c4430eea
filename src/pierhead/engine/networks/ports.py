"""Published ports: what was asked, parsed; and which ports of the host are taken.

A port is held by a bound socket as long as pierd lives, so that no process of the host
takes it and none that has it is shadowed; packets never reach that socket because
nftables rewrites their destination first.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from pathlib import Path
from typing import Final, Protocol

from pierhead.engine.config import PortBinding
from pierhead.errors import Conflict, InvalidParameter, NotImplementedYet

PROTOCOLS: Final = ("tcp", "udp", "sctp")
_PORT_RANGE_FILE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FALLBACK_RANGE: Final = (49153, 65535)


@dataclass(frozen=True, slots=True, order=True)
class ContainerPort:
    """``80/tcp``."""

    number: int
    protocol: str

    def __str__(self) -> str:
        return f"{self.number}/{self.protocol}"


@dataclass(frozen=True, slots=True)
class Wish:
    """One binding asked for: any port of ``first..last`` of the host; 0 is any ephemeral one."""

    port: ContainerPort
    host_ip: IPv4Address
    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Published:
    """One binding made."""

    port: ContainerPort
    host_ip: IPv4Address
    host_port: int


def parse_port(text: str) -> ContainerPort:
    """``80`` or ``80/udp``. Raises ``InvalidParameter``."""
    number, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in PROTOCOLS:
        raise InvalidParameter(
            f"invalid protocol {protocol!r} in port {text!r}: use tcp, udp or sctp"
        )
    if not number.isascii() or not number.isdigit() or not 0 < int(number) < 65536:
        raise InvalidParameter(f"invalid port specification: {text!r}")
    return ContainerPort(int(number), protocol)


def _host_range(text: str) -> tuple[int, int]:
    if text in ("", "0"):
        return 0, 0
    low, dash, high = text.partition("-")
    ends = (low, high if dash else low)
    if not all(end.isascii() and end.isdigit() and 0 < int(end) < 65536 for end in ends):
        raise InvalidParameter(f"invalid port specification: {text!r}")
    first, last = int(ends[0]), int(ends[1])
    if first > last:
        raise InvalidParameter(f"invalid port range {text!r}: the end lies before the start")
    return first, last


def parse_bindings(
    bindings: Mapping[str, list[PortBinding] | None],
    *,
    exposed: Iterable[str] = (),
    publish_all: bool = False,
    default_ip: str = "0.0.0.0",
) -> list[Wish]:
    """Everything a container wants published, in a stable order.

    Raises ``InvalidParameter`` for text that is no port or address, ``NotImplementedYet``
    for IPv6 addresses of the host.
    """
    wishes: list[Wish] = []
    for text, wanted in bindings.items():
        port = parse_port(text)
        for binding in wanted or [PortBinding()]:
            first, last = _host_range(binding.host_port)
            wishes.append(Wish(port, _host_ip(binding.host_ip or default_ip), first, last))
    if publish_all:
        asked = {parse_port(text) for text in bindings}
        for port in sorted({parse_port(text) for text in exposed} - asked):
            wishes.append(Wish(port, _host_ip(default_ip), 0, 0))
    return sorted(wishes, key=lambda wish: (wish.port, int(wish.host_ip), wish.first))


def _host_ip(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except AddressValueError:
        pass
    try:
        IPv6Address(text.strip("[]"))
    except AddressValueError as error:
        raise InvalidParameter(f"invalid IP address: {text}") from error
    raise NotImplementedYet(
        f"publishing a port on the IPv6 address {text} is not built yet: give an IPv4 address"
    )


class Holder(Protocol):
    """Takes a port of the host for real; ``OSError`` EADDRINUSE when somebody else has it."""

    def __call__(self, protocol: str, host_ip: IPv4Address, host_port: int) -> object: ...


def hold_port(protocol: str, host_ip: IPv4Address, host_port: int) -> socket.socket | None:
    """Bind a socket to the port and keep it. None where the kernel has no such protocol.

    First without SO_REUSEADDR: then no process can bind the port beside us. If that is
    refused it may be for old connections in TIME_WAIT only, which SO_REUSEADDR passes
    over; a listening socket keeps others out in that case.
    """
    kind, number = {
        "tcp": (socket.SOCK_STREAM, socket.IPPROTO_TCP),
        "udp": (socket.SOCK_DGRAM, socket.IPPROTO_UDP),
        "sctp": (socket.SOCK_STREAM, socket.IPPROTO_SCTP),
    }[protocol]
    try:
        holder = socket.socket(socket.AF_INET, kind, number)
    except OSError as error:
        if error.errno in (errno.EPROTONOSUPPORT, errno.ESOCKTNOSUPPORT):
            return None
        raise
    try:
        try:
            holder.bind((str(host_ip), host_port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE or protocol != "tcp":
                raise
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            holder.bind((str(host_ip), host_port))
            holder.listen(1)
    except BaseException:
        holder.close()
        raise
    return holder


def ephemeral_range(file: Path = _PORT_RANGE_FILE) -> tuple[int, int]:
    """The kernel's range for ports that nobody chose (ip(7)), both ends included."""
    try:
        low, high = file.read_text().split()
        return int(low), int(high)
    except (OSError, ValueError):
        return _FALLBACK_RANGE


class PortAllocator:
    """The host's ports that our containers have."""

    def __init__(self, hold: Holder = hold_port, range_: tuple[int, int] | None = None) -> None:
        self._hold = hold
        self._range = range_ or ephemeral_range()
        self._next = self._range[0]
        self._held: dict[tuple[str, int], dict[IPv4Address, object]] = {}

    def take(self, wish: Wish) -> Published:
        """Take a port that satisfies ``wish``.

        Raises ``Conflict`` ("Bind for ... failed: port is already allocated") when another
        container or a process of the host has it, or all of a range.
        """
        if wish.first == 0:
            return self._take_ephemeral(wish)
        for number in range(wish.first, wish.last + 1):
            if self._try(wish, number):
                return Published(wish.port, wish.host_ip, number)
        place = f"{wish.host_ip}:{wish.first}"
        why = ""
        if not self._is_ours(wish, wish.first):
            why = f" (listen {wish.port.protocol}4 {place}: bind: address already in use)"
        raise Conflict(f"Bind for {place} failed: port is already allocated{why}")

    def _take_ephemeral(self, wish: Wish) -> Published:
        low, high = self._range
        size = high - low + 1
        for step in range(size):
            number = low + (self._next - low + step) % size
            if self._try(wish, number):
                self._next = number + 1 if number < high else low
                return Published(wish.port, wish.host_ip, number)
        raise Conflict(f"Bind for {wish.host_ip}:0 failed: all ports are allocated")

    def _is_ours(self, wish: Wish, number: int) -> bool:
        """Whether another container has it, rather than a process of the host."""
        return any(
            wish.host_ip == other or wish.host_ip.is_unspecified or other.is_unspecified
            for other in self._held.get((wish.port.protocol, number), {})
        )

    def _try(self, wish: Wish, number: int) -> bool:
        if self._is_ours(wish, number):
            return False
        try:
            holder = self._hold(wish.port.protocol, wish.host_ip, number)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return False
            if error.errno == errno.EADDRNOTAVAIL:
                raise InvalidParameter(
                    f"failed to bind host port {wish.host_ip}:{number}/{wish.port.protocol}: "
                    "cannot assign requested address: the host does not have it"
                ) from error
            raise
        self._held.setdefault((wish.port.protocol, number), {})[wish.host_ip] = holder
        return True

    def retake(self, published: Published) -> bool:
        """After a restart: hold again what a running container has.

        False when a process of the host has taken it meanwhile; the port counts as the
        container's all the same (its packets go there).
        """
        key = (published.port.protocol, published.host_port)
        try:
            holder = self._hold(key[0], published.host_ip, published.host_port)
        except OSError:
            self._held.setdefault(key, {})[published.host_ip] = None
            return False
        self._held.setdefault(key, {})[published.host_ip] = holder
        return True

    def give_back(self, published: Published) -> None:
        """Free a port. Idempotent."""
        key = (published.port.protocol, published.host_port)
        held = self._held.get(key)
        if held is None:
            return
        holder = held.pop(published.host_ip, None)
        if isinstance(holder, socket.socket):
            holder.close()
        if not held:
            del self._held[key]

    def close(self) -> None:
        """Let go of every socket."""
        for held in self._held.values():
            for holder in held.values():
                if isinstance(holder, socket.socket):
                    holder.close()
        self._held.clear()


def port_map(
    exposed: Iterable[str], published: Iterable[Published]
) -> dict[str, list[dict[str, str]] | None]:
    """``NetworkSettings.Ports``: exposed ports that are not published are None."""
    result: dict[str, list[dict[str, str]] | None] = {
        str(parse_port(text)): None for text in exposed
    }
    for one in published:
        bindings = result.get(str(one.port)) or []
        bindings.append({"HostIp": str(one.host_ip), "HostPort": str(one.host_port)})
        result[str(one.port)] = bindings
    return result


def published_of(ports: Mapping[str, list[dict[str, str]] | None]) -> list[Published]:
    """The inverse of ``port_map``, for recovery."""
    return [
        Published(parse_port(text), IPv4Address(binding["HostIp"]), int(binding["HostPort"]))
        for text, bindings in ports.items()
        for binding in bindings or ()
    ]
