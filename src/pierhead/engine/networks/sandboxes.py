"""The network side of a container's start, exit, connect and disconnect."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address
from pathlib import Path

import msgspec

from pierhead import tasks
from pierhead.engine.config import EndpointSettings
from pierhead.engine.events import EventBus
from pierhead.engine.networks import names, sandbox_files
from pierhead.engine.networks.bridges import (
    Bridges,
    Interface,
    add_interfaces,
    set_up_namespace,
)
from pierhead.engine.networks.dns import Asker, DnsServers
from pierhead.engine.networks.endpoints import Attached, Endpoint, Endpoints
from pierhead.engine.networks.ipam import mac_for
from pierhead.engine.networks.model import (
    BRIDGE,
    HOST,
    NONE,
    OPTION_BIND_ADDRESS,
    ContainerDirectory,
    ContainerLike,
    NetworkRecord,
    Sandbox,
    SandboxRequest,
)
from pierhead.engine.networks.ports import (
    PortAllocator,
    Published,
    parse_bindings,
    port_map,
    published_of,
)
from pierhead.engine.networks.registry import NetworkRegistry
from pierhead.engine.networks.validate import check_endpoint
from pierhead.engine.settings import Settings
from pierhead.errors import Conflict, Internal, InvalidParameter, PierError
from pierhead.linux.conntrack import forget_udp
from pierhead.linux.namespaces import create_netns, run_in_netns
from pierhead.linux.netlink import Netlink

log = logging.getLogger(__name__)


class Sandboxes:
    """Gives containers their place in the networks and takes it back."""

    def __init__(
        self,
        *,
        settings: Settings,
        events: EventBus,
        registry: NetworkRegistry,
        bridges: Bridges,
        directory: Callable[[], ContainerDirectory],
    ) -> None:
        """``directory()`` finds containers."""
        self._settings = settings
        self._events = events
        self._registry = registry
        self._bridges = bridges
        self._directory = directory
        self.endpoints = Endpoints()
        self.dns = DnsServers(self, bridges.redirect_dns, bridges.undo_redirect_dns)
        self._ports = PortAllocator()

    def close(self) -> None:
        self.dns.close()
        self._ports.close()

    # -- start ------------------------------------------------------------------------

    async def attach(self, request: SandboxRequest) -> Sandbox:
        """See ``NetworkService.attach``."""
        if request.mode.startswith("container:"):
            return _joined(request)
        await self.detach(request.container_id)  # left over from a start that failed
        attached = self._attached(request)
        self.endpoints.add(attached)
        sandbox = _sandbox(request)
        making: asyncio.Task[tuple[int, None]] | None = None
        try:
            interfaces = self._take(attached, request)
            if request.mode != HOST:
                making = tasks.spawn(create_netns(), name="network namespace")
            try:
                self._write_files(attached, request)  # while the thread makes the namespace
                await self._write_resolv_conf(attached)
            finally:
                if making is not None:
                    self._use_namespace(sandbox, await _kept(making))
            self._set_up(sandbox, interfaces)
            self._publish(attached)
        except BaseException as error:
            sandbox.release()
            self._give_back(attached)
            if isinstance(error, OSError):
                raise Internal(f"cannot set up the container's network: {error}") from error
            raise
        sandbox.networks = {name: one.settings for name, one in attached.endpoints.items()}
        if request.mode not in (HOST, NONE):
            sandbox.ports = port_map(request.exposed, attached.published)
        if not request.quiet:
            for endpoint in attached.endpoints.values():
                self._tell("connect", endpoint)
            self._refresh_links(attached)
        return sandbox

    def _attached(self, request: SandboxRequest) -> Attached:
        attached = Attached(
            container_id=request.container_id,
            name=request.name,
            hostname=request.hostname,
            domainname=request.domainname,
            directory=request.directory,
            mode=request.mode,
            quiet=request.quiet,
            links=request.links,
            nameservers=list(request.dns or self._settings.dns),
            search=list(request.dns_search or self._settings.dns_search),
            options=list(request.dns_options or self._settings.dns_options),
        )
        if request.mode not in (HOST, NONE):
            attached.wishes = parse_bindings(
                request.port_bindings,
                exposed=request.exposed,
                publish_all=request.publish_all,
                default_ip=self._bind_address(request),
            )
        return attached

    def _bind_address(self, request: SandboxRequest) -> str:
        """Where ports are published that name no address: the network may say."""
        for name in request.networks:
            network = self._registry.named(name)
            if network is not None and (address := network.options.get(OPTION_BIND_ADDRESS)):
                return address
        return self._settings.default_bind_address

    def _take(self, attached: Attached, request: SandboxRequest) -> list[Interface]:
        """Take addresses and ports; returns what is to be made in the kernel."""
        asked = dict(request.networks) or {request.mode: EndpointSettings()}
        if request.network_disabled:
            asked = {}
        for number, (name, settings) in enumerate(asked.items()):
            record = self._registry.get(name)
            if number == 0 and request.mac_address and not settings.mac_address:
                settings = msgspec.structs.replace(settings, mac_address=request.mac_address)
            self._take_endpoint(attached, record, settings)
        self._take_ports(attached)
        gateway = attached.gateway()
        return [
            self._interface(endpoint, f"eth{number}", routed=endpoint is gateway)
            for number, endpoint in enumerate(
                one for one in attached.endpoints.values() if one.address is not None
            )
        ]

    def _take_endpoint(
        self, attached: Attached, record: NetworkRecord, asked: EndpointSettings
    ) -> Endpoint:
        """Give the container an address in a network and note it."""
        check_endpoint(record, asked)
        given = msgspec.structs.replace(
            asked, network_id=record.id, endpoint_id=secrets.token_hex(32)
        )
        endpoint = Endpoint(
            network=record,
            container_id=attached.container_id,
            container_name=attached.name,
            settings=given,
        )
        if record.driver == BRIDGE:
            wanted = asked.ipam_config.ipv4_address if asked.ipam_config else ""
            pool = self.endpoints.pool(record)
            endpoint.address = pool.take(IPv4Address(wanted) if wanted else None)
            given.ip_address = str(endpoint.address)
            given.ip_prefix_len = record.subnet.prefixlen
            given.gateway = "" if record.internal else str(record.gateway.ip)
            given.mac_address = asked.mac_address or mac_for(endpoint.address)
            if not record.is_default_bridge:
                given.dns_names = endpoint.names()
        attached.endpoints[record.name] = endpoint
        return endpoint

    def _take_ports(self, attached: Attached) -> None:
        gateway = attached.gateway()
        if gateway is None or not attached.wishes:
            return
        for wish in attached.wishes:
            try:
                attached.published.append(self._ports.take(wish))
            except PierError as error:
                raise type(error)(
                    "driver failed programming external connectivity on endpoint "
                    f"{attached.name} ({gateway.settings.endpoint_id}): {error.message}"
                ) from error

    def _interface(self, endpoint: Endpoint, name: str, *, routed: bool) -> Interface:
        record, given = endpoint.network, endpoint.settings
        return Interface(
            host_name=endpoint.host_interface,
            name=name,
            bridge_index=self._bridges.index(record),
            address=f"{given.ip_address}/{given.ip_prefix_len}",
            mac=given.mac_address,
            mtu=self._bridges.mtu(record),
            gateway=given.gateway if routed else "",
            isolated=self._bridges.isolated(record),
        )

    def _use_namespace(self, sandbox: Sandbox, fd: int) -> None:
        sandbox.netns_fd = fd
        sandbox.netns_path = f"/proc/{os.getpid()}/fd/{fd}"
        sandbox.sandbox_key = sandbox.netns_path
        sandbox.on_release = lambda: os.close(fd)

    def _set_up(self, sandbox: Sandbox, interfaces: list[Interface]) -> None:
        """The interfaces come while the runtime prepares: ``Sandbox.ready`` waits for them."""
        if sandbox.netns_fd is not None:
            sandbox.setting_up = tasks.spawn(
                _set_up(os.dup(sandbox.netns_fd), interfaces), name="network interfaces"
            )

    def _publish(self, attached: Attached) -> None:
        gateway = attached.gateway()
        if gateway is None or not attached.published:
            return
        attached.published_to = gateway.address
        self._bridges.publish(attached.mappings())
        _forget_udp(attached.published)

    # -- exit -------------------------------------------------------------------------

    async def detach(self, container_id: str) -> None:
        """See ``NetworkService.detach``."""
        attached = self.endpoints.get(container_id)
        if attached is None:
            return
        endpoints = [] if attached.quiet else list(attached.endpoints.values())
        self._give_back(attached)
        for endpoint in endpoints:
            self._tell("disconnect", endpoint)

    def _give_back(self, attached: Attached) -> None:
        """Undo ``_take`` and ``_publish``, however far they came."""
        self._unpublish(attached)
        for endpoint in attached.endpoints.values():
            self._free(endpoint)
        self.endpoints.pop(attached.container_id)

    def _unpublish(self, attached: Attached) -> None:
        self._bridges.unpublish(attached.mappings())
        _forget_udp(attached.published)
        for published in attached.published:
            self._ports.give_back(published)
        attached.published = []
        attached.published_to = None

    def _free(self, endpoint: Endpoint) -> None:
        if endpoint.address is not None:
            self.endpoints.pool(endpoint.network).give_back(endpoint.address)

    # -- connect, disconnect of a running container --------------------------------------

    async def connect(
        self, container: ContainerLike, record: NetworkRecord, asked: EndpointSettings
    ) -> EndpointSettings:
        """Put a running container into one more network; returns what it was given."""
        attached = self._of(container)
        if record.name in attached.endpoints:
            raise Conflict(
                f"endpoint with name {container.name} already exists in network {record.name}"
            )
        before = attached.gateway()
        endpoint = self._take_endpoint(attached, record, asked)
        try:
            await self._enter(
                container,
                lambda name, routed: [self._interface(endpoint, name, routed=routed)],
                attached,
                before,
            )
        except BaseException as error:
            attached.endpoints.pop(record.name, None)
            self._free(endpoint)
            if isinstance(error, OSError):
                raise Internal(f"cannot connect the container: {error}") from error
            raise
        self._move_ports(attached, before)
        self._rewrite_hosts(attached)
        await self._write_resolv_conf(attached)
        self._tell("connect", endpoint)
        return endpoint.settings

    async def _enter(
        self,
        container: ContainerLike,
        interfaces: Callable[[str, bool], list[Interface]],
        attached: Attached,
        before: Endpoint | None,
    ) -> None:
        """Make an interface inside the namespace of a running container."""
        after = attached.gateway()
        routed = after is not before
        fd = os.open(f"/proc/{container.status.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with Netlink() as host:

                def work() -> None:
                    with Netlink() as inside:
                        taken = {link.name for link in inside.links()}
                        if routed and before is not None:
                            _drop_default_route(inside)
                        number = next(n for n in range(1024) if f"eth{n}" not in taken)
                        added = interfaces(f"eth{number}", routed)
                        add_interfaces(host, inside, fd, added)

                await run_in_netns(fd, work)
        finally:
            os.close(fd)

    async def disconnect(self, container: ContainerLike, record: NetworkRecord) -> None:
        """Take a running container out of a network."""
        attached = self._of(container)
        endpoint = attached.endpoints.get(record.name)
        if endpoint is None:
            raise Conflict(f"container {container.id} is not connected to network {record.name}")
        before = attached.gateway()
        del attached.endpoints[record.name]
        if endpoint.address is not None:
            await asyncio.to_thread(self._bridges.delete_link, endpoint.host_interface)
            await self._reroute(container, attached, before)
        self._free(endpoint)
        self._move_ports(attached, before)
        self._rewrite_hosts(attached)
        await self._write_resolv_conf(attached)
        self._tell("disconnect", endpoint)

    async def _reroute(
        self, container: ContainerLike, attached: Attached, before: Endpoint | None
    ) -> None:
        """Give the default route to the network that leads outside now."""
        after = attached.gateway()
        if after is None or after is before:
            return
        gateway = after.settings.gateway
        with suppress(FileNotFoundError):  # the container has just ended
            fd = os.open(f"/proc/{container.status.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:

                def work() -> None:
                    with Netlink() as inside:
                        _drop_default_route(inside)
                        inside.add_route("default", gateway=gateway)

                await run_in_netns(fd, work)
            finally:
                os.close(fd)

    def _move_ports(self, attached: Attached, before: Endpoint | None) -> None:
        """Published ports follow the endpoint that leads outside."""
        after = attached.gateway()
        if after is before:
            return
        if attached.published:
            self._bridges.unpublish(attached.mappings())
            attached.published_to = None
            if after is None:
                self._unpublish(attached)
        elif after is not None:
            self._take_ports(attached)
        self._publish(attached)

    def ports_of(self, container: ContainerLike) -> dict[str, list[dict[str, str]] | None]:
        """What is published now, for the status of a container after connect or disconnect."""
        attached = self._of(container)
        exposed = container.record.config.exposed_ports or ()
        return port_map(exposed, attached.published)

    def _of(self, container: ContainerLike) -> Attached:
        attached = self.endpoints.get(container.id)
        if attached is None:
            raise Conflict(f"container {container.name} has no network of its own")
        return attached

    # -- names ------------------------------------------------------------------------

    def rename(self, container_id: str, new_name: str) -> None:
        attached = self.endpoints.get(container_id)
        if attached is None:
            return
        attached.name = new_name
        for endpoint in attached.endpoints.values():
            endpoint.container_name = new_name
            if endpoint.settings.dns_names is not None:
                endpoint.settings.dns_names = endpoint.names()

    def set_links(self, container_id: str, links: Sequence[str]) -> None:
        attached = self.endpoints.get(container_id)
        if attached is not None:
            attached.links = list(links)
            with suppress(PierError, OSError):
                self._rewrite_hosts(attached)

    def _write_files(self, attached: Attached, request: SandboxRequest) -> None:
        default = self._registry.named(BRIDGE)
        gateway = self._settings.host_gateway_ips or [str(default.gateway.ip) if default else ""]
        attached.hosts.extra = names.parse_extra_hosts(request.extra_hosts, gateway[0])
        sandbox_files.write(sandbox_files.hostname_path(request.directory), f"{request.hostname}\n")
        self._rewrite_hosts(attached)

    async def _write_resolv_conf(self, attached: Attached) -> None:
        """Our own DNS server in user-defined networks, the given or the host's resolvers else."""
        own = ""
        for endpoint in attached.endpoints.values():
            network = endpoint.network
            if network.driver == BRIDGE and not network.is_default_bridge:
                own = await self.dns.ensure(network)
                break
        sandbox_files.write(
            sandbox_files.resolv_conf_path(attached.directory),
            names.container_resolv_conf(
                sandbox_files.host_resolv_conf(),
                nameservers=attached.nameservers,
                search=attached.search,
                options=attached.options,
                own_server=own,
                keep_loopback=attached.mode == HOST,
            ),
        )

    def asker(self, network: NetworkRecord, address: IPv4Address) -> Asker | None:
        """See ``dns.Directory``. The host itself, which has the gateway's address, may ask too."""
        endpoint = self.endpoints.at(network.id, address)
        if endpoint is None:
            if address != network.gateway.ip:
                return None
            endpoint = Endpoint(
                network=network, container_id="", container_name="", settings=EndpointSettings()
            )
        attached = self.endpoints.get(endpoint.container_id)
        upstreams: list[str] = []
        if attached is not None and attached.gateway() is not None:
            upstreams = attached.nameservers or list(sandbox_files.host_resolv_conf().nameservers)

        def reverse(wanted: IPv4Address) -> str | None:
            for place in attached.endpoints.values() if attached else [endpoint]:
                member = self.endpoints.at(place.network.id, wanted)
                if member is not None:
                    return f"{member.container_name}.{place.network.name}"
            return None

        return Asker(lambda name: self.endpoints.lookup(endpoint, name), reverse, upstreams)

    def _rewrite_hosts(self, attached: Attached) -> None:
        path = sandbox_files.hosts_path(attached.directory)
        if attached.mode == HOST:
            extra = "".join(f"{address}\t{name}\n" for name, address in attached.hosts.extra)
            sandbox_files.write(path, sandbox_files.host_hosts().rstrip("\n") + "\n" + extra)
            return
        hosts = attached.hosts
        own = names.own_names(attached.hostname, attached.domainname)
        hosts.own = [
            (str(endpoint.address), own)
            for endpoint in attached.endpoints.values()
            if endpoint.address
        ]
        hosts.links = self._link_lines(attached)
        sandbox_files.write(path, hosts.render())

    def _link_lines(self, attached: Attached) -> list[tuple[str, list[str]]]:
        """The hosts entries of ``--link`` on the default bridge; elsewhere DNS knows them."""
        if not attached.links or BRIDGE not in attached.endpoints:
            return []
        lines = []
        for link in attached.links:
            target, _, alias = link.partition(":")
            target, alias = target.strip("/"), alias.rsplit("/", 1)[-1] or target.strip("/")
            container = self._directory().get(target)
            other = self.endpoints.get(container.id)
            endpoint = other.endpoints.get(BRIDGE) if other else None
            if endpoint is None or endpoint.address is None:
                raise InvalidParameter(
                    f"Cannot link to a non running container: /{container.name} AS "
                    f"/{attached.name}/{alias}"
                )
            known_as = list(dict.fromkeys([alias, container.id[:12], container.name]))
            lines.append((str(endpoint.address), known_as))
        return lines

    def _refresh_links(self, started: Attached) -> None:
        """Whoever links to a container that started anew learns its new address."""
        for other in self.endpoints:
            if other is started or not other.links:
                continue
            ours = {started.container_id, started.name}
            if any(link.partition(":")[0].strip("/") in ours for link in other.links):
                with suppress(PierError, OSError):
                    self._rewrite_hosts(other)

    # -- recovery ---------------------------------------------------------------------

    async def serve_dns(self) -> None:
        """After recovery: containers that run already have their resolv.conf."""
        for attached in self.endpoints:
            for endpoint in attached.endpoints.values():
                network = endpoint.network
                if network.driver == BRIDGE and not network.is_default_bridge:
                    await self.dns.ensure(network)

    def restore(self, container: ContainerLike, directory: Path) -> None:
        """Remember what a container that runs was given before pierd restarted."""
        record, status = container.record, container.status
        request = SandboxRequest.of(record, directory)
        if request.mode.startswith("container:"):
            return
        attached = self._attached(request)
        gateway_ip = (self._settings.host_gateway_ips or [""])[0]
        default = self._registry.named(BRIDGE)
        with suppress(PierError):
            attached.hosts.extra = names.parse_extra_hosts(
                request.extra_hosts, gateway_ip or (str(default.gateway.ip) if default else "")
            )
        for name, given in status.networks.items():
            network = self._registry.named(name)
            if network is None:
                log.warning("a running container is in an unknown network", extra={"name": name})
                continue
            address = IPv4Address(given.ip_address) if given.ip_address else None
            if address is not None:
                self.endpoints.pool(network).reserve(address)
            attached.endpoints[name] = Endpoint(
                network=network,
                container_id=container.id,
                container_name=container.name,
                settings=given,
                address=address,
            )
        attached.published = published_of(status.ports)
        gateway = attached.gateway()
        attached.published_to = gateway.address if gateway else None
        for published in attached.published:
            if not self._ports.retake(published):
                log.warning(
                    "a process of the host took a published port while pierd was away",
                    extra={"container": container.id, "port": str(published)},
                )
        self.endpoints.add(attached)

    def _tell(self, action: str, endpoint: Endpoint) -> None:
        network = endpoint.network
        self._events.emit(
            "network",
            action,
            network.id,
            {"container": endpoint.container_id, "name": network.name, "type": network.driver},
        )


def _forget_udp(published: Iterable[Published]) -> None:
    """Flows that began before a port changed hands are looked up anew, in the background."""
    ports = {one.host_port for one in published if one.port.protocol == "udp"}
    if ports:
        tasks.spawn(_forget(ports), name="forget UDP flows")


async def _forget(ports: set[int]) -> None:
    try:
        await asyncio.to_thread(forget_udp, ports)
    except OSError as error:
        log.warning("cannot forget UDP flows", extra={"error": str(error)})


async def _kept(making: asyncio.Task[tuple[int, None]]) -> int:
    """The namespace's descriptor; cancelled, it sees to it that none stays open."""
    try:
        return (await asyncio.shield(making))[0]
    except asyncio.CancelledError:
        with suppress(OSError, PierError):  # the thread goes on
            os.close((await making)[0])
        raise


async def _set_up(fd: int, interfaces: list[Interface]) -> None:
    """Make the interfaces in the namespace ``fd``, which is closed. Raises ``Internal``."""
    try:
        with Netlink() as host:
            await run_in_netns(fd, lambda: set_up_namespace(host, fd, interfaces))
    except OSError as error:
        raise Internal(f"cannot set up the container's network: {error}") from error
    finally:
        os.close(fd)


def _sandbox(request: SandboxRequest) -> Sandbox:
    return Sandbox(
        hosts_path=sandbox_files.hosts_path(request.directory),
        hostname_path=sandbox_files.hostname_path(request.directory),
        resolv_conf_path=sandbox_files.resolv_conf_path(request.directory),
        sandbox_id=secrets.token_hex(32),
    )


def _joined(request: SandboxRequest) -> Sandbox:
    """Mode ``container:<id>``: the other one's namespace and files."""
    if not request.join_pid or request.join_directory is None:
        raise Conflict(
            f"cannot join network of a non running container: "
            f"{request.mode.removeprefix('container:')}"
        )
    directory = request.join_directory
    return Sandbox(
        netns_path=f"/proc/{request.join_pid}/ns/net",
        hosts_path=sandbox_files.hosts_path(directory),
        hostname_path=sandbox_files.hostname_path(directory),
        resolv_conf_path=sandbox_files.resolv_conf_path(directory),
    )


def _drop_default_route(inside: Netlink) -> None:
    try:
        inside.delete_route("default")
    except OSError as error:
        if error.errno != errno.ESRCH:
            raise
