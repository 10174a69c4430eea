from __future__ import annotations

from ipaddress import IPv4Network
from typing import Any

import pytest

from pierhead.engine.config import (
    ContainerConfig,
    EndpointIPAMConfig,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
    PortBinding,
)
from pierhead.engine.networks.model import IPAM, IPAMConfig, NetworkCreate, NetworkRecord
from pierhead.engine.networks.validate import (
    asked_networks,
    check_bindings,
    check_endpoint,
    check_mode,
    network_record,
)
from pierhead.errors import Forbidden, InvalidParameter, NotFound, NotImplementedYet, PierError

POOLS = [("172.17.0.0/16", 16), ("172.18.0.0/16", 16)]


def record(others: tuple[str, ...] = (), host: tuple[str, ...] = (), **given: Any) -> NetworkRecord:
    return network_record(
        NetworkCreate(**{"name": "net", **given}),
        network_id="f" * 64,
        created_ns=1,
        pools=POOLS,
        others=[IPv4Network(one) for one in others],
        host=[IPv4Network(one) for one in host],
    )


def with_pool(**given: Any) -> dict[str, Any]:
    return {"ipam": IPAM(config=[IPAMConfig(**given)])}


def test_a_plain_network_gets_the_next_pool() -> None:
    made = record(others=("172.17.0.0/16",))
    assert (str(made.subnet), str(made.gateway)) == ("172.18.0.0/16", "172.18.0.1/16")
    assert (made.driver, made.bridge) == ("bridge", "br-ffffffffffff")


def test_a_name_may_have_spaces() -> None:
    assert record(name="my net").name == "my net"


def test_the_hosts_own_networks_are_avoided() -> None:
    assert str(record(host=("172.17.4.0/24",)).subnet) == "172.18.0.0/16"


def test_what_the_user_asks_is_taken_even_if_the_host_has_it() -> None:
    made = record(host=("10.0.0.0/8",), **with_pool(subnet="10.1.0.0/24", gateway="10.1.0.254"))
    assert str(made.gateway) == "10.1.0.254/24"


def test_host_bits_in_a_subnet_are_cut() -> None:
    assert str(record(**with_pool(subnet="10.1.0.7/24")).subnet) == "10.1.0.0/24"


@pytest.mark.parametrize(
    ("given", "kind", "text"),
    [
        ({"name": "bridge"}, Forbidden, "operation is not permitted on predefined bridge network"),
        ({"name": ""}, InvalidParameter, "invalid network name"),
        ({"name": " "}, InvalidParameter, "name is empty"),
        ({"name": "a/b"}, InvalidParameter, "no slash"),
        ({"name": "a\nb"}, InvalidParameter, "control character"),
        ({"name": "container:x"}, InvalidParameter, "invalid network name"),
        ({"driver": "host"}, Forbidden, 'only one instance of "host" network is allowed'),
        ({"driver": "macvlan"}, NotImplementedYet, "use bridge"),
        ({"driver": "weird"}, NotFound, 'plugin "weird" not found'),
        ({"enable_ipv6": True}, NotImplementedYet, "without --ipv6"),
        ({"enable_ipv4": False}, NotImplementedYet, "leave --ipv4 on"),
        ({"ingress": True}, NotImplementedYet, "swarm"),
        ({"config_only": True}, NotImplementedYet, "configuration-only"),
        ({"scope": "swarm"}, NotImplementedYet, "use local"),
        ({"ipam": IPAM(driver="other")}, NotImplementedYet, "IPAM driver"),
        (with_pool(subnet="fd00::/64"), NotImplementedYet, "IPv6 subnets"),
        (with_pool(subnet="nonsense"), InvalidParameter, "not an IPv4 network"),
        (with_pool(subnet="10.0.0.0/31"), InvalidParameter, "no room"),
        (with_pool(gateway="10.0.0.1"), InvalidParameter, "needs a --subnet"),
        (
            with_pool(subnet="10.0.0.0/24", gateway="10.0.1.1"),
            InvalidParameter,
            "no matching subnet for gateway 10.0.1.1",
        ),
        (
            with_pool(subnet="10.0.0.0/24", ip_range="10.0.1.0/28"),
            InvalidParameter,
            "no matching subnet for range 10.0.1.0/28",
        ),
        (
            with_pool(subnet="10.0.0.0/24", aux_address={"a": "10.0.1.9"}),
            InvalidParameter,
            "no matching subnet for aux-address 10.0.1.9",
        ),
        (with_pool(subnet="172.17.1.0/24"), Forbidden, "Pool overlaps"),
        (
            {
                "ipam": IPAM(
                    config=[IPAMConfig(subnet="10.0.0.0/24"), IPAMConfig(subnet="11.0.0.0/24")]
                )
            },
            InvalidParameter,
            "multiple subnets",
        ),
        ({"options": {"com.docker.network.driver.mtu": "x"}}, InvalidParameter, "mtu"),
        (
            {"options": {"com.docker.network.bridge.name": "much-too-long-a-name"}},
            InvalidParameter,
            "15 characters",
        ),
        (
            {"options": {"com.docker.network.bridge.enable_icc": "maybe"}},
            InvalidParameter,
            "give true or false",
        ),
        (
            {"options": {"com.docker.network.bridge.host_binding_ipv4": "x"}},
            InvalidParameter,
            "not an IPv4 address",
        ),
    ],
)
def test_what_can_not_be(given: dict[str, Any], kind: type[PierError], text: str) -> None:
    with pytest.raises(kind) as caught:
        record(others=("172.17.0.0/16",), **given)
    assert text in caught.value.message


def test_endpoints() -> None:
    net = record(**with_pool(subnet="10.0.0.0/24"))
    check_endpoint(net, EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.0.0.9")))
    for settings, text in (
        (
            EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="10.1.0.9")),
            "no configured subnet contains IP address 10.1.0.9",
        ),
        (EndpointSettings(mac_address="nonsense"), "nonsense is not a valid mac address"),
    ):
        with pytest.raises(InvalidParameter, match=text):
            check_endpoint(net, settings)
    with pytest.raises(NotImplementedYet):
        check_endpoint(net, EndpointSettings(ipam_config=EndpointIPAMConfig(ipv6_address="::1")))


def test_an_address_on_the_default_bridge_is_refused() -> None:
    bridge = NetworkRecord(id="0" * 64, name="bridge", created_ns=1)
    settings = EndpointSettings(ipam_config=EndpointIPAMConfig(ipv4_address="172.17.0.9"))
    with pytest.raises(InvalidParameter, match="supported on user defined networks only"):
        check_endpoint(bridge, settings)


@pytest.mark.parametrize(
    ("config", "host", "text"),
    [
        ({}, {"network_mode": "container:"}, "invalid container format"),
        ({"hostname": "x"}, {"network_mode": "container:c"}, "hostname and the network mode"),
        ({}, {"network_mode": "container:c", "dns": ["1.1.1.1"]}, "dns and the network mode"),
        ({}, {"network_mode": "container:c", "links": ["a"]}, "can't be used with links"),
        ({}, {"network_mode": "host", "links": ["a"]}, "can't be used with links"),
        ({}, {"network_mode": "container:c", "extra_hosts": ["a:b"]}, "host-to-IP mapping"),
        ({"mac_address": "x"}, {"network_mode": "host"}, "mac-address and the network mode"),
        (
            {},
            {"network_mode": "container:c", "publish_all_ports": True},
            "port publishing and the container type network mode",
        ),
    ],
)
def test_conflicting_options(config: dict[str, Any], host: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        check_mode(ContainerConfig(**config), HostConfig(**host))


def test_the_modes_own_network_comes_first() -> None:
    networking = NetworkingConfig(
        endpoints_config={
            "zeta": EndpointSettings(),
            "alpha": EndpointSettings(),
            "0123": EndpointSettings(aliases=["me"]),
        }
    )
    asked = asked_networks("mine", networking, {"0123": "mine"})
    assert list(asked) == ["mine", "alpha", "zeta"]
    assert asked["mine"].aliases == ["me"]
    assert list(asked_networks("bridge", None, {})) == ["bridge"]
    assert asked_networks("container:x", None, {}) == {}


@pytest.mark.parametrize("mode", ["host", "none", "container:x"])
def test_some_modes_exclude_networks(mode: str) -> None:
    networking = NetworkingConfig(endpoints_config={"net": EndpointSettings()})
    with pytest.raises(InvalidParameter, match="cannot attach both"):
        asked_networks(mode, networking, {})


def test_bad_ports_are_told_at_create() -> None:
    with pytest.raises(InvalidParameter):
        check_bindings(
            ContainerConfig(), HostConfig(port_bindings={"80/tcp": [PortBinding(host_port="x")]})
        )
    with pytest.raises(InvalidParameter):
        check_bindings(ContainerConfig(exposed_ports={"x": {}}), HostConfig())
