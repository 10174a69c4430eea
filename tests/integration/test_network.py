"""Networks on the real kernel: namespaces, bridges, rules, and what others do to them.

The service runs in this process with a bridge of its own; "containers" are namespaces
held by a descriptor, entered with nsenter(1).
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.engine.config import ContainerConfig, EndpointSettings, HostConfig, PortBinding
from pierhead.engine.containers.model import ContainerRecord, ContainerStatus
from pierhead.engine.events import EventBus
from pierhead.engine.networks.model import NetworkCreate, SandboxRequest
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.linux import nft as nf
from pierhead.linux.netlink import Netlink
from pierhead.linux.nft import Nft
from pierhead.store.database import Database
from pierhead.store.paths import Paths

pytestmark = pytest.mark.root

SERVER = """
import socket, sys
server = socket.create_server(("0.0.0.0", 80))
print("ready", flush=True)
while True:
    client, address = server.accept()
    client.sendall(address[0].encode())
    client.close()
"""
UDP_SERVER = """
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("0.0.0.0", 53))
print("ready", flush=True)
while True:
    server.sendto(b"{address}", server.recvfrom(100)[1])
"""
CLIENT = """
import socket, sys
client = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3]))
print(client.recv(100).decode())
"""


class Host:
    """One service, and the namespaces that it made."""

    def __init__(self, root: Path, bridge: str) -> None:
        self.paths = Paths(root / "data", root / "exec")
        self.paths.create()
        self.db = Database.open(self.paths.database)
        self.settings = Settings(bridge=bridge)
        self.containers: dict[str, Any] = {}
        self.processes: list[subprocess.Popen[bytes]] = []
        self.service = self.start()

    def start(self) -> NetworkService:
        self.service = NetworkService(
            db=self.db, paths=self.paths, settings=self.settings, events=EventBus(self.db)
        )
        self.service.containers = self  # type: ignore[assignment]
        return self.service

    def get(self, ref: str) -> Any:
        return self.containers[ref]

    def all(self) -> list[Any]:
        return list(self.containers.values())

    def save(self, container: Any) -> None:
        pass

    async def run(self, name: str, mode: str = "bridge", **given: Any) -> Any:
        id_ = f"{len(self.containers) + 1:064x}"
        record = ContainerRecord(
            id=id_,
            name=name,
            created_ns=1,
            image_id="",
            image_ref="",
            chain_id=None,
            path="",
            args=[],
            config=ContainerConfig(hostname=name),
            host_config=HostConfig(network_mode=mode, **given),
            networks={mode: EndpointSettings()},
        )
        sandbox = await self.service.attach(SandboxRequest.of(record, self.paths.container(id_)))
        await sandbox.ready()
        holder = subprocess.Popen(["nsenter", f"--net={sandbox.netns_path}", "sleep", "300"])
        self.processes.append(holder)
        await asyncio.sleep(0.05)  # nsenter has entered before we let go
        sandbox.release()
        status = ContainerStatus(pid=holder.pid, networks=sandbox.networks, ports=sandbox.ports)
        made = SimpleNamespace(id=id_, name=name, record=record, status=status, holder=holder)
        self.containers[name] = made
        return made

    async def end(self, container: Any) -> None:
        container.holder.kill()
        container.holder.wait()
        await self.service.detach(container.id)

    def inside(self, container: Any, *argv: str) -> str:
        done = subprocess.run(
            ["nsenter", f"--net=/proc/{container.holder.pid}/ns/net", *argv],
            capture_output=True,
            text=True,
            timeout=20,
        )
        return done.stdout.strip()

    def serve(self, container: Any) -> None:
        """Answers on port 80 with the address of whoever asks."""
        server = subprocess.Popen(
            ["nsenter", f"--net=/proc/{container.holder.pid}/ns/net", sys.executable, "-c", SERVER],
            stdout=subprocess.PIPE,
        )
        self.processes.append(server)
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"

    def serve_udp(self, container: Any) -> None:
        """Answers on port 53 with its own address."""
        code = UDP_SERVER.format(address=self.address(container))
        server = subprocess.Popen(
            ["nsenter", f"--net=/proc/{container.holder.pid}/ns/net", sys.executable, "-c", code],
            stdout=subprocess.PIPE,
        )
        self.processes.append(server)
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"

    def reach(self, container: Any, address: str, port: int = 80) -> str:
        """What ``container`` gets from there, ``""`` for nothing."""
        return self.inside(container, sys.executable, "-c", CLIENT, address, str(port), "1")

    def address(self, container: Any, network: str = "bridge") -> str:
        got: str = container.status.networks[network].ip_address
        return got

    def links(self) -> set[str]:
        with Netlink() as netlink:
            return {link.name for link in netlink.links()}


def reach_from_host(address: str, port: int) -> str:
    try:
        with socket.create_connection((address, port), timeout=1) as client:
            return client.recv(100).decode()
    except OSError:
        return ""


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[Host]:
    bridge = f"ptn{os.getpid() % 100000}"
    one = Host(tmp_path, bridge)
    await one.service.recover([])
    yield one
    for process in one.processes:
        process.kill()
        process.communicate()
    for container in one.all():
        await one.service.detach(container.id)
    for network in one.service.list():
        if network["Name"] not in ("bridge", "host", "none"):
            await one.service.remove(network["Name"])
    await one.service.close()
    assert bridge not in one.links()
    nft = Nft()
    assert not nft.has_table(f"pierhead_{bridge}")
    nft.close()


async def test_containers_and_the_host_reach_each_other(host: Host) -> None:
    one, two = await host.run("one"), await host.run("two")
    host.serve(one)
    assert host.reach(two, host.address(one)) == host.address(two)
    assert reach_from_host(host.address(one), 80)
    routes = host.inside(one, "ip", "route")
    assert f"default via {one.status.networks['bridge'].gateway} dev eth0" in routes


async def test_published_ports(host: Host) -> None:
    one = await host.run(
        "one",
        port_bindings={
            "80/tcp": [PortBinding(host_ip="127.0.0.1"), PortBinding(host_ip="0.0.0.0")]
        },
    )
    two = await host.run("two")
    host.serve(one)
    gateway = one.status.networks["bridge"].gateway
    local, anywhere = sorted(
        one.status.ports["80/tcp"], key=lambda item: item["HostIp"] == "0.0.0.0"
    )
    local_port, port = int(local["HostPort"]), int(anywhere["HostPort"])
    assert reach_from_host("127.0.0.1", local_port) == gateway
    assert reach_from_host("127.0.0.1", port) == gateway
    assert reach_from_host(gateway, port)
    assert reach_from_host(gateway, local_port) == ""
    assert host.reach(two, gateway, port) == gateway, "from a neighbour, by the host"
    assert host.reach(one, gateway, port) == gateway, "from itself, by the host"
    assert host.reach(two, "127.0.0.1", local_port) == ""
    await host.end(one)
    assert reach_from_host("127.0.0.1", port) == ""


async def test_udp_flows_follow_the_port(host: Host) -> None:
    """One client socket, as a resolver's or a game's: it must reach whoever has the port."""
    udp = {"53/udp": [PortBinding(host_ip="127.0.0.1")]}
    one = await host.run("one", port_bindings=udp)
    port = int(one.status.ports["53/udp"][0]["HostPort"])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(("127.0.0.1", port))
        client.settimeout(2)

        def ask() -> str:
            client.send(b"?")
            return client.recv(100).decode()

        host.serve_udp(one)
        assert await asyncio.to_thread(ask) == host.address(one)
        blocker = await host.run("blocker")
        await host.end(one)
        wait = await host.run("wait")
        again = {"53/udp": [PortBinding(host_ip="127.0.0.1", host_port=str(port))]}
        two = await host.run("two", port_bindings=again)
        assert host.address(two) != host.address(one) == host.address(wait)
        host.serve_udp(two)
        await asyncio.sleep(0.2)
        assert await asyncio.to_thread(ask) == host.address(two)
        assert blocker


async def test_networks_are_kept_apart(host: Host) -> None:
    await host.service.create(NetworkCreate(name="alpha"))
    await host.service.create(NetworkCreate(name="inner", internal=True))
    one, two, three = [
        await host.run(name, mode)
        for name, mode in (("one", "alpha"), ("two", "bridge"), ("three", "inner"))
    ]
    host.serve(one)
    host.serve(three)
    assert host.reach(two, host.address(one, "alpha")) == ""
    assert host.reach(two, host.address(three, "inner")) == ""
    assert "default" not in host.inside(three, "ip", "route")
    assert reach_from_host(host.address(three, "inner"), 80)


async def test_isolation_within_a_network(host: Host) -> None:
    options = {"com.docker.network.bridge.enable_icc": "false"}
    await host.service.create(NetworkCreate(name="mute", options=options))
    one, two = await host.run("one", "mute"), await host.run("two", "mute")
    host.serve(one)
    assert host.reach(two, host.address(one, "mute")) == ""
    assert reach_from_host(host.address(one, "mute"), 80)


async def test_connect_and_disconnect_while_running(host: Host) -> None:
    await host.service.create(NetworkCreate(name="alpha"))
    one, two = await host.run("one"), await host.run("two", "alpha")
    host.serve(one)
    await host.service.connect("alpha", "one", None)
    assert host.reach(two, host.address(one, "alpha")) == host.address(two, "alpha")
    assert "eth1" in host.inside(one, "ip", "-o", "link")
    gateway = one.status.networks["alpha"].gateway
    assert f"default via {gateway}" in host.inside(one, "ip", "route"), "the first by name"
    await host.service.disconnect("bridge", "one", force=False)
    gateway = one.status.networks["alpha"].gateway
    assert f"default via {gateway}" in host.inside(one, "ip", "route")
    assert "eth0" not in host.inside(one, "ip", "-o", "link")
    await host.service.disconnect("alpha", "one", force=False)
    assert "eth1" not in host.inside(one, "ip", "-o", "link")


async def test_a_restart_changes_nothing_for_what_runs(host: Host) -> None:
    await host.service.create(NetworkCreate(name="alpha"))
    one = await host.run("one", "alpha", port_bindings={"80/tcp": [PortBinding()]})
    host.serve(one)
    port = int(one.status.ports["80/tcp"][0]["HostPort"])
    assert reach_from_host("127.0.0.1", port)
    host.service._sandboxes.close()  # killed: nothing is taken down
    host.start()
    await host.service.recover([one])
    assert reach_from_host("127.0.0.1", port)
    two = await host.run("two", "alpha")
    assert host.address(two, "alpha") != host.address(one, "alpha")


async def test_what_a_kill_left_is_removed(host: Host) -> None:
    id_, _ = await host.service.create(NetworkCreate(name="alpha"))
    one = await host.run("one")
    with Netlink() as netlink:
        bridge = netlink.link(host.settings.bridge)
        assert bridge is not None
        fd = os.open(f"/proc/{one.holder.pid}/ns/net", os.O_RDONLY)
        netlink.add_veth("vethstray0", "eth9", netns_fd=fd, master=bridge.index)
        os.close(fd)
    host.service._registry.delete(host.service.get("alpha"))
    host.service._sandboxes.close()
    host.start()
    await host.service.recover([one])
    links = host.links()
    assert f"br-{id_[:12]}" not in links and "vethstray0" not in links
    assert f"veth{one.status.networks['bridge'].endpoint_id[:7]}" in links


async def test_the_table_of_a_pierd_that_is_gone(host: Host) -> None:
    nft = Nft()
    nft.transaction([nf.add_table("pierhead_no-such-br0")])
    await host.service.recover([])
    assert "pierhead_no-such-br0" not in nft.tables()
    nft.close()


async def test_a_flushed_rule_set_and_a_lost_bridge_heal(host: Host) -> None:
    one = await host.run("one", port_bindings={"80/tcp": [PortBinding()]})
    host.serve(one)
    port = int(one.status.ports["80/tcp"][0]["HostPort"])
    nft = Nft()
    nft.transaction([nf.delete_table(f"pierhead_{host.settings.bridge}")])
    nft.close()
    assert reach_from_host("127.0.0.1", port) == ""
    host.service._checked_s = float("-inf")
    await host.run("two")
    assert reach_from_host("127.0.0.1", port)
    with Netlink() as netlink:
        netlink.delete_link(host.settings.bridge)
    three = await host.run("three")
    assert "eth0" in host.inside(three, "ip", "-o", "link")


async def test_names(host: Host) -> None:
    await host.service.create(NetworkCreate(name="alpha"))
    one, two = await host.run("one", "alpha"), await host.run("two", "alpha")
    gateway = two.status.networks["alpha"].gateway
    question = b"\0\7\1\0\0\1\0\0\0\0\0\0\3one\0\0\1\0\1"
    code = (
        "import socket,sys; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(2);"
        f"s.sendto({question!r}, ({gateway!r}, 53)); print(s.recv(512)[-4:].hex())"
    )
    done = await asyncio.to_thread(host.inside, two, sys.executable, "-c", code)
    assert done == socket.inet_aton(host.address(one, "alpha")).hex()


async def test_a_namespace_of_its_own_without_interfaces(host: Host) -> None:
    one = await host.run("one", "none")
    assert host.inside(one, "ip", "-o", "link").count("\n") == 0
    assert host.inside(one, "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start") == "0"
