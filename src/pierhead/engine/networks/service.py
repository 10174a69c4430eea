"""Networks and the network side of containers: the room's public face.

``registry`` keeps the records, ``endpoints`` who is where, ``sandboxes`` does what a
start, an exit, a connect or a disconnect needs, ``bridges`` talks to the kernel.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Interface
from typing import Any, Final

import msgspec

from pierhead.engine.config import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
)
from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.networks import describe, validate
from pierhead.engine.networks.bridges import Bridges
from pierhead.engine.networks.endpoints import Endpoint
from pierhead.engine.networks.ipam import DEFAULT_POOLS
from pierhead.engine.networks.model import (
    BRIDGE,
    HOST,
    IPAM,
    NONE,
    OPTION_BIND_ADDRESS,
    OPTION_BRIDGE_NAME,
    OPTION_DEFAULT_BRIDGE,
    OPTION_ICC,
    OPTION_MASQUERADE,
    OPTION_MTU,
    PREDEFINED,
    ContainerDirectory,
    ContainerLike,
    IPAMConfig,
    NetworkCreate,
    NetworkRecord,
    Sandbox,
    SandboxRequest,
)
from pierhead.engine.networks.registry import NetworkRegistry
from pierhead.engine.networks.sandboxes import Sandboxes
from pierhead.engine.settings import Settings
from pierhead.errors import Conflict, Forbidden, Internal, InvalidParameter, NotFound, PierError
from pierhead.store.database import Database
from pierhead.store.paths import Paths

log = logging.getLogger(__name__)

RECHECK_S: Final = 5.0

Objects = list[dict[str, Any]]
Names = list[str]


class NetworkService:
    """All networks of one pierd. Use from the event loop's thread."""

    def __init__(self, *, db: Database, paths: Paths, settings: Settings, events: EventBus) -> None:
        self._paths = paths
        self._settings = settings
        self._events = events
        self._registry = NetworkRegistry(db)
        self._bridges = Bridges(settings)
        self.containers: ContainerDirectory | None = None  # set by the wiring
        self._checked_s = 0.0
        self._sandboxes = Sandboxes(
            settings=settings,
            events=events,
            registry=self._registry,
            bridges=self._bridges,
            directory=self._directory,
        )

    def _directory(self) -> ContainerDirectory:
        if self.containers is None:
            raise Internal("the network room was not wired to the containers")
        return self.containers

    # -- life of the service ------------------------------------------------------------

    async def recover(self, live: Iterable[ContainerLike]) -> None:
        """Bring kernel and memory in line with the records; call once at start.

        ``live`` are the containers that run now (their status says what they were given).
        Makes the predefined networks and the bridges, rebuilds the nftables table, takes
        the ports of ``live``, removes what nobody needs. Ports of the dead are let go.
        """
        live = list(live)
        self._predefine(any(BRIDGE in container.status.networks for container in live))
        self._bridges.remove_strays({record.bridge for record in self._of_bridges()})
        self._bridges.remove_stray_tables()
        for record in self._of_bridges():
            try:
                self._bridges.up(record)
            except PierError as error:
                log.error("a network has no bridge", extra={"network": record.name}, exc_info=error)
        for container in live:
            self._sandboxes.restore(container, self._paths.container(container.id))
        self._bridges.remove_stray_ports(
            {record.bridge for record in self._of_bridges()},
            {
                endpoint.host_interface
                for attached in self._sandboxes.endpoints
                for endpoint in attached.endpoints.values()
            },
        )
        self._rebuild_table()
        await self._sandboxes.serve_dns()
        await self._pass_neighbours(self._of_bridges())

    async def _pass_neighbours(self, records: Iterable[NetworkRecord]) -> None:
        records = list(records)
        self._bridges.pass_neighbours(records)
        await self._bridges.pass_legacy_neighbours(records)

    async def close(self) -> None:
        """Let go of sockets and threads.

        Rules and bridges stay while a container runs; without any, nothing stays.
        """
        self._sandboxes.close()
        if not len(self._sandboxes.endpoints):
            self._bridges.drop_table()
            await self._pass_neighbours([])
            for record in self._of_bridges():
                self._bridges.down(record)
        self._bridges.close()

    def _of_bridges(self) -> list[NetworkRecord]:
        return [record for record in self._registry if record.driver == BRIDGE]

    def _predefine(self, bridge_in_use: bool) -> None:
        """Make the three networks that always are; the default bridge follows the settings."""
        for name, driver in ((HOST, HOST), (NONE, "null")):
            if self._registry.named(name) is None:
                self._registry.insert(
                    NetworkRecord(
                        id=secrets.token_hex(32),
                        name=name,
                        driver=driver,
                        created_ns=time.time_ns(),
                        ipam=IPAM(config=[]),
                    )
                )
        existing = self._registry.named(BRIDGE)
        if existing is None:
            self._registry.insert(self._default_bridge(None))
        elif not bridge_in_use:
            self._registry.replace(self._default_bridge(existing))

    def _default_bridge(self, existing: NetworkRecord | None) -> NetworkRecord:
        """The default bridge as the settings want it; its subnet stays if nothing is against."""
        settings = self._settings
        others = [record.subnet for record in self._of_bridges() if record.name != BRIDGE]
        host = self._bridges.networks_of_host(
            ours=[one.bridge for one in self._of_bridges()] + [settings.bridge]
        )
        config = IPAMConfig(ip_range=settings.fixed_cidr, gateway=settings.default_gateway)
        if settings.bip:
            try:
                own = IPv4Interface(settings.bip)
            except ValueError as error:
                raise InvalidParameter(f"invalid bip {settings.bip!r}: give address/prefix") from (
                    error
                )
            config = msgspec.structs.replace(
                config, subnet=str(own.network), gateway=config.gateway or str(own.ip)
            )
        elif existing is not None and not any(
            existing.subnet.overlaps(other) for other in [*others, *host]
        ):
            config = msgspec.structs.replace(config, subnet=str(existing.subnet))
        config = validate.ipam_config(
            IPAM(config=[config]), pools=self._pools(), others=others, host=host
        )
        return NetworkRecord(
            id=existing.id if existing else secrets.token_hex(32),
            name=BRIDGE,
            created_ns=existing.created_ns if existing else time.time_ns(),
            options={
                OPTION_DEFAULT_BRIDGE: "true",
                OPTION_ICC: str(settings.icc).lower(),
                OPTION_MASQUERADE: str(settings.ip_masq).lower(),
                OPTION_BIND_ADDRESS: settings.default_bind_address,
                OPTION_BRIDGE_NAME: settings.bridge,
                OPTION_MTU: str(settings.mtu),
            },
            ipam=IPAM(config=[config]),
        )

    def _pools(self) -> list[tuple[str, int]]:
        return list(self._settings.default_address_pools or DEFAULT_POOLS)

    # -- networks -----------------------------------------------------------------------

    async def create(self, request: NetworkCreate) -> tuple[str, str]:
        """Make a network; returns its id and a warning or ``""``.

        Raises ``Conflict`` for a taken name, ``InvalidParameter``, ``Forbidden``.
        """
        if self._registry.named(request.name) and request.name not in PREDEFINED:
            raise Conflict(f"network with name {request.name} already exists")
        ours = [record.bridge for record in self._of_bridges()]
        record = validate.network_record(
            request,
            network_id=secrets.token_hex(32),
            created_ns=time.time_ns(),
            pools=self._pools(),
            others=self._registry.subnets(),
            host=self._bridges.networks_of_host(ours=ours),
        )
        if record.bridge in ours:
            raise Conflict(f"the bridge {record.bridge} belongs to another network")
        self._registry.insert(record)  # first: recovery knows what a bridge is there for
        try:
            self._bridges.up(record)
            self._bridges.add_rules(record)
        except BaseException:
            self._registry.delete(record)
            self._bridges.down(record)
            raise
        await self._pass_neighbours(self._of_bridges())
        self._tell("create", record)
        return record.id, ""

    def get(self, ref: str) -> NetworkRecord:
        """By id, name or unique id prefix. Raises ``NotFound("network x not found")``."""
        return self._registry.get(ref)

    def inspect(self, ref: str, *, verbose: bool = False, scope: str = "") -> dict[str, Any]:
        """``GET /networks/{id}`` in the newest version's shape."""
        record = self._registry.get(ref)
        if scope and scope != record.scope:
            raise NotFound(f"network {ref} not found")
        result = describe.summary(record)
        result["Containers"] = {
            endpoint.container_id: describe.endpoint(
                name=endpoint.container_name,
                endpoint_id=endpoint.settings.endpoint_id,
                mac=endpoint.settings.mac_address,
                address=endpoint.address,
                prefix_len=endpoint.settings.ip_prefix_len,
            )
            for endpoint in self._sandboxes.endpoints.of(record.id)
            if endpoint.container_name
        }
        return result

    def list(self, filters: Filters | None = None) -> Objects:
        """``GET /networks``: inspect's shape with ``Containers`` empty, newest first."""
        records = describe.select(
            self._registry, filters or Filters(), self._sandboxes.endpoints.networks_in_use()
        )
        return [
            describe.summary(record)
            for record in sorted(records, key=lambda one: one.created_ns, reverse=True)
        ]

    async def remove(self, ref: str) -> None:
        """Raises ``Forbidden`` for predefined ones and for active endpoints, ``NotFound``."""
        record = self._registry.get(ref)
        if record.name in PREDEFINED:
            raise Forbidden(f"{record.name} is a pre-defined network and cannot be removed")
        if active := self._sandboxes.endpoints.of(record.id):
            raise Forbidden(
                f"error while removing network: network {record.name} id {record.id} has active "
                f"endpoints ({_named(active)})"
            )
        await self._remove(record)
        await self._pass_neighbours(self._of_bridges())

    async def _remove(self, record: NetworkRecord) -> None:
        self._registry.delete(record)
        self._sandboxes.dns.stop(record.id)
        self._sandboxes.endpoints.drop_pool(record)
        self._bridges.remove_rules(record)
        await asyncio.to_thread(self._bridges.down, record)
        self._tell("destroy", record)

    async def prune(self, filters: Filters | None = None) -> Names:
        """Remove user-defined networks without containers; returns their names.

        Filters: ``until``, ``label``, ``label!``.
        """
        filters = filters or Filters()
        filters.validate({"until", "label", "label!"})
        until_ns = describe.until(filters, now_ns=time.time_ns())
        in_use = self._sandboxes.endpoints.networks_in_use()
        removed = []
        for record in self._registry:
            if record.name in PREDEFINED or record.id in in_use:
                continue
            if not filters.match_labels(record.labels):
                continue
            if until_ns is not None and record.created_ns > until_ns:
                continue
            await self._remove(record)
            removed.append(record.name)
        await self._pass_neighbours(self._of_bridges())
        self._events.emit("network", "prune", "", {"reclaimed": "0"})
        return removed

    def _tell(self, action: str, record: NetworkRecord) -> None:
        self._events.emit(
            "network", action, record.id, {"name": record.name, "type": record.driver}
        )

    # -- containers ---------------------------------------------------------------------

    def plan(
        self,
        config: ContainerConfig,
        host_config: HostConfig,
        networking: NetworkingConfig | None,
    ) -> dict[str, EndpointSettings]:
        """At create: validate and say which networks the container will be in, by name.

        Normalises ``host_config.network_mode`` ("" and "default" become "bridge"). Call it
        with the user's configuration, before defaults such as the host name are filled in.
        An unknown network is no error before start, as in Docker: a 404 from create would
        make the stock client pull the image.
        """
        if host_config.network_mode in ("", "default"):
            host_config.network_mode = BRIDGE
        validate.check_mode(config, host_config)
        validate.check_mac(config.mac_address)
        wanted = [host_config.network_mode]
        if networking is not None:
            wanted += list(networking.endpoints_config or ())
        canonical = {"default": BRIDGE}
        for ref in wanted:
            try:
                canonical.setdefault(ref, self._registry.get(ref).name)
            except PierError:
                continue
        asked = validate.asked_networks(host_config.network_mode, networking, canonical)
        validate.check_bindings(config, host_config)
        for name, settings in asked.items():
            record = self._registry.named(name)
            if record is not None:
                validate.check_endpoint(record, settings)
        return asked

    async def attach(self, request: SandboxRequest) -> Sandbox:
        """At start: namespace, endpoints, ports, files. Undoes itself if it fails.

        Raises ``NotFound`` for an unknown network, ``Conflict`` for ports and addresses in
        use, ``Unavailable`` when a pool is empty.
        """
        sandbox = await self._sandboxes.attach(request)
        if sandbox.netns_fd is not None and time.monotonic() - self._checked_s > RECHECK_S:
            self._check_rules()
        return sandbox

    def _check_rules(self) -> None:
        """Notice now and then, with the next container, what others did to the rule set.

        Someone flushed it all (a reload of nftables.service does), or Docker or ufw came.
        """
        self._checked_s = time.monotonic()
        if not self._bridges.has_table():
            log.warning("our nftables table was gone")
            self._rebuild_table()
        self._bridges.pass_neighbours(self._of_bridges())

    def _rebuild_table(self) -> None:
        self._bridges.rebuild_table(
            self._of_bridges(),
            [mapping for one in self._sandboxes.endpoints for mapping in one.mappings()],
        )

    async def detach(self, container_id: str) -> None:
        """At exit: give back addresses and ports. Idempotent; the veth dies with its namespace."""
        await self._sandboxes.detach(container_id)

    async def forget(self, container_id: str) -> None:
        """At removal of a container; detaches if need be."""
        await self.detach(container_id)

    async def rename(self, container_id: str, new_name: str) -> None:
        """A container got another name: keep DNS and inspect right."""
        self._sandboxes.rename(container_id, new_name)

    def set_links(self, container_id: str, links: Sequence[str]) -> None:
        """A container's legacy links are these now: its hosts file follows if it runs."""
        self._sandboxes.set_links(container_id, links)

    async def connect(
        self, network_ref: str, container_ref: str, settings: EndpointSettings | None
    ) -> None:
        """``POST /networks/{id}/connect``: a running or stopped container joins a network."""
        record = self._registry.get(network_ref)
        container = self._directory().get(container_ref)
        asked = settings or EndpointSettings()
        _check_connectable(container, record)
        validate.check_endpoint(record, asked)
        if container.status.pid:
            given = await self._sandboxes.connect(container, record, asked)
            container.status.networks = {**container.status.networks, record.name: given}
            container.status.ports = self._sandboxes.ports_of(container)
        container.record.networks = {**container.record.networks, record.name: asked}
        self._directory().save(container)

    async def disconnect(self, network_ref: str, container_ref: str, *, force: bool) -> None:
        """``POST /networks/{id}/disconnect``."""
        record = self._registry.get(network_ref)
        try:
            container = self._directory().get(container_ref)
        except NotFound:
            if force:  # Docker's use of it: drop an endpoint whose container is gone; none here
                return
            raise
        if record.name == HOST or container.record.host_config.network_mode == HOST:
            raise InvalidParameter(
                "container cannot be disconnected from host network or connected to host network"
            )
        if record.name not in {**container.record.networks, **container.status.networks}:
            raise Conflict(f"container {container.id} is not connected to network {record.name}")
        if container.status.pid and record.name in container.status.networks:
            await self._sandboxes.disconnect(container, record)
            container.status.networks = _without(container.status.networks, record.name)
            container.status.ports = self._sandboxes.ports_of(container)
        container.record.networks = _without(container.record.networks, record.name)
        self._directory().save(container)


def _without(networks: dict[str, EndpointSettings], name: str) -> dict[str, EndpointSettings]:
    return {key: value for key, value in networks.items() if key != name}


def _named(endpoints: Iterable[Endpoint]) -> str:
    return ", ".join(
        f'name:"{one.container_name}" id:"{one.settings.endpoint_id[:12]}"' for one in endpoints
    )


def _check_connectable(container: ContainerLike, record: NetworkRecord) -> None:
    mode = container.record.host_config.network_mode
    if mode.startswith("container:"):
        raise InvalidParameter(
            "container sharing network namespace with another container or host cannot be "
            "connected to any other network"
        )
    if mode == HOST or record.name == HOST:
        raise InvalidParameter(
            "container cannot be disconnected from host network or connected to host network"
        )
    if mode == NONE or record.name == NONE:
        raise InvalidParameter(
            "container cannot be connected to multiple networks with one of the networks in "
            "private (none) mode"
        )
