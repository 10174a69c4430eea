"""What the network room keeps and hands out: networks, sandboxes, published ports.

A *network* is a record in the database. A *sandbox* is the network side of one running
container: its namespace, its *endpoints* (one per network) and the files about names
(hosts, resolv.conf, hostname). Endpoints are not stored here: what a running container
was given is in its own status (``ContainerStatus.networks`` and ``.ports``), and
``NetworkService.recover`` rebuilds everything else from that. No IO in this module.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from pierhead.engine.config import (
    ApiStruct,
    EndpointSettings,
    PortBinding,
)
from pierhead.engine.containers.model import ContainerRecord, ContainerStatus

BRIDGE: Final = "bridge"
HOST: Final = "host"
NONE: Final = "none"
PREDEFINED: Final = (BRIDGE, HOST, NONE)

OPTION_BRIDGE_NAME: Final = "com.docker.network.bridge.name"
OPTION_DEFAULT_BRIDGE: Final = "com.docker.network.bridge.default_bridge"
OPTION_ICC: Final = "com.docker.network.bridge.enable_icc"
OPTION_MASQUERADE: Final = "com.docker.network.bridge.enable_ip_masquerade"
OPTION_BIND_ADDRESS: Final = "com.docker.network.bridge.host_binding_ipv4"
OPTION_MTU: Final = "com.docker.network.driver.mtu"

PortMap = dict[str, list[dict[str, str]] | None]
"""Published ports as inspect shows them: ``"80/tcp"`` → ``[{"HostIp", "HostPort"}]`` or None."""


class IPAMConfig(ApiStruct, omit_defaults=True):
    """One pool of a network. Text forms, as in the API."""

    subnet: str = ""
    ip_range: str = msgspec.field(default="", name="IPRange")
    gateway: str = ""
    aux_address: dict[str, str] | None = msgspec.field(default=None, name="AuxiliaryAddresses")


class IPAM(ApiStruct):
    driver: str = "default"
    options: dict[str, str] | None = None
    config: list[IPAMConfig] | None = None


class NetworkRecord(msgspec.Struct, kw_only=True):
    """One network, immutable once created."""

    id: str  # 64 hex digits
    name: str
    created_ns: int
    driver: str = BRIDGE  # bridge, host, null
    scope: str = "local"
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    ipam: IPAM = msgspec.field(default_factory=IPAM)

    @property
    def bridge(self) -> str:
        """The interface's name on the host."""
        return self.options.get(OPTION_BRIDGE_NAME) or f"br-{self.id[:12]}"

    @property
    def subnet(self) -> IPv4Network:
        """Only for driver bridge, whose record always has one pool."""
        config = (self.ipam.config or [IPAMConfig()])[0]
        return IPv4Network(config.subnet)

    @property
    def gateway(self) -> IPv4Interface:
        """The bridge's own address with the subnet's prefix length."""
        config = (self.ipam.config or [IPAMConfig()])[0]
        return IPv4Interface(f"{config.gateway}/{self.subnet.prefixlen}")

    @property
    def mtu(self) -> int:
        """Bytes; 0 when the network leaves it to the daemon's setting."""
        return int(self.options.get(OPTION_MTU) or 0)

    @property
    def is_default_bridge(self) -> bool:
        return self.name == BRIDGE


class NetworkCreate(ApiStruct):
    """Body of ``POST /networks/create`` (API 1.56), also understood by older versions."""

    name: str = ""
    check_duplicate: bool = False
    driver: str = ""
    scope: str = ""
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    config_from: dict[str, Any] | None = None
    ipam: IPAM | None = None
    enable_ipv4: bool | None = msgspec.field(default=None, name="EnableIPv4")
    enable_ipv6: bool | None = msgspec.field(default=None, name="EnableIPv6")
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


@dataclass(kw_only=True)
class SandboxRequest:
    """Everything ``NetworkService.attach`` needs to know of a container about to start."""

    container_id: str
    name: str  # without the slash
    hostname: str
    directory: Path  # durable directory of the container: hosts, hostname, resolv.conf go there
    domainname: str = ""
    mode: str = BRIDGE  # HostConfig.NetworkMode as resolved by ``plan``
    networks: dict[str, EndpointSettings] = field(default_factory=dict)
    network_disabled: bool = False
    exposed: Iterable[str] = ()  # "80/tcp"
    port_bindings: dict[str, list[PortBinding] | None] = field(default_factory=dict)
    publish_all: bool = False
    links: list[str] = field(default_factory=list)  # "id:alias" or "name:alias"
    extra_hosts: list[str] = field(default_factory=list)
    dns: list[str] = field(default_factory=list)
    dns_search: list[str] = field(default_factory=list)
    dns_options: list[str] = field(default_factory=list)
    mac_address: str = ""
    join_pid: int = 0  # mode container:<id>: pid of that container's first process
    join_directory: Path | None = None  # and its durable directory, whose files are shared
    quiet: bool = False  # of no container (a build's steps): no events

    @classmethod
    def of(
        cls,
        record: ContainerRecord,
        directory: Path,
        *,
        join_pid: int = 0,
        join_directory: Path | None = None,
    ) -> SandboxRequest:
        """The request that ``record`` stands for."""
        config, host = record.config, record.host_config
        return cls(
            container_id=record.id,
            name=record.name,
            hostname=config.hostname,
            domainname=config.domainname,
            directory=directory,
            mode=host.network_mode or BRIDGE,
            networks=record.networks,
            network_disabled=config.network_disabled,
            exposed=tuple(config.exposed_ports or ()),
            port_bindings=dict(host.port_bindings or {}),
            publish_all=host.publish_all_ports,
            links=list(host.links or ()),
            extra_hosts=list(host.extra_hosts or ()),
            dns=list(host.dns or ()),
            dns_search=list(host.dns_search or ()),
            dns_options=list(host.dns_options or ()),
            mac_address=config.mac_address,
            join_pid=join_pid,
            join_directory=join_directory,
        )


@dataclass(kw_only=True)
class Sandbox:
    """What a container was given. The three paths are to be bind-mounted into it."""

    hosts_path: Path
    hostname_path: Path
    resolv_conf_path: Path
    netns_path: str | None = None  # for the runtime spec; None: share the host's namespace
    netns_fd: int | None = None  # ours; close with ``release`` once the container runs
    networks: dict[str, EndpointSettings] = field(default_factory=dict)
    ports: PortMap = field(default_factory=dict)
    sandbox_id: str = ""
    sandbox_key: str = ""
    on_release: Callable[[], None] | None = None
    setting_up: Awaitable[None] | None = None

    async def ready(self) -> None:
        """Wait until the interfaces are there: before the container's program starts.

        They are made while the runtime prepares the container. Raises ``Internal``;
        ``NetworkService.detach`` then takes everything back.
        """
        if self.setting_up is not None:
            setting_up, self.setting_up = self.setting_up, None
            await setting_up

    def release(self) -> None:
        """Let go of the namespace: from now on the container's processes keep it alive."""
        if self.on_release is not None:
            self.on_release()
            self.on_release = None
        self.netns_fd = None


class ContainerLike(Protocol):
    """What this room sees of a container (``engine/containers/service.py`` has the class)."""

    record: ContainerRecord
    status: ContainerStatus

    @property
    def id(self) -> str: ...

    @property
    def name(self) -> str: ...


class ContainerDirectory(Protocol):
    """How this room finds containers and has changes of theirs kept. Wired by ``daemon/app``."""

    def get(self, ref: str) -> ContainerLike:
        """By id, prefix or name; raises ``NotFound``."""
        ...

    def all(self) -> Iterable[ContainerLike]: ...

    def save(self, container: ContainerLike) -> None:
        """Write the changed ``record.networks``, ``status.networks`` and ``status.ports``."""
        ...


def address_of(settings: EndpointSettings) -> IPv4Address | None:
    """The address given to an endpoint."""
    return IPv4Address(settings.ip_address) if settings.ip_address else None
