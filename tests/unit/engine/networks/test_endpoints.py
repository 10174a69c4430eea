from __future__ import annotations

from ipaddress import IPv4Address
from pathlib import Path

from pierhead.engine.config import EndpointSettings
from pierhead.engine.networks.endpoints import Attached, Endpoint, Endpoints
from pierhead.engine.networks.model import IPAM, IPAMConfig, NetworkRecord
from pierhead.engine.networks.ports import ContainerPort, Published


def network(name: str, octet: int, **given: bool) -> NetworkRecord:
    config = IPAMConfig(subnet=f"10.0.{octet}.0/24", gateway=f"10.0.{octet}.1")
    return NetworkRecord(
        id=f"{octet:064x}", name=name, created_ns=1, ipam=IPAM(config=[config]), **given
    )


WEB, DB, INNER = network("web", 1), network("db", 2), network("inner", 3, internal=True)
BRIDGE = network("bridge", 4)


def container(id_: str, name: str, **places: tuple[NetworkRecord, EndpointSettings]) -> Attached:
    attached = Attached(
        container_id=id_ * 64, name=name, hostname=name, domainname="", directory=Path("/"), mode=""
    )
    for number, (net, settings) in enumerate(places.values()):
        attached.endpoints[net.name] = Endpoint(
            network=net,
            container_id=attached.container_id,
            container_name=name,
            settings=settings,
            address=net.subnet.network_address + 2 + int(id_, 16) + number,
        )
    return attached


def everybody() -> Endpoints:
    endpoints = Endpoints()
    endpoints.add(container("a", "front", x=(WEB, EndpointSettings(aliases=["www", "Site"]))))
    endpoints.add(
        container(
            "b",
            "app",
            x=(WEB, EndpointSettings(links=["front:balancer"])),
            y=(DB, EndpointSettings()),
        )
    )
    endpoints.add(container("c", "pg", x=(DB, EndpointSettings(aliases=["shared"]))))
    endpoints.add(container("d", "pg2", x=(DB, EndpointSettings(aliases=["shared"]))))
    endpoints.add(container("e", "old", x=(BRIDGE, EndpointSettings())))
    return endpoints


def ask(endpoints: Endpoints, asker: str, name: str) -> list[str] | None:
    attached = endpoints.get(asker * 64)
    assert attached is not None
    found = endpoints.lookup(next(iter(attached.endpoints.values())), name)
    return None if found is None else [str(address) for address in found]


def test_names_aliases_and_ids() -> None:
    endpoints = everybody()
    assert ask(endpoints, "b", "front") == ["10.0.1.12"]
    assert ask(endpoints, "b", "www") == ask(endpoints, "b", "site") == ["10.0.1.12"]
    assert ask(endpoints, "b", "a" * 12) == ["10.0.1.12"]
    assert ask(endpoints, "b", "front.web") == ["10.0.1.12"]
    assert ask(endpoints, "b", "front.db") is None
    assert ask(endpoints, "b", "nobody") is None


def test_names_of_all_networks_one_is_in() -> None:
    endpoints = everybody()
    assert ask(endpoints, "b", "shared") == ["10.0.2.14", "10.0.2.15"]
    assert ask(endpoints, "a", "pg") is None, "in the other network"


def test_links_are_for_one_container() -> None:
    endpoints = everybody()
    assert ask(endpoints, "b", "balancer") == ["10.0.1.12"]
    assert ask(endpoints, "a", "balancer") is None


def test_the_default_bridge_has_no_names() -> None:
    assert ask(everybody(), "e", "old") is None


def test_who_leads_outside() -> None:
    high = EndpointSettings(gw_priority=1)
    one = container("a", "x", x=(WEB, EndpointSettings()), y=(DB, EndpointSettings()))
    assert (gateway := one.gateway()) and gateway.network.name == "db", "the first by name"
    two = container("a", "x", x=(WEB, high), y=(DB, EndpointSettings()))
    assert (gateway := two.gateway()) and gateway.network.name == "web"
    assert container("a", "x", x=(INNER, high)).gateway() is None


def test_mappings() -> None:
    one = container("a", "x", x=(WEB, EndpointSettings()))
    one.published = [Published(ContainerPort(80, "tcp"), IPv4Address(0), 8080)]
    assert one.mappings() == []
    one.published_to = IPv4Address("10.0.1.2")
    assert [str(mapping.container_ip) for mapping in one.mappings()] == ["10.0.1.2"]


def test_a_pool_keeps_gateway_and_auxiliary_addresses() -> None:
    config = IPAMConfig(
        subnet="10.0.0.0/29", gateway="10.0.0.2", aux_address={"router": "10.0.0.1"}
    )
    net = NetworkRecord(id="1" * 64, name="n", created_ns=1, ipam=IPAM(config=[config]))
    endpoints = Endpoints()
    assert str(endpoints.pool(net).take()) == "10.0.0.3"
    assert str(endpoints.pool(net).take()) == "10.0.0.4"
    endpoints.drop_pool(net)
    assert str(endpoints.pool(net).take()) == "10.0.0.3"


def test_bookkeeping() -> None:
    endpoints = everybody()
    assert len(endpoints) == len(list(endpoints)) == 5
    assert endpoints.networks_in_use() == {WEB.id, DB.id, BRIDGE.id}
    found = endpoints.at(WEB.id, IPv4Address("10.0.1.12"))
    assert found is not None and found.container_name == "front"
    assert endpoints.at(WEB.id, IPv4Address("10.0.1.99")) is None
    assert found.host_interface == "veth"
    endpoints.pop("a" * 64)
    endpoints.pop("a" * 64)
    assert endpoints.get("a" * 64) is None
