"""rtnetlink and namespaces against the kernel, with pyroute2 as the witness."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator

import pytest

from pierhead.linux import namespaces, netlink

pytestmark = pytest.mark.root


@pytest.fixture
def bridge() -> Iterator[netlink.Link]:
    name = f"pt{secrets.token_hex(4)}"
    with netlink.Netlink() as host:
        link = host.ensure_bridge(name, ("198.18.77.1/24",), mac="02:42:c6:12:4d:01")
        yield link
        host.delete_link(name)
        assert host.link(name) is None


def test_a_bridge_is_made_once(bridge: netlink.Link) -> None:
    with netlink.Netlink() as host:
        again = host.ensure_bridge(bridge.name, ("198.18.77.1/24", "198.18.78.1/24"))
        assert again.index == bridge.index
        assert (again.kind, again.mac, again.up) == ("bridge", "02:42:c6:12:4d:01", True)
        found = {(entry.address, entry.prefix_len) for entry in host.addresses(bridge.index)}
        assert {("198.18.77.1", 24), ("198.18.78.1", 24)} <= found
        host.delete_address(bridge.index, "198.18.78.1/24")
        host.delete_address(bridge.index, "198.18.78.1/24")


def test_a_name_that_is_no_bridge() -> None:
    with netlink.Netlink() as host, pytest.raises(OSError, match="is no bridge"):
        host.ensure_bridge("lo")


async def test_a_container_s_network(bridge: netlink.Link) -> None:
    name = f"pv{secrets.token_hex(4)}"

    def setup(fd: int) -> None:
        with netlink.Netlink() as inner, inner.batch():
            inner.set_link(1, up=True)
            inner.set_link(2, up=True)
            inner.add_address(2, "198.18.77.2/24")
            inner.add_address(2, "fd00:77::2/64")
            inner.add_route("default", gateway="198.18.77.1")

    def look() -> tuple[list[netlink.Link], list[netlink.Address], list[netlink.Route]]:
        with netlink.Netlink() as inner:
            return inner.links(), inner.addresses(2), inner.routes(socket.AF_INET)

    fd, _ = await namespaces.create_netns()
    try:
        with netlink.Netlink() as host:
            host.add_veth(
                name,
                "eth0",
                netns_fd=fd,
                mac="02:42:c6:12:4d:02",
                master=bridge.index,
                peer_index=2,
                mtu=1400,
            )
            link = host.link(name)
            assert link is not None
            assert (link.kind, link.master, link.up, link.mtu) == ("veth", bridge.index, True, 1400)
            with pytest.raises(OSError, match="can't make the interface pair"):
                host.add_veth(name, "eth1", netns_fd=fd)
        await namespaces.run_in_netns(fd, lambda: setup(fd))
        links, addresses, routes = await namespaces.run_in_netns(fd, look)
        assert [(entry.name, entry.up) for entry in links] == [("lo", True), ("eth0", True)]
        assert links[1].mac == "02:42:c6:12:4d:02"
        assert {"198.18.77.2", "fd00:77::2"} <= {entry.address for entry in addresses}
        assert netlink.Route("default", "198.18.77.1", 2, socket.AF_INET) in routes
    finally:
        os.close(fd)


async def test_closing_the_descriptor_takes_the_interfaces_away(bridge: netlink.Link) -> None:
    name = f"pv{secrets.token_hex(4)}"
    fd, _ = await namespaces.create_netns()
    with netlink.Netlink() as host:
        host.add_veth(name, "eth0", netns_fd=fd, master=bridge.index)
        os.close(fd)
        for _ in range(1000):
            if host.link(name) is None:
                break
            await namespaces.run_in_netns(os.open("/proc/self/ns/net", os.O_RDONLY), lambda: None)
        assert host.link(name) is None


async def test_threads_come_home() -> None:
    home = os.readlink("/proc/self/ns/net")

    def where() -> str:
        return os.readlink("/proc/thread-self/ns/net")

    fd, inside = await namespaces.create_netns(lambda _fd: where())
    try:
        assert inside != home
        assert await namespaces.run_in_netns(fd, where) == inside
        with pytest.raises(ZeroDivisionError):
            await namespaces.run_in_netns(fd, lambda: 1 // 0)
        own = os.open("/proc/self/ns/net", os.O_RDONLY)
        assert await namespaces.run_in_netns(own, where) == home
        os.close(own)
    finally:
        os.close(fd)
    assert where() == home


def test_pyroute2_sees_the_same(bridge: netlink.Link) -> None:
    pyroute2 = pytest.importorskip("pyroute2")
    with pyroute2.IPRoute() as witness, netlink.Netlink() as host:
        ours = {link.index: link.name for link in host.links()}
        theirs = {entry["index"]: entry.get_attr("IFLA_IFNAME") for entry in witness.get_links()}
        assert ours == theirs


def test_an_unknown_interface_is_named() -> None:
    with netlink.Netlink() as host, pytest.raises(OSError, match="no such network interface: nope"):
        host.add_address("nope", "198.18.77.9/24")
