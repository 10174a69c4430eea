"""The nftables side of networking, as text: one table, a published port is a map element.

The table is named after the default bridge so that two daemons do not meet in one.
Filtering happens here too: containers of different networks are kept apart, and what
comes from outside reaches a container only through a published port. ``accept`` ends
the matter only for this table; a table of somebody else's with policy drop is what
``coexist.py`` is about. Pure: returns commands for ``Nft.run``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from pierhead.engine.networks.ports import Published


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


def build_table(table: str, bridges: Iterable[BridgeRules], mappings: Iterable[Mapping]) -> str:
    """Replace the whole table in one transaction: no packet meets a half-made one."""
    lines = [
        f"add table ip {table}",
        f"delete table ip {table}",
        f"table ip {table} {{",
        # "any" is 0.0.0.0: every address of the host
        "  map published-any {",
        "    type inet_proto . inet_service : ipv4_addr . inet_service",
        "  }",
        "  map published {",
        "    type ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service",
        "  }",
        "  set bridges { type ifname; }",
        "  set same { type ifname . ifname; }",
        "  set internal { type ifname; }",
        "  set subnets { type ipv4_addr; flags interval; }",
        "  set outgoing { type ipv4_addr; flags interval; }",
        # Bridges have route_localnet, and a neighbour on the wire may try 127.0.0.1 too:
        # what is published on loopback is for the host itself.
        "  chain loopback {",
        "    type filter hook prerouting priority raw; policy accept;",
        '    iifname != "lo" ip daddr 127.0.0.0/8 drop',
        "  }",
        "  chain prerouting {",
        "    type nat hook prerouting priority dstnat; policy accept;",
        "    fib daddr type local jump publish",
        "  }",
        "  chain output {",
        "    type nat hook output priority -100; policy accept;",
        "    fib daddr type local jump publish",
        "  }",
        "  chain publish {",
        "    dnat ip to ip daddr . meta l4proto . th dport map @published",
        "    dnat ip to meta l4proto . th dport map @published-any",
        "  }",
        "  chain postrouting {",
        "    type nat hook postrouting priority srcnat; policy accept;",
        # The host itself, from whatever address, and containers that reach a published
        # port of their own network: the answer must come back through us.
        "    oifname @bridges ct status dnat fib saddr type local masquerade",
        "    oifname @bridges ct status dnat ip saddr @subnets masquerade",
        "    oifname != @bridges ip saddr @outgoing masquerade",
        "  }",
        "  chain forward {",
        "    type filter hook forward priority filter; policy accept;",
        # Only seen where br_netfilter shows bridged packets to us.
        "    iifname . oifname @same accept",
        "    iifname @internal drop",
        "    oifname @internal drop",
        "    oifname @bridges jump inbound",
        "  }",
        "  chain inbound {",
        "    ct state established,related accept",
        "    ct status dnat accept",
        "    drop",
        "  }",
        "}",
    ]
    for bridge in bridges:
        lines.append(add_bridge(table, bridge))
    lines.extend(_elements("add", table, mappings))
    return "\n".join(lines)


def add_bridge(table: str, rules: BridgeRules) -> str:
    """Commands that make the table know a bridge."""
    return "\n".join(f"add element ip {table} {item}" for item in _bridge_items(rules))


def remove_bridge(table: str, rules: BridgeRules) -> str:
    """The inverse of ``add_bridge``."""
    return "\n".join(f"delete element ip {table} {item}" for item in _bridge_items(rules))


def _bridge_items(rules: BridgeRules) -> list[str]:
    name = f'"{rules.bridge}"'
    items = [
        f"bridges {{ {name} }}",
        f"same {{ {name} . {name} }}",
        f"subnets {{ {rules.subnet} }}",
    ]
    if rules.internal:
        items.append(f"internal {{ {name} }}")
    elif rules.masquerade:
        items.append(f"outgoing {{ {rules.subnet} }}")
    return items


def add_ports(table: str, mappings: Iterable[Mapping]) -> str:
    """Commands that publish; ``""`` for none."""
    return "\n".join(_elements("add", table, mappings))


def remove_ports(table: str, mappings: Iterable[Mapping]) -> str:
    """Commands that take back; ``""`` for none."""
    return "\n".join(_elements("delete", table, mappings))


def _elements(verb: str, table: str, mappings: Iterable[Mapping]) -> list[str]:
    groups: dict[str, list[str]] = {}
    for mapping in mappings:
        published = mapping.published
        key = f"{published.port.protocol} . {published.host_port}"
        name = "published-any"
        if not published.host_ip.is_unspecified:
            name, key = "published", f"{published.host_ip} . {key}"
        value = f" : {mapping.container_ip} . {published.port.number}" if verb == "add" else ""
        groups.setdefault(name, []).append(key + value)
    return [
        f"{verb} element ip {table} {name} {{ {', '.join(items)} }}"
        for name, items in groups.items()
    ]
