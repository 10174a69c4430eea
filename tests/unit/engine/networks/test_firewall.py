from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from pierhead.engine.networks.firewall import (
    BridgeRules,
    Mapping,
    add_bridge,
    add_ports,
    bridge_of,
    build_table,
    drop_table,
    remove_bridge,
    remove_ports,
    table_name,
)
from pierhead.engine.networks.ports import ContainerPort, Published
from pierhead.linux.nft import Message, ifname

BRIDGE = BridgeRules("pier0", IPv4Network("172.17.0.0/16"), internal=False, masquerade=True)
INTERNAL = BridgeRules("br-1", IPv4Network("10.0.0.0/24"), internal=True, masquerade=True)


def mapping(ip: str, host_port: int, protocol: str = "tcp") -> Mapping:
    port = ContainerPort(80, protocol)
    return Mapping(Published(port, IPv4Address(ip), host_port), IPv4Address("172.17.0.2"))


def what(messages: list[Message]) -> list[str]:
    return [message.what for message in messages]


def test_two_daemons_have_two_tables() -> None:
    assert table_name("pier0") == "pierhead"
    assert table_name("other0") == "pierhead_other0"
    assert [bridge_of(table_name(bridge)) for bridge in ("pier0", "x")] == ["pier0", "x"]
    assert bridge_of("filter") is None


def test_the_table_is_replaced_in_one_go() -> None:
    done = what(build_table("t", [BRIDGE], [mapping("0.0.0.0", 8080)]))
    assert done[:3] == ["add table t", "delete table t", "add table t"]
    assert done[-1] == "add to set t published-any"
    chains = done.index("add chain t publish"), done.index("add rule t prerouting")
    assert done.index("add set t published-any") < chains[0] < chains[1]
    assert what(drop_table("t")) == done[:2]


def test_a_bridge_comes_and_goes() -> None:
    added = add_bridge("t", BRIDGE)
    names = ["bridges", "same", "subnets", "outgoing"]
    assert what(added) == [f"add to set t {name}" for name in names]
    assert what(remove_bridge("t", BRIDGE)) == [f"delete from set t {name}" for name in names]
    assert ifname("pier0") in added[0].payload


def test_an_internal_network_is_not_masqueraded() -> None:
    assert what(add_bridge("t", INTERNAL))[-1] == "add to set t internal"


def test_a_network_may_keep_its_addresses() -> None:
    rules = BridgeRules("b", IPv4Network("10.0.0.0/24"), internal=False, masquerade=False)
    assert "add to set t outgoing" not in what(add_bridge("t", rules))


def test_a_subnet_is_an_interval() -> None:
    payload = add_bridge("t", BRIDGE)[2].payload
    assert IPv4Address("172.17.0.0").packed in payload
    assert IPv4Address("172.18.0.0").packed in payload, "the end is exclusive"
    last = BridgeRules("b", IPv4Network("255.255.255.0/24"), internal=False, masquerade=False)
    assert add_bridge("t", last), "nothing comes after the last address"


def test_ports_are_grouped_by_map() -> None:
    mappings = [
        mapping("0.0.0.0", 1),
        mapping("127.0.0.1", 2, "udp"),
        mapping("0.0.0.0", 3, "sctp"),
    ]
    anywhere, somewhere = add_ports("t", mappings)
    assert anywhere.what == "add to set t published-any"
    # protocol and port, each in a register of four bytes; address and port behind it
    assert b"\x06\0\0\0\0\x01\0\0" in anywhere.payload
    assert b"\x84\0\0\0\0\x03\0\0" in anywhere.payload
    assert anywhere.payload.count(b"\xac\x11\0\x02\0\x50\0\0") == 2
    assert b"\x7f\0\0\x01\x11\0\0\0\0\x02\0\0" in somewhere.payload
    removed = remove_ports("t", mappings)
    assert b"\xac\x11\0\x02" not in removed[0].payload, "a key is enough"
    assert add_ports("t", []) == []


def test_many_ports_are_split() -> None:
    messages = add_ports("t", [mapping("0.0.0.0", port) for port in range(1, 2001)])
    assert len(messages) == 4 and all(len(message.payload) < 65536 for message in messages)
