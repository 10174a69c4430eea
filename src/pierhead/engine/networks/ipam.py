"""Address management: which subnet a network gets, which address a container gets.

Pure bookkeeping in memory. Nothing here is stored: the networks' subnets are in their
records and the containers' addresses in their status, from which both are told again
after a restart (``reserve``), so an address is never handed out twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from pierhead.errors import Conflict, Forbidden, InvalidParameter, Unavailable

DEFAULT_POOLS: Final[tuple[tuple[str, int], ...]] = (
    ("172.17.0.0/16", 16),
    ("172.18.0.0/16", 16),
    ("172.19.0.0/16", 16),
    ("172.20.0.0/14", 16),
    ("172.24.0.0/14", 16),
    ("172.28.0.0/14", 16),
    ("192.168.0.0/16", 20),
)
"""dockerd's ``default-address-pools`` for local networks: (base, prefix length of each)."""


def next_subnet(pools: Iterable[tuple[str, int]], taken: Iterable[IPv4Network]) -> IPv4Network:
    """The first subnet of ``pools`` that overlaps nothing in ``taken``.

    Raises ``Unavailable`` when there is none left.
    """
    used = list(taken)
    for base, size in pools:
        network = IPv4Network(base)
        for candidate in network.subnets(new_prefix=max(size, network.prefixlen)):
            if not any(candidate.overlaps(other) for other in used):
                return candidate
    raise Unavailable(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to "
        "assign to the network; remove unused networks (network prune), give a --subnet, or add "
        "default-address-pools to the daemon's configuration"
    )


def check_overlap(subnet: IPv4Network, others: Iterable[IPv4Network]) -> None:
    """Raises ``Forbidden`` in Docker's words when another network has part of ``subnet``."""
    if any(subnet.overlaps(other) for other in others):
        raise Forbidden(
            f"invalid pool request: Pool overlaps with other one on this address space: {subnet}"
        )


class AddressPool:
    """The addresses of one subnet; the lowest free one is given first, as Docker does."""

    def __init__(
        self,
        subnet: IPv4Network,
        *,
        ip_range: IPv4Network | None = None,
        reserved: Iterable[IPv4Address] = (),
    ) -> None:
        self.subnet = subnet
        within = ip_range or subnet
        self._first = int(within.network_address)
        self._last = int(within.broadcast_address)
        self._used: set[int] = {int(address) for address in reserved}
        if subnet.prefixlen < 31:  # RFC 3021: a /31 has neither of the two
            self._used |= {int(subnet.network_address), int(subnet.broadcast_address)}
        self._lowest = self._first  # nothing below is free

    def take(self, wanted: IPv4Address | None = None) -> IPv4Address:
        """Hand out ``wanted``, or the lowest free address.

        Raises ``InvalidParameter`` outside the subnet, ``Conflict`` when it is taken,
        ``Unavailable`` when the pool is empty.
        """
        if wanted is not None:
            if wanted not in self.subnet:
                raise InvalidParameter(
                    f"invalid address {wanted}: It does not belong to any of this network's "
                    f"subnets ({self.subnet})"
                )
            if int(wanted) in self._used:
                raise Conflict("Address already in use")
            self._used.add(int(wanted))
            return wanted
        number = self._lowest
        while number in self._used:
            number += 1
        if number > self._last:
            raise Unavailable(
                f"no available IPv4 addresses on this network's address pools ({self.subnet})"
            )
        self._used.add(number)
        self._lowest = number + 1
        return IPv4Address(number)

    def reserve(self, address: IPv4Address) -> None:
        """Mark an address that is in use already (recovery). Idempotent."""
        self._used.add(int(address))

    def give_back(self, address: IPv4Address) -> None:
        """Free an address. Idempotent; the gateway and its like must not come here."""
        number = int(address)
        self._used.discard(number)
        if self._first <= number < self._lowest:
            self._lowest = number


def mac_for(address: IPv4Address) -> str:
    """The locally administered MAC that goes with an address, as Docker derives it.

    A container that gets a freed address also gets its old MAC, so neighbours' ARP
    entries stay right.
    """
    return "02:42:" + ":".join(f"{byte:02x}" for byte in address.packed)
