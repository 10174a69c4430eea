from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from pierhead.engine.networks.ipam import (
    DEFAULT_POOLS,
    AddressPool,
    check_overlap,
    mac_for,
    next_subnet,
)
from pierhead.errors import Conflict, Forbidden, InvalidParameter, Unavailable


def net(text: str) -> IPv4Network:
    return IPv4Network(text)


def test_the_first_free_pool_is_taken() -> None:
    assert next_subnet(DEFAULT_POOLS, []) == net("172.17.0.0/16")
    assert next_subnet(DEFAULT_POOLS, [net("172.17.0.0/16")]) == net("172.18.0.0/16")


def test_what_the_host_uses_is_skipped() -> None:
    taken = [net("172.16.0.0/12"), net("192.168.1.0/24")]
    assert next_subnet(DEFAULT_POOLS, taken) == net("192.168.16.0/20")


def test_no_pool_left() -> None:
    with pytest.raises(Unavailable, match="could not find an available, non-overlapping"):
        next_subnet([("10.0.0.0/24", 24)], [net("10.0.0.0/8")])


def test_a_pool_smaller_than_its_size_is_one_subnet() -> None:
    assert next_subnet([("10.0.0.0/24", 16)], []) == net("10.0.0.0/24")


def test_overlap_is_dockers_error() -> None:
    with pytest.raises(Forbidden, match="Pool overlaps with other one on this address space"):
        check_overlap(net("10.1.0.0/16"), [net("10.0.0.0/8")])
    check_overlap(net("10.1.0.0/16"), [net("11.0.0.0/8")])


def pool(subnet: str = "10.0.0.0/29", ip_range: str | None = None) -> AddressPool:
    return AddressPool(
        net(subnet),
        ip_range=net(ip_range) if ip_range else None,
        reserved=[net(subnet).network_address + 1],
    )


def test_addresses_come_in_order_and_come_back() -> None:
    one = pool()
    given = [str(one.take()) for _ in range(3)]
    assert given == ["10.0.0.2", "10.0.0.3", "10.0.0.4"]
    one.give_back(IPv4Address("10.0.0.3"))
    one.give_back(IPv4Address("10.0.0.3"))
    assert [str(one.take()) for _ in range(2)] == ["10.0.0.3", "10.0.0.5"]


def test_an_empty_pool() -> None:
    one = pool()
    for _ in range(5):
        one.take()
    with pytest.raises(Unavailable, match="no available IPv4 addresses"):
        one.take()


def test_never_twice() -> None:
    one = pool("10.0.0.0/24")
    asked = one.take(IPv4Address("10.0.0.2"))
    one.reserve(IPv4Address("10.0.0.3"))
    given = {one.take() for _ in range(250)}
    assert len(given) == 250
    assert asked not in given and IPv4Address("10.0.0.3") not in given
    assert not given & {IPv4Address(f"10.0.0.{n}") for n in (0, 1, 255)}


def test_a_wish_that_can_not_be() -> None:
    one = pool()
    one.take(IPv4Address("10.0.0.4"))
    with pytest.raises(Conflict, match="Address already in use"):
        one.take(IPv4Address("10.0.0.4"))
    with pytest.raises(Conflict):
        one.take(IPv4Address("10.0.0.1"))
    with pytest.raises(InvalidParameter, match="does not belong to any"):
        one.take(IPv4Address("10.9.0.4"))


def test_a_range_within_the_subnet() -> None:
    one = pool("10.0.0.0/24", "10.0.0.128/30")
    assert [str(one.take()) for _ in range(4)] == [f"10.0.0.{n}" for n in (128, 129, 130, 131)]
    with pytest.raises(Unavailable):
        one.take()
    assert one.take(IPv4Address("10.0.0.5")), "asked for by name, outside of the range"


def test_mac_follows_the_address() -> None:
    assert mac_for(IPv4Address("172.17.0.2")) == "02:42:ac:11:00:02"
