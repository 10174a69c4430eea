from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from pierhead.engine.networks.firewall import (
    BridgeRules,
    Mapping,
    add_bridge,
    add_ports,
    build_table,
    remove_bridge,
    remove_ports,
    table_name,
)
from pierhead.engine.networks.ports import ContainerPort, Published

BRIDGE = BridgeRules("pier0", IPv4Network("172.17.0.0/16"), internal=False, masquerade=True)
INTERNAL = BridgeRules("br-1", IPv4Network("10.0.0.0/24"), internal=True, masquerade=True)


def mapping(ip: str, host_port: int, protocol: str = "tcp") -> Mapping:
    port = ContainerPort(80, protocol)
    return Mapping(Published(port, IPv4Address(ip), host_port), IPv4Address("172.17.0.2"))


def test_two_daemons_have_two_tables() -> None:
    assert table_name("pier0") == "pierhead"
    assert table_name("other0") == "pierhead_other0"


def test_the_table_is_replaced_in_one_go() -> None:
    text = build_table("t", [BRIDGE], [mapping("0.0.0.0", 8080)])
    assert text.startswith("add table ip t\ndelete table ip t\ntable ip t {")
    assert 'add element ip t bridges { "pier0" }' in text
    assert text.endswith("add element ip t published-any { tcp . 8080 : 172.17.0.2 . 80 }")


def test_loopback_is_for_the_host_alone() -> None:
    assert 'iifname != "lo" ip daddr 127.0.0.0/8 drop' in build_table("t", [], [])


def test_a_bridge_comes_and_goes() -> None:
    added = add_bridge("t", BRIDGE)
    assert "outgoing { 172.17.0.0/16 }" in added and "internal" not in added
    assert remove_bridge("t", BRIDGE) == added.replace("add element", "delete element")


def test_an_internal_network_is_not_masqueraded() -> None:
    text = add_bridge("t", INTERNAL)
    assert 'internal { "br-1" }' in text and "outgoing" not in text


def test_ports_are_grouped_by_map() -> None:
    mappings = [
        mapping("0.0.0.0", 1),
        mapping("127.0.0.1", 2, "udp"),
        mapping("0.0.0.0", 3, "sctp"),
    ]
    assert add_ports("t", mappings).splitlines() == [
        "add element ip t published-any { tcp . 1 : 172.17.0.2 . 80, sctp . 3 : 172.17.0.2 . 80 }",
        "add element ip t published { 127.0.0.1 . udp . 2 : 172.17.0.2 . 80 }",
    ]
    assert remove_ports("t", mappings).splitlines() == [
        "delete element ip t published-any { tcp . 1, sctp . 3 }",
        "delete element ip t published { 127.0.0.1 . udp . 2 }",
    ]
    assert add_ports("t", []) == ""
