"""A network service without a kernel: what it would do there is noted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.engine.config import ContainerConfig, EndpointSettings, HostConfig
from pierhead.engine.containers.model import ContainerRecord, ContainerStatus
from pierhead.engine.events import EventBus
from pierhead.engine.networks import sandboxes, service
from pierhead.engine.networks.firewall import Mapping
from pierhead.engine.networks.model import NetworkRecord, SandboxRequest
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.errors import Internal, NotFound
from pierhead.store.database import Database
from pierhead.store.paths import Paths


class FakeBridges:
    """Stands for ``Bridges``: bridges by name, ports by what is published."""

    def __init__(self, settings: Settings) -> None:
        self.host: list[IPv4Network] = []
        self.bridges: dict[str, str] = {}
        self.rules: set[str] = set()
        self.published: dict[str, str] = {}
        self.deleted: list[str] = []
        self.strays: tuple[set[str], set[str]] = (set(), set())
        self.broken = False
        self.table = True
        self.passed: list[str] = []

    def close(self) -> None:
        pass

    def networks_of_host(self, *, ours: object) -> list[IPv4Network]:
        return self.host

    def up(self, record: NetworkRecord) -> None:
        if self.broken:
            raise Internal("cannot make the bridge")
        self.bridges[record.bridge] = str(record.gateway)

    def down(self, record: NetworkRecord) -> None:
        self.bridges.pop(record.bridge, None)

    def index(self, record: NetworkRecord) -> int:
        return 7

    def remove_strays(self, wanted: object) -> None:
        pass

    def remove_stray_tables(self) -> None:
        pass

    def remove_stray_ports(self, bridges: set[str], wanted: set[str]) -> None:
        self.strays = (bridges, wanted)

    def delete_link(self, name: str) -> None:
        self.deleted.append(name)

    def mtu(self, record: NetworkRecord) -> int:
        return record.mtu or 1500

    def isolated(self, record: NetworkRecord) -> bool:
        return False

    def rebuild_table(self, records: Any, mappings: Any) -> None:
        self.rules = {record.bridge for record in records}
        self.published = {}
        self.publish(list(mappings))
        self.table = True

    def has_table(self) -> bool:
        return self.table

    def drop_table(self) -> None:
        self.table = False

    def add_rules(self, record: NetworkRecord) -> None:
        self.rules.add(record.bridge)

    def remove_rules(self, record: NetworkRecord) -> None:
        self.rules.discard(record.bridge)

    def publish(self, mappings: Sequence[Mapping]) -> None:
        for one in mappings:
            port = one.published
            self.published[f"{port.host_ip}:{port.host_port}"] = (
                f"{one.container_ip}:{port.port.number}"
            )

    def unpublish(self, mappings: Sequence[Mapping]) -> None:
        for one in mappings:
            del self.published[f"{one.published.host_ip}:{one.published.host_port}"]

    def redirect_dns(self, address: IPv4Address, udp_port: int, tcp_port: int) -> None:
        pass

    def undo_redirect_dns(self, address: IPv4Address, udp_port: int, tcp_port: int) -> None:
        pass

    def pass_neighbours(self, records: Any) -> None:
        self.passed = [record.bridge for record in records]

    async def pass_legacy_neighbours(self, records: Any) -> None:
        pass


class Bench:
    """The service, and containers to put into it."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(root / "data", root / "exec")
        self.paths.create()
        self.db = Database.open(self.paths.database)
        self.settings = Settings(bridge="test0", default_bind_address="127.0.0.1")
        self.told: list[tuple[str, str]] = []
        self.known: dict[str, Any] = {}
        self.saved: list[str] = []
        self.start()

    def start(self) -> None:
        events = EventBus(self.db)
        emit = events.emit

        def note(type_: str, action: str, actor: str, attributes: Any = None, **more: Any) -> None:
            self.told.append((action, (attributes or {}).get("name", "")))
            emit(type_, action, actor, attributes, **more)

        events.emit = note  # type: ignore[method-assign, assignment]
        self.service = NetworkService(
            db=self.db, paths=self.paths, settings=self.settings, events=events
        )
        self.service.containers = self  # type: ignore[assignment]
        self.bridges: FakeBridges = self.service._bridges  # type: ignore[assignment]

    # ContainerDirectory
    def get(self, ref: str) -> Any:
        for container in self.known.values():
            if ref in (container.id, container.name):
                return container
        raise NotFound(f"No such container: {ref}")

    def all(self) -> list[Any]:
        return list(self.known.values())

    def save(self, container: Any) -> None:
        self.saved.append(container.name)

    def container(self, name: str, mode: str = "bridge", **given: Any) -> Any:
        networks = given.pop("networks", {mode: EndpointSettings()})
        exposed = given.pop("exposed_ports", None)
        id_ = f"{len(self.known) + 1:064x}"
        record = ContainerRecord(
            id=id_,
            name=name,
            created_ns=1,
            image_id="",
            image_ref="",
            chain_id=None,
            path="",
            args=[],
            config=ContainerConfig(hostname=name, exposed_ports=exposed),
            host_config=HostConfig(network_mode=mode, **given),
            networks=networks,
        )
        made = SimpleNamespace(id=id_, name=name, record=record, status=ContainerStatus())
        self.known[name] = made
        return made

    async def run(self, name: str, mode: str = "bridge", **given: Any) -> Any:
        """Start a container as far as its network goes."""
        made = self.known.get(name) or self.container(name, mode, **given)
        request = SandboxRequest.of(made.record, self.paths.container(made.id))
        sandbox = await self.service.attach(request)
        await sandbox.ready()
        sandbox.release()
        made.status.networks, made.status.ports = sandbox.networks, sandbox.ports
        made.status.pid = os.getpid()
        return made

    async def stop(self, name: str) -> None:
        made = self.known[name]
        made.status.pid = 0
        made.status.networks = {}
        await self.service.detach(made.id)

    def address(self, name: str, network: str = "bridge") -> str:
        got: str = self.known[name].status.networks[network].ip_address
        return got

    def file(self, name: str, file: str) -> str:
        return (self.paths.container(self.known[name].id) / file).read_text()


class _NoNetlink:
    def __enter__(self) -> _NoNetlink:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def links(self) -> list[Any]:
        return [SimpleNamespace(name="lo"), SimpleNamespace(name="eth0")]

    def delete_route(self, destination: str) -> None:
        pass

    def add_route(self, destination: str, **_: object) -> None:
        pass


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Interfaces that were made, in order."""
    found: list[Any] = []

    async def create_netns() -> tuple[int, None]:
        return os.open("/dev/null", os.O_RDONLY), None

    async def run_in_netns(fd: int, function: Callable[[], None]) -> None:
        function()

    def set_up(host: object, fd: int, interfaces: Sequence[Any]) -> None:
        found.extend(interfaces)

    def add(host: object, inside: object, fd: int, interfaces: Sequence[Any]) -> None:
        found.extend(interfaces)

    monkeypatch.setattr(service, "Bridges", FakeBridges)
    monkeypatch.setattr(sandboxes, "Netlink", _NoNetlink)
    monkeypatch.setattr(sandboxes, "create_netns", create_netns)
    monkeypatch.setattr(sandboxes, "run_in_netns", run_in_netns)
    monkeypatch.setattr(sandboxes, "set_up_namespace", set_up)
    monkeypatch.setattr(sandboxes, "add_interfaces", add)

    async def no_server(self: object, network: NetworkRecord) -> str:
        return str(network.gateway.ip)

    monkeypatch.setattr(sandboxes.DnsServers, "ensure", no_server)
    return found


@pytest.fixture
async def bench(tmp_path: Path, made: list[Any]) -> Bench:
    one = Bench(tmp_path)
    await one.service.recover([])
    return one


@pytest.fixture(autouse=True)
def no_fd_left() -> Iterator[None]:
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before + 12, "descriptors leak"
