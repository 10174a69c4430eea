"""The kernel's side of bridge networks: interfaces, addresses, rules, sysctls.

What to do is decided elsewhere; here it is done, with rtnetlink and one nftables table.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from pathlib import Path
from typing import Final

from pierhead.engine.networks import firewall
from pierhead.engine.networks.coexist import Neighbours
from pierhead.engine.networks.ipam import mac_for
from pierhead.engine.networks.model import (
    OPTION_ICC,
    OPTION_MASQUERADE,
    NetworkRecord,
)
from pierhead.engine.networks.ports import ContainerPort, Published
from pierhead.engine.networks.validate import boolean
from pierhead.engine.settings import Settings
from pierhead.errors import Internal, Unavailable
from pierhead.linux.netlink import Netlink
from pierhead.linux.nft import Message, Nft, NftError

log = logging.getLogger(__name__)

_SYS_NET: Final = Path("/proc/sys/net")
_BRIDGE_NETFILTER: Final = _SYS_NET / "bridge/bridge-nf-call-iptables"
_SYSCTLS: Final = (
    ("/proc/sys/net/ipv6/conf/default/disable_ipv6", b"1"),
    ("/proc/sys/net/ipv4/ip_unprivileged_port_start", b"0"),
    ("/proc/sys/net/ipv4/ping_group_range", b"0 2147483647"),
)
_IPV4: Final = 2  # AF_INET
_LOOPBACK_INDEX: Final = 1  # in every namespace, from its beginning


@dataclass(frozen=True, slots=True, kw_only=True)
class Interface:
    """One end of a veth to be made inside a container's namespace."""

    host_name: str  # the other end, in the bridge
    name: str  # "eth0"
    bridge_index: int
    address: str  # "172.17.0.2/16"
    mac: str
    mtu: int
    gateway: str  # default route, "" for none
    isolated: bool = False  # icc off: the bridge passes nothing between such ports


class Bridges:
    """Bridges and the nftables table of one pierd. Use from the event loop's thread."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._netlink = Netlink()
        self._nft = Nft() if settings.firewall else None
        self.table = firewall.table_name(settings.bridge)
        self._neighbours = None if self._nft is None else Neighbours(self._nft, self.table)
        self._mark = f"{self.table}: made by pierd"  # the alias of interfaces that are ours

    def close(self) -> None:
        self._netlink.close()
        if self._nft is not None:
            self._nft.close()

    def networks_of_host(self, *, ours: Iterable[str]) -> list[IPv4Network]:
        """Subnets that the machine's interfaces and routes use, less those of our bridges."""
        names = set(ours)
        skip = {link.index for link in self._netlink.links() if link.name in names}
        found = []
        for address in self._netlink.addresses():
            if address.family == _IPV4 and address.index not in skip:
                found.append(IPv4Network((address.address, address.prefix_len), strict=False))
        for route in self._netlink.routes(_IPV4):
            if route.index in skip or route.destination in ("default", "0.0.0.0/0"):
                continue
            with suppress(AddressValueError, NetmaskValueError, ValueError):
                found.append(IPv4Network(route.destination))
        return found

    def up(self, record: NetworkRecord) -> None:
        """Make the bridge of a network, or put an existing one right. Idempotent."""
        name = record.bridge
        try:
            link = self._netlink.ensure_bridge(
                name,
                (str(record.gateway),),
                mtu=self.mtu(record),
                # A fixed one: the kernel's choice changes with the containers on it.
                mac=mac_for(record.gateway.ip),
            )
            if not link.alias:
                self._netlink.set_link(link.index, alias=self._mark)
            elif link.alias == self._mark:
                self._drop_other_addresses(link.index, record)
        except OSError as error:
            raise Internal(f"cannot make the bridge {name}: {error}") from error
        if self._settings.ip_forward:
            _write_sysctl("ipv4/ip_forward", "1")
        # Lets connections of the host to 127.0.0.1:<published> leave through the bridge.
        _write_sysctl(f"ipv4/conf/{name}/route_localnet", "1")

    def _drop_other_addresses(self, index: int, record: NetworkRecord) -> None:
        """A bridge left from a pierd that chose another subnet keeps only ours."""
        for address in self._netlink.addresses(index):
            if address.family == _IPV4 and address.address != str(record.gateway.ip):
                self._netlink.delete_address(index, f"{address.address}/{address.prefix_len}")

    def index(self, record: NetworkRecord) -> int:
        """The number of a network's bridge, which is made again if somebody has removed it."""
        link = self._netlink.link(record.bridge)
        if link is None:
            log.warning("a bridge was gone", extra={"bridge": record.bridge})
            self.up(record)
            link = self._netlink.link(record.bridge)
        if link is None:
            raise Internal(f"the bridge {record.bridge} is gone")
        return link.index

    def down(self, record: NetworkRecord) -> None:
        """Remove the bridge of a network. Idempotent. Waits for the kernel, about 20 ms."""
        with Netlink() as netlink:
            netlink.delete_link(record.bridge)

    def remove_strays(self, wanted: Collection[str]) -> None:
        """Remove bridges of ours whose network is no more (pierd died between the two)."""
        for link in self._netlink.links():
            if link.kind == "bridge" and link.alias == self._mark and link.name not in wanted:
                log.info("removing a left-over bridge", extra={"bridge": link.name})
                self._netlink.delete_link(link.index)

    def remove_stray_tables(self) -> None:
        """Remove tables of pierds that are no more: their default bridge is gone.

        A table left behind would go on masquerading a subnet that is ours by now. A living
        pierd makes its bridge before its table.
        """
        if self._nft is None:
            return
        links = {link.name for link in self._netlink.links()}
        for table in self._nft.tables():
            bridge = firewall.bridge_of(table)
            if bridge is not None and table != self.table and bridge not in links:
                log.info("removing the table of a pierd that is gone", extra={"table": table})
                self._run(firewall.drop_table(table))

    def remove_stray_ports(self, bridges: Collection[str], wanted: Collection[str]) -> None:
        """Remove container interfaces in our ``bridges`` that are nobody's endpoint.

        Such a one stays when pierd dies between making and recording a connection.
        """
        links = self._netlink.links()
        ours = {link.index for link in links if link.name in bridges}
        for link in links:
            if link.master in ours and link.name.startswith("veth") and link.name not in wanted:
                log.info("removing a left-over interface", extra={"interface": link.name})
                self._netlink.delete_link(link.index)

    def delete_link(self, name: str) -> None:
        """Remove an interface, a veth with its peer. For a thread: waits about 20 ms."""
        with Netlink() as netlink:
            try:
                netlink.delete_link(name)
            except OSError as error:
                if error.errno != errno.ENODEV:
                    raise

    def mtu(self, record: NetworkRecord) -> int:
        return record.mtu or self._settings.mtu

    def isolated(self, record: NetworkRecord) -> bool:
        """Whether containers of the network may not talk to each other (enable_icc=false)."""
        default = self._settings.icc if record.is_default_bridge else True
        return not boolean(record.options, OPTION_ICC, default=default)

    # -- rules ------------------------------------------------------------------------

    def rules(self, record: NetworkRecord) -> firewall.BridgeRules:
        default = self._settings.ip_masq if record.is_default_bridge else True
        return firewall.BridgeRules(
            bridge=record.bridge,
            subnet=record.subnet,
            internal=record.internal,
            masquerade=boolean(record.options, OPTION_MASQUERADE, default=default),
        )

    def rebuild_table(
        self, records: Iterable[NetworkRecord], mappings: Iterable[firewall.Mapping]
    ) -> None:
        """Make the table anew from what should be."""
        self._run(
            firewall.build_table(self.table, [self.rules(record) for record in records], mappings)
        )

    def has_table(self) -> bool:
        """False when somebody has flushed the host's whole rule set."""
        if self._nft is None:
            return True
        return self._nft.has_table(self.table)

    def drop_table(self) -> None:
        """Remove the table. Idempotent."""
        self._run(firewall.drop_table(self.table))

    def add_rules(self, record: NetworkRecord) -> None:
        self._run(firewall.add_bridge(self.table, self.rules(record)))

    def remove_rules(self, record: NetworkRecord) -> None:
        with suppress(Internal):  # gone already: somebody flushed the rule set
            self._run(firewall.remove_bridge(self.table, self.rules(record)))

    def publish(self, mappings: Sequence[firewall.Mapping]) -> None:
        """One transaction for all ports of a container."""
        if mappings and self._nft is None:
            raise Unavailable("publishing ports needs the firewall: start pierd with --iptables")
        self._run(firewall.add_ports(self.table, mappings))

    def unpublish(self, mappings: Sequence[firewall.Mapping]) -> None:
        """Idempotent: elements that are gone already are no error."""
        with suppress(Internal):
            self._run(firewall.remove_ports(self.table, mappings))
            return
        for mapping in mappings:  # singly: one that is gone must not keep the others
            try:
                self._run(firewall.remove_ports(self.table, [mapping]))
            except Internal as error:
                log.warning("a published port had no rule any more", extra={"error": str(error)})

    def redirect_dns(self, address: IPv4Address, udp_port: int, tcp_port: int) -> None:
        """Lead port 53 of a bridge's address to where our DNS server could listen."""
        self.undo_redirect_dns(address, udp_port, tcp_port)  # there from before a restart
        self._run(firewall.add_ports(self.table, _dns_mappings(address, udp_port, tcp_port)))

    def undo_redirect_dns(self, address: IPv4Address, udp_port: int, tcp_port: int) -> None:
        """The inverse; idempotent."""
        with suppress(Internal):
            self._run(firewall.remove_ports(self.table, _dns_mappings(address, udp_port, tcp_port)))

    def pass_neighbours(self, records: Iterable[NetworkRecord]) -> None:
        """See that other people's FORWARD chains let these networks through (and no others)."""
        if self._neighbours is not None:
            links = {link.name for link in self._netlink.links()}
            self._neighbours.reconcile([record.bridge for record in records], links)

    async def pass_legacy_neighbours(self, records: Iterable[NetworkRecord]) -> None:
        if self._neighbours is not None:
            await self._neighbours.reconcile_legacy([record.bridge for record in records])

    def _run(self, messages: Iterable[Message]) -> None:
        if self._nft is None:
            return
        try:
            self._nft.transaction(messages)
        except NftError as error:
            raise Internal(f"nftables refused: {error}") from error


def _dns_mappings(address: IPv4Address, udp_port: int, tcp_port: int) -> list[firewall.Mapping]:
    return [
        firewall.Mapping(Published(ContainerPort(port, protocol), address, 53), address)
        for protocol, port in (("udp", udp_port), ("tcp", tcp_port))
    ]


def set_up_namespace(host: Netlink, netns_fd: int, interfaces: Sequence[Interface]) -> None:
    """Make a fresh namespace usable: ``lo``, sysctls as dockerd sets them, ``interfaces``.

    For the thread that is inside. ``/proc/sys/net`` shows the calling thread's namespace.
    IPv6 stays on for lo only: an interface without an address of ours need not ask for one.
    """
    for path, value in _SYSCTLS:
        _put(path, value)
    with Netlink() as inside:
        inside.set_link(_LOOPBACK_INDEX, up=True)
        add_interfaces(host, inside, netns_fd, interfaces)


def add_interfaces(
    host: Netlink, inside: Netlink, netns_fd: int, interfaces: Sequence[Interface]
) -> None:
    """Make ``interfaces`` in the namespace that the calling thread is in.

    ``host`` and ``inside`` are sockets of the two namespaces. The veth is created with its
    end directly in the container's namespace (moving it there costs 20 ms).
    """
    # Where br_netfilter shows bridged packets to nftables (Docker turns it on), the bridge
    # itself sends a container's packet to its own published port back where it came from.
    hairpin = bool(interfaces) and _read(_BRIDGE_NETFILTER) == "1"
    for interface in interfaces:
        host.add_veth(
            interface.host_name,
            interface.name,
            netns_fd=netns_fd,
            mac=interface.mac,
            mtu=interface.mtu,
            master=interface.bridge_index,
        )
        if interface.isolated:
            _set_port(interface.host_name, "isolated")
        if hairpin:
            _set_port(interface.host_name, "hairpin_mode")
        link = inside.link(interface.name)
        if link is None:
            raise OSError(errno.ENODEV, "the interface is gone", interface.name)
        with inside.batch():
            inside.set_link(link.index, up=True)
            inside.add_address(link.index, interface.address)
            if interface.gateway:
                inside.add_route("default", gateway=interface.gateway, link=link.index)


def _put(path: str, value: bytes) -> None:
    """Write a sysctl; a kernel without it has nothing to switch."""
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.write(fd, value)
    finally:
        os.close(fd)


def _write_sysctl(key: str, value: str) -> None:
    path = _SYS_NET / key
    try:
        with open(path, "r+") as file:
            if file.read().split() == value.split():
                return
            file.seek(0)
            file.write(value)
    except OSError as error:
        log.warning("cannot set a sysctl", extra={"path": str(path), "error": str(error)})


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _set_port(interface: str, flag: str) -> None:
    """Set a flag of a bridge port. sysfs shows the namespace it was mounted in: the host's."""
    (Path("/sys/class/net") / interface / "brport" / flag).write_text("1")
