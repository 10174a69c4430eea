"""The nftables side of networking: one table, a published port is a map element.

::

    table ip pierhead
      map published-any  protocol . port           → address . port    -p 80:80
      map published      address . protocol . port → address . port    -p 127.0.0.1:80:80
      set bridges        our interfaces
      set same           bridge . bridge (only seen where br_netfilter is on)
      set internal       bridges of internal networks
      set subnets        of our networks
      set outgoing       those that are masqueraded
      chain loopback     prerouting, raw    not from lo and to 127.0.0.0/8: drop
      chain prerouting   nat                to an address of ours: jump publish
      chain output       nat                the same for the host's own connections
      chain publish                         dnat by the two maps
      chain postrouting  nat                masquerade
      chain forward      filter             internal networks; to a bridge: jump inbound
      chain inbound                         known connections and published ports only

The table is named after the default bridge so that two daemons do not meet in one.
``accept`` ends the matter only for this table; a table of somebody else's with policy
drop is what ``coexist.py`` is about. Pure: returns messages for ``Nft``.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from pierhead.engine.networks.ports import Published
from pierhead.linux import nft as nf
from pierhead.linux.nft import Element, Message

_RAW, _DSTNAT, _FILTER, _SRCNAT = -300, -100, 0, 100
_RTN_LOCAL: Final = struct.pack("=I", 2)
_CT_KNOWN: Final = 1 << 1 | 1 << 2  # established, related
_CT_DNAT: Final = 1 << 5
_SOURCE, _DESTINATION = (nf.NETWORK, 12, 4), (nf.NETWORK, 16, 4)
_DESTINATION_PORT: Final = (nf.TRANSPORT, 2, 2)
_PROTOCOLS: Final = {
    "tcp": socket.IPPROTO_TCP,
    "udp": socket.IPPROTO_UDP,
    "sctp": socket.IPPROTO_SCTP,
}


@dataclass(frozen=True, slots=True)
class BridgeRules:
    """What the table must know of one bridge network."""

    bridge: str
    subnet: IPv4Network
    internal: bool
    masquerade: bool


@dataclass(frozen=True, slots=True)
class Mapping:
    """A published port and where its packets go."""

    published: Published
    container_ip: IPv4Address


def table_name(default_bridge: str) -> str:
    """``pierhead``, or with the bridge's name for a daemon with another bridge."""
    return "pierhead" if default_bridge == "pier0" else f"pierhead_{default_bridge}"


def bridge_of(table: str) -> str | None:
    """The default bridge of the daemon that a table belongs to; None for other tables."""
    if table == "pierhead":
        return "pier0"
    return table.removeprefix("pierhead_") if table.startswith("pierhead_") else None


def drop_table(table: str) -> list[Message]:
    """Adding first makes deleting one that isn't there no error."""
    return [nf.add_table(table), nf.delete_table(table)]


def build_table(
    table: str, bridges: Iterable[BridgeRules], mappings: Iterable[Mapping]
) -> list[Message]:
    """Replace the whole table in one transaction: no packet meets a half-made one."""
    messages = [*drop_table(table), nf.add_table(table), *_sets(table), *_chains(table)]
    messages += _rules(table)
    for bridge in bridges:
        messages += add_bridge(table, bridge)
    return messages + add_ports(table, mappings)


def _sets(table: str) -> list[Message]:
    address, protocol, port = nf.TYPE_IPV4, nf.TYPE_PROTOCOL, nf.TYPE_SERVICE
    name = nf.TYPE_IFNAME
    to = (address, port)
    return [
        nf.add_set(table, "published-any", 1, (protocol, port), 8, data=to, data_bytes=8),
        nf.add_set(table, "published", 2, (address, protocol, port), 12, data=to, data_bytes=8),
        nf.add_set(table, "bridges", 3, (name,), 16, byteorder=nf.HOST_ENDIAN),
        nf.add_set(table, "same", 4, (name, name), 32),
        nf.add_set(table, "internal", 5, (name,), 16, byteorder=nf.HOST_ENDIAN),
        nf.add_set(table, "subnets", 6, (address,), 4, interval=True, byteorder=nf.BIG_ENDIAN),
        nf.add_set(table, "outgoing", 7, (address,), 4, interval=True, byteorder=nf.BIG_ENDIAN),
    ]


def _chains(table: str) -> list[Message]:
    return [
        nf.add_chain(table, "publish"),
        nf.add_chain(table, "inbound"),
        nf.add_chain(table, "loopback", kind="filter", hook=nf.PREROUTING, priority=_RAW),
        nf.add_chain(table, "prerouting", kind="nat", hook=nf.PREROUTING, priority=_DSTNAT),
        nf.add_chain(table, "output", kind="nat", hook=nf.OUTPUT, priority=_DSTNAT),
        nf.add_chain(table, "postrouting", kind="nat", hook=nf.POSTROUTING, priority=_SRCNAT),
        nf.add_chain(table, "forward", kind="filter", hook=nf.FORWARD, priority=_FILTER),
    ]


def _rules(table: str) -> list[Message]:
    accept, drop = nf.verdict(nf.ACCEPT), nf.verdict(nf.DROP)
    publish = nf.verdict(nf.JUMP, "publish")
    incoming, outgoing = nf.meta(nf.META_IIFNAME), nf.meta(nf.META_OIFNAME)
    to_us = nf.address_type(nf.FIB_DADDR) + nf.compare(_RTN_LOCAL)
    from_us = nf.address_type(nf.FIB_SADDR) + nf.compare(_RTN_LOCAL)
    to_a_bridge = outgoing + nf.lookup("bridges")
    elsewhere = outgoing + nf.lookup("bridges", no=True)
    dnatted = nf.conntrack(nf.CT_STATUS) + nf.has_bits(_CT_DNAT)
    known = nf.conntrack(nf.CT_STATE) + nf.has_bits(_CT_KNOWN)
    source = nf.payload(*_SOURCE)
    register = nf.REG32_0
    by_any = (
        nf.meta(nf.META_L4PROTO, register)
        + nf.payload(*_DESTINATION_PORT, register + 1)
        + nf.lookup("published-any", into=nf.REG_1)
    )
    by_address = (
        nf.payload(*_DESTINATION, register)
        + nf.meta(nf.META_L4PROTO, register + 1)
        + nf.payload(*_DESTINATION_PORT, register + 2)
        + nf.lookup("published", into=nf.REG_1)
    )
    dnat = nf.dnat(register, register + 1)
    loopback = nf.payload(nf.NETWORK, 16, 1) + nf.compare(b"\x7f")
    both = incoming + nf.meta(nf.META_OIFNAME, nf.REG_2)
    return [
        # Bridges have route_localnet, and a neighbour on the wire may try 127.0.0.1 too:
        # what is published on loopback is for the host itself.
        nf.add_rule(
            table, "loopback", incoming, nf.compare(nf.ifname("lo"), op=nf.NEQ), loopback, drop
        ),
        nf.add_rule(table, "prerouting", to_us, publish),
        nf.add_rule(table, "output", to_us, publish),
        nf.add_rule(table, "publish", by_address, dnat),
        nf.add_rule(table, "publish", by_any, dnat),
        # The host itself, from whatever address, and containers that reach a published
        # port of their own network: the answer must come back through us.
        nf.add_rule(table, "postrouting", to_a_bridge, dnatted, from_us, nf.masquerade()),
        nf.add_rule(
            table,
            "postrouting",
            to_a_bridge,
            dnatted,
            source,
            nf.lookup("subnets"),
            nf.masquerade(),
        ),
        nf.add_rule(
            table, "postrouting", elsewhere, source, nf.lookup("outgoing"), nf.masquerade()
        ),
        nf.add_rule(table, "forward", both, nf.lookup("same"), accept),
        nf.add_rule(table, "forward", incoming, nf.lookup("internal"), drop),
        nf.add_rule(table, "forward", outgoing, nf.lookup("internal"), drop),
        nf.add_rule(table, "forward", to_a_bridge, nf.verdict(nf.JUMP, "inbound")),
        nf.add_rule(table, "inbound", known, accept),
        nf.add_rule(table, "inbound", dnatted, accept),
        nf.add_rule(table, "inbound", drop),
    ]


def add_bridge(table: str, rules: BridgeRules) -> list[Message]:
    """Messages that make the table know a bridge."""
    return [
        message
        for name, elements in _bridge_elements(rules).items()
        for message in nf.add_elements(table, name, elements)
    ]


def remove_bridge(table: str, rules: BridgeRules) -> list[Message]:
    """The inverse of ``add_bridge``."""
    return [
        message
        for name, elements in _bridge_elements(rules).items()
        for message in nf.delete_elements(table, name, elements)
    ]


def _bridge_elements(rules: BridgeRules) -> dict[str, list[Element]]:
    name = nf.ifname(rules.bridge)
    start, end = rules.subnet.network_address, rules.subnet.broadcast_address
    subnet = [Element(start.packed)]
    if int(end) < 2**32 - 1:
        subnet.append(Element((end + 1).packed, end=True))
    sets = {"bridges": [Element(name)], "same": [Element(name + name)], "subnets": subnet}
    if rules.internal:
        sets["internal"] = [Element(name)]
    elif rules.masquerade:
        sets["outgoing"] = subnet
    return sets


def add_ports(table: str, mappings: Iterable[Mapping]) -> list[Message]:
    """Messages that publish."""
    return [
        message
        for name, elements in _port_elements(mappings).items()
        for message in nf.add_elements(table, name, elements)
    ]


def remove_ports(table: str, mappings: Iterable[Mapping]) -> list[Message]:
    """Messages that take back."""
    return [
        message
        for name, elements in _port_elements(mappings).items()
        for message in nf.delete_elements(table, name, elements)
    ]


def _port_elements(mappings: Iterable[Mapping]) -> dict[str, Sequence[Element]]:
    groups: dict[str, list[Element]] = {}
    for mapping in mappings:
        published = mapping.published
        protocol = bytes([_PROTOCOLS[published.port.protocol]])
        key = nf.padded(protocol) + nf.padded(struct.pack("!H", published.host_port))
        name = "published-any"
        if not published.host_ip.is_unspecified:
            name, key = "published", published.host_ip.packed + key
        port = nf.padded(struct.pack("!H", published.port.number))
        groups.setdefault(name, []).append(Element(key, mapping.container_ip.packed + port))
    return {**groups}
