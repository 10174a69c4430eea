from __future__ import annotations

import errno
import socket
from ipaddress import IPv4Address

import pytest

from pierhead.engine.config import PortBinding
from pierhead.engine.networks.ports import (
    ContainerPort,
    PortAllocator,
    Published,
    Wish,
    ephemeral_range,
    hold_port,
    parse_bindings,
    parse_port,
    port_map,
    published_of,
)
from pierhead.errors import Conflict, InvalidParameter, NotImplementedYet

ANY = IPv4Address("0.0.0.0")
LOOPBACK = IPv4Address("127.0.0.1")
HTTP = ContainerPort(80, "tcp")


@pytest.mark.parametrize(
    ("text", "port"),
    [("80", HTTP), ("80/tcp", HTTP), ("53/UDP", ContainerPort(53, "udp"))],
)
def test_ports(text: str, port: ContainerPort) -> None:
    assert parse_port(text) == port


@pytest.mark.parametrize("text", ["", "0", "65536", "x/tcp", "80/icmp", "-1", "١", "80/", "8 0"])
def test_no_ports(text: str) -> None:
    if text == "80/":
        assert parse_port(text) == HTTP
        return
    with pytest.raises(InvalidParameter):
        parse_port(text)


def test_bindings() -> None:
    wishes = parse_bindings(
        {
            "443/tcp": [PortBinding(host_ip="127.0.0.1", host_port="8443")],
            "80/tcp": [PortBinding(host_port="8000-8010"), PortBinding(host_port="90")],
            "53/udp": None,
        }
    )
    assert wishes == [
        Wish(ContainerPort(53, "udp"), ANY, 0, 0),
        Wish(HTTP, ANY, 90, 90),
        Wish(HTTP, ANY, 8000, 8010),
        Wish(ContainerPort(443, "tcp"), LOOPBACK, 8443, 8443),
    ]


def test_publish_all_adds_what_is_not_bound() -> None:
    wishes = parse_bindings(
        {"80/tcp": [PortBinding(host_port="1")]},
        exposed=["80/tcp", "81/tcp"],
        publish_all=True,
        default_ip="127.0.0.1",
    )
    assert wishes == [
        Wish(HTTP, LOOPBACK, 1, 1),
        Wish(ContainerPort(81, "tcp"), LOOPBACK, 0, 0),
    ]


@pytest.mark.parametrize("port", ["x", "80-", "90-80", "0-5", "70000"])
def test_bad_host_ports(port: str) -> None:
    with pytest.raises(InvalidParameter):
        parse_bindings({"80": [PortBinding(host_port=port)]})


def test_bad_host_addresses() -> None:
    with pytest.raises(InvalidParameter, match="invalid IP address: nonsense"):
        parse_bindings({"80": [PortBinding(host_ip="nonsense")]})
    with pytest.raises(NotImplementedYet, match="IPv6"):
        parse_bindings({"80": [PortBinding(host_ip="::1")]})


class Host:
    """A host whose ports ``taken`` belong to somebody."""

    def __init__(self, *taken: int) -> None:
        self.taken = set(taken)

    def __call__(self, protocol: str, host_ip: IPv4Address, host_port: int) -> object:
        if host_port in self.taken:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        return object()


def wish(first: int, last: int = 0, ip: IPv4Address = ANY) -> Wish:
    return Wish(HTTP, ip, first, last or first)


def test_a_port_is_given_once() -> None:
    ports = PortAllocator(Host(), (100, 110))
    given = ports.take(wish(80))
    assert given == Published(HTTP, ANY, 80)
    for other in (ANY, LOOPBACK):
        with pytest.raises(Conflict) as caught:
            ports.take(wish(80, ip=other))
        assert caught.value.message == f"Bind for {other}:80 failed: port is already allocated"
    ports.give_back(given)
    ports.give_back(given)
    assert ports.take(wish(80, ip=LOOPBACK))


def test_the_same_port_on_two_addresses_and_protocols() -> None:
    ports = PortAllocator(Host(), (100, 110))
    ports.take(wish(80, ip=LOOPBACK))
    ports.take(wish(80, ip=IPv4Address("10.0.0.1")))
    ports.take(Wish(ContainerPort(80, "udp"), LOOPBACK, 80, 80))


def test_a_process_of_the_host_is_told_from_a_container() -> None:
    ports = PortAllocator(Host(80), (100, 110))
    with pytest.raises(Conflict, match=r"port is already allocated .*address already in use"):
        ports.take(wish(80))


def test_a_range_gives_the_first_free_one() -> None:
    ports = PortAllocator(Host(8001), (100, 110))
    assert [ports.take(wish(8000, 8003)).host_port for _ in range(3)] == [8000, 8002, 8003]
    with pytest.raises(Conflict):
        ports.take(wish(8000, 8003))


def test_ephemeral_ports_go_round() -> None:
    ports = PortAllocator(Host(101), (100, 103))
    given = [ports.take(wish(0)) for _ in range(3)]
    assert [one.host_port for one in given] == [100, 102, 103]
    with pytest.raises(Conflict, match="all ports are allocated"):
        ports.take(wish(0))
    ports.give_back(given[1])
    assert ports.take(wish(0)).host_port == 102


def test_an_address_the_host_has_not() -> None:
    def refuse(*_: object) -> object:
        raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")

    with pytest.raises(InvalidParameter, match="the host does not have it"):
        PortAllocator(refuse, (1, 2)).take(wish(80, ip=IPv4Address("10.9.9.9")))


def test_retake_after_a_restart() -> None:
    ports = PortAllocator(Host(81), (100, 110))
    assert ports.retake(Published(HTTP, ANY, 80))
    assert not ports.retake(Published(HTTP, ANY, 81)), "a process of the host has it"
    for number in (80, 81):
        with pytest.raises(Conflict):
            ports.take(wish(number))
    ports.give_back(Published(HTTP, ANY, 81))


def test_a_held_port_keeps_others_out() -> None:
    holder = hold_port("tcp", LOOPBACK, 0)
    assert holder is not None
    number = holder.getsockname()[1]
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError):
            other.bind(("127.0.0.1", number))
            other.listen()
    with pytest.raises(OSError):
        hold_port("tcp", LOOPBACK, number)
    holder.close()


def test_a_port_in_time_wait_can_be_held() -> None:
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", 0))
        server.listen()
        number = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", number)) as client:
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first: TIME_WAIT is its
            client.recv(1)
    holder = hold_port("tcp", LOOPBACK, number)
    assert holder is not None
    holder.close()


def test_the_kernels_range() -> None:
    low, high = ephemeral_range()
    assert 0 < low < high < 65536


def test_what_inspect_shows_and_back() -> None:
    published = [Published(HTTP, ANY, 8080), Published(HTTP, LOOPBACK, 8081)]
    shown = port_map(["80/tcp", "443"], published)
    assert shown == {
        "80/tcp": [
            {"HostIp": "0.0.0.0", "HostPort": "8080"},
            {"HostIp": "127.0.0.1", "HostPort": "8081"},
        ],
        "443/tcp": None,
    }
    assert published_of(shown) == published
