"""rtnetlink, packed by hand: what container networking needs, 2 ms for a whole set-up.

A ``Netlink`` is a blocking socket in the namespace of the thread that opened it; a
request takes about 20 µs, so the event loop may call it. Requests that belong together
go out in one ``batch``. Addresses are text ("172.17.0.2/16"). Raises ``OSError`` with
the kernel's errno and a text naming the request.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    kind: str  # "bridge", "veth", "" for hardware
    mac: str
    mtu: int
    up: bool
    master: int  # index of the bridge it belongs to, 0 for none
    alias: str


@dataclass(frozen=True, slots=True)
class Address:
    index: int  # of the link
    address: str
    prefix_len: int
    family: int


@dataclass(frozen=True, slots=True)
class Route:
    destination: str  # "default" or "10.0.0.0/8"
    gateway: str
    index: int
    family: int


class Netlink:
    """One NETLINK_ROUTE socket."""

    def __init__(self) -> None:
        raise NotImplementedError

    def close(self) -> None: ...

    def __enter__(self) -> Netlink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def batch(self) -> Iterator[None]:
        """Queue the requests made inside, send them in one datagram, check all answers."""
        raise NotImplementedError

    def links(self) -> list[Link]:
        raise NotImplementedError

    def link(self, name: str) -> Link | None:
        raise NotImplementedError

    def addresses(self, index: int = 0) -> list[Address]:
        raise NotImplementedError

    def routes(self, family: int = 0) -> list[Route]:
        """Unicast routes of the main table."""
        raise NotImplementedError

    def ensure_bridge(
        self, name: str, addresses: tuple[str, ...] = (), *, mtu: int = 0, mac: str = ""
    ) -> Link:
        """Make the bridge unless it exists, with these addresses and up. Idempotent."""
        raise NotImplementedError

    def add_veth(
        self,
        name: str,
        peer: str,
        *,
        netns_fd: int,
        mac: str = "",
        mtu: int = 0,
        master: int = 0,
        up: bool = True,
    ) -> None:
        """A veth pair: ``name`` here (in the bridge ``master``), ``peer`` in ``netns_fd``.

        The peer is made directly in its namespace (moving it there later costs 20 ms); it
        carries ``mac`` and is down: bring it up from inside.
        """
        raise NotImplementedError

    def set_link(
        self,
        link: int | str,
        *,
        up: bool | None = None,
        master: int | None = None,
        mtu: int = 0,
        mac: str = "",
        name: str = "",
        alias: str = "",
        netns_fd: int | None = None,
    ) -> None:
        raise NotImplementedError

    def add_address(self, link: int | str, address: str) -> None:
        """Add "10.0.0.2/24" or an IPv6 one (without duplicate detection); fine if it is there."""
        raise NotImplementedError

    def delete_address(self, link: int | str, address: str) -> None:
        raise NotImplementedError

    def add_route(
        self, destination: str, *, gateway: str = "", link: int | str = 0, source: str = ""
    ) -> None:
        """``destination`` "default", "10.1.0.0/16" or IPv6; fine if it is there."""
        raise NotImplementedError

    def delete_route(self, destination: str, *, gateway: str = "", link: int | str = 0) -> None:
        raise NotImplementedError

    def delete_link(self, link: int | str) -> None:
        """Waits for RCU: 20 ms. A veth goes by itself with its peer's namespace."""
        raise NotImplementedError
