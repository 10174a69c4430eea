"""Who is in which network: the endpoints of running containers, in memory.

Everything here can be told again from the containers' records and status, which is what
recovery does. No IO.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from pierhead.engine.config import EndpointSettings
from pierhead.engine.networks.firewall import Mapping
from pierhead.engine.networks.ipam import AddressPool
from pierhead.engine.networks.model import BRIDGE, NetworkRecord
from pierhead.engine.networks.names import HostsFile
from pierhead.engine.networks.ports import Published, Wish


@dataclass(kw_only=True)
class Endpoint:
    """One container in one network."""

    network: NetworkRecord
    container_id: str
    container_name: str
    settings: EndpointSettings  # what was given
    address: IPv4Address | None = None  # None in the networks host and none

    @property
    def host_interface(self) -> str:
        """The host's end of the veth: told from the endpoint's id, so it survives a restart."""
        return f"veth{self.settings.endpoint_id[:7]}"

    def names(self) -> list[str]:
        """Names that this network's members may call the container by, without duplicates."""
        names = [self.container_name, *(self.settings.aliases or ()), self.container_id[:12]]
        return list(dict.fromkeys(name.lower() for name in names if name))


@dataclass(kw_only=True)
class Attached:
    """A container with a sandbox."""

    container_id: str
    name: str
    hostname: str
    domainname: str
    directory: Path
    mode: str
    endpoints: dict[str, Endpoint] = field(default_factory=dict)  # by network name
    wishes: list[Wish] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)
    published_to: IPv4Address | None = None
    links: list[str] = field(default_factory=list)
    nameservers: list[str] = field(default_factory=list)  # --dns: where our DNS server forwards
    search: list[str] = field(default_factory=list)
    options: list[str] = field(default_factory=list)
    hosts: HostsFile = field(default_factory=HostsFile)
    quiet: bool = False  # nobody is told of it

    def gateway(self) -> Endpoint | None:
        """The endpoint that has the default route and the published ports.

        The highest priority wins, then the first name; internal networks lead nowhere.
        """
        able = [
            endpoint
            for endpoint in self.endpoints.values()
            if endpoint.network.driver == BRIDGE and not endpoint.network.internal
        ]
        if not able:
            return None
        return min(able, key=lambda one: (-one.settings.gw_priority, one.network.name))

    def mappings(self) -> list[Mapping]:
        """The map elements of the published ports."""
        if self.published_to is None:
            return []
        return [Mapping(one, self.published_to) for one in self.published]


class Endpoints:
    """All containers with a sandbox, and the address pools of the networks."""

    def __init__(self) -> None:
        self._attached: dict[str, Attached] = {}
        self._pools: dict[str, AddressPool] = {}

    def __iter__(self) -> Iterator[Attached]:
        return iter(list(self._attached.values()))

    def __len__(self) -> int:
        return len(self._attached)

    def get(self, container_id: str) -> Attached | None:
        return self._attached.get(container_id)

    def add(self, attached: Attached) -> None:
        self._attached[attached.container_id] = attached

    def pop(self, container_id: str) -> Attached | None:
        return self._attached.pop(container_id, None)

    def of(self, network_id: str) -> list[Endpoint]:
        """The endpoints in one network."""
        return [
            endpoint
            for attached in self._attached.values()
            for endpoint in attached.endpoints.values()
            if endpoint.network.id == network_id
        ]

    def networks_in_use(self) -> set[str]:
        """Ids of networks that have an endpoint."""
        return {
            endpoint.network.id
            for attached in self._attached.values()
            for endpoint in attached.endpoints.values()
        }

    def pool(self, network: NetworkRecord) -> AddressPool:
        """The address pool of a bridge network."""
        pool = self._pools.get(network.id)
        if pool is None:
            pool = self._pools[network.id] = new_pool(network)
        return pool

    def drop_pool(self, network: NetworkRecord) -> None:
        self._pools.pop(network.id, None)

    def at(self, network_id: str, address: IPv4Address) -> Endpoint | None:
        """The endpoint that has ``address`` in a network."""
        for endpoint in self.of(network_id):
            if endpoint.address == address:
                return endpoint
        return None

    def lookup(self, asker: Endpoint, name: str) -> list[IPv4Address] | None:
        """Addresses of whoever ``asker``'s container may call ``name``; None for nobody.

        Looked for in all its user-defined networks, as ``name`` and as ``name.<network>``;
        ``--link`` gives further names to this one container.
        """
        attached = self._attached.get(asker.container_id)
        places = list(attached.endpoints.values()) if attached else [asker]
        found: set[IPv4Address] = set()
        for place in places:
            if place.network.driver != BRIDGE or place.network.is_default_bridge:
                continue
            wanted = _through_links(place.settings.links or (), name)
            wanted = wanted.removesuffix("." + place.network.name.lower())
            for member in self.of(place.network.id):
                if member.address and wanted in member.names():
                    found.add(member.address)
        return sorted(found) or None


def _through_links(links: Iterable[str], name: str) -> str:
    """``--link db:database`` makes ``database`` another name for ``db``, for this one only."""
    for link in links:
        target, colon, alias = link.partition(":")
        if colon and alias.lower() == name:
            return target.lower()
    return name


def new_pool(network: NetworkRecord) -> AddressPool:
    """A pool as the network's record says, nothing handed out."""
    config = (network.ipam.config or [])[0]
    reserved = [network.gateway.ip]
    reserved += [IPv4Address(text) for text in (config.aux_address or {}).values()]
    return AddressPool(
        network.subnet,
        ip_range=IPv4Network(config.ip_range, strict=False) if config.ip_range else None,
        reserved=reserved,
    )
