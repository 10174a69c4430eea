from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pierhead.engine.config import EndpointIPAMConfig, EndpointSettings, PortBinding
from pierhead.engine.networks import sandbox_files, sandboxes
from pierhead.engine.networks.model import NetworkCreate, SandboxRequest
from pierhead.errors import Conflict, Internal, InvalidParameter, NotFound

from .conftest import Bench

ANY_PORT = {"80/tcp": [PortBinding(host_port="0")]}


@pytest.fixture(autouse=True)
def host_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "resolv.conf").write_text("nameserver 10.9.9.9\nnameserver 127.0.0.1\n")
    (tmp_path / "hosts").write_text("10.1.1.1\tthe-host\n")
    monkeypatch.setattr(sandbox_files, "HOST_RESOLV_CONF", tmp_path / "resolv.conf")
    monkeypatch.setattr(sandbox_files, "HOST_HOSTS", tmp_path / "hosts")


async def test_on_the_bridge(bench: Bench, made: list[Any]) -> None:
    one = await bench.run("c1", port_bindings=ANY_PORT, exposed_ports={"81/tcp": {}})
    given = one.status.networks["bridge"]
    assert (given.ip_address, given.gateway, given.ip_prefix_len) == (
        "172.17.0.2",
        "172.17.0.1",
        16,
    )
    (interface,) = made
    assert (interface.name, interface.address, interface.gateway) == (
        "eth0",
        "172.17.0.2/16",
        "172.17.0.1",
    )
    assert interface.host_name == f"veth{given.endpoint_id[:7]}"
    binding = one.status.ports["80/tcp"][0]
    assert bench.bridges.published == {f"127.0.0.1:{binding['HostPort']}": "172.17.0.2:80"}
    assert one.status.ports["81/tcp"] is None
    assert bench.file("c1", "hostname") == "c1\n"
    assert bench.file("c1", "hosts").endswith("172.17.0.2\tc1\n")
    assert "nameserver 10.9.9.9\n" in bench.file("c1", "resolv.conf")
    assert "127.0.0.1" not in bench.file("c1", "resolv.conf")
    assert bench.told == [("connect", "bridge")]


async def test_all_is_given_back(bench: Bench) -> None:
    await bench.run("c1", port_bindings=ANY_PORT)
    await bench.stop("c1")
    await bench.stop("c1")
    assert bench.bridges.published == {} and bench.told[-1] == ("disconnect", "bridge")
    await bench.run("c2")
    assert bench.address("c2") == "172.17.0.2"


async def test_a_second_start_takes_over_what_a_failed_one_left(bench: Bench) -> None:
    await bench.run("c1")
    await bench.run("c1")
    assert bench.address("c1") == "172.17.0.2"


async def test_none_and_host(bench: Bench, made: list[Any]) -> None:
    one = await bench.run("c1", "none", port_bindings=ANY_PORT)
    two = await bench.run("c2", "host", port_bindings=ANY_PORT)
    assert made == [] and one.status.ports == two.status.ports == {}
    assert list(two.status.networks) == ["host"]
    assert "the-host" in bench.file("c2", "hosts")
    assert "127.0.0.1" in bench.file("c2", "resolv.conf"), "it is the host's own loopback"
    assert len(bench.service.inspect("host")["Containers"]) == 1


async def test_another_containers_namespace(bench: Bench) -> None:
    one = bench.container("c1", "container:c0", networks={})
    directory = bench.paths.container("f" * 64)
    request = SandboxRequest.of(
        one.record, bench.paths.container(one.id), join_pid=42, join_directory=directory
    )
    sandbox = await bench.service.attach(request)
    assert sandbox.netns_path == "/proc/42/ns/net"
    assert sandbox.hosts_path == directory / "hosts"
    with pytest.raises(Conflict, match="non running container: c0"):
        await bench.service.attach(SandboxRequest.of(one.record, directory))


async def test_a_network_that_is_not_there(bench: Bench) -> None:
    with pytest.raises(NotFound, match="network nope not found"):
        await bench.run("c1", "nope")
    assert len(bench.service._sandboxes.endpoints) == 0


async def test_a_taken_port_undoes_the_start(bench: Bench) -> None:
    one = await bench.run("c1", port_bindings=ANY_PORT)
    port = one.status.ports["80/tcp"][0]["HostPort"]
    with pytest.raises(Conflict) as caught:
        await bench.run("c2", port_bindings={"80/tcp": [PortBinding(host_port=port)]})
    assert caught.value.message.startswith(
        "driver failed programming external connectivity on endpoint c2 ("
    )
    assert f"Bind for 127.0.0.1:{port} failed: port is already allocated" in caught.value.message
    await bench.run("c3")
    assert bench.address("c3") == "172.17.0.3", "the address of c2 was given back"


async def test_interfaces_that_can_not_be_made(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(sandboxes, "set_up_namespace", fail)
    with pytest.raises(Internal, match="cannot set up the container's network"):
        await bench.run("c1")
    await bench.stop("c1")
    assert len(bench.service._sandboxes.endpoints) == 0


async def test_a_fixed_address_and_mac(bench: Bench) -> None:
    await bench.service.create(NetworkCreate(name="web"))
    settings = EndpointSettings(
        ipam_config=EndpointIPAMConfig(ipv4_address="172.18.0.99"), mac_address="02:00:00:00:00:01"
    )
    one = await bench.run("c1", "web", networks={"web": settings})
    given = one.status.networks["web"]
    assert (given.ip_address, given.mac_address) == ("172.18.0.99", "02:00:00:00:00:01")
    with pytest.raises(Conflict, match="Address already in use"):
        await bench.run("c2", "web", networks={"web": settings})


async def test_several_networks(bench: Bench, made: list[Any]) -> None:
    for name in ("alpha", "beta"):
        await bench.service.create(NetworkCreate(name=name))
    await bench.service.create(NetworkCreate(name="aaa", internal=True))
    networks = {
        "beta": EndpointSettings(),
        "alpha": EndpointSettings(),
        "aaa": EndpointSettings(),
    }
    one = await bench.run("c1", "beta", networks=networks, port_bindings=ANY_PORT)
    assert [(interface.name, bool(interface.gateway)) for interface in made] == [
        ("eth0", False),
        ("eth1", True),
        ("eth2", False),
    ]
    assert one.status.networks["aaa"].gateway == "", "an internal network leads nowhere"
    assert list(bench.bridges.published.values()) == [f"{bench.address('c1', 'alpha')}:80"]
    await bench.service.disconnect("alpha", "c1", force=False)
    assert list(bench.bridges.published.values()) == [f"{bench.address('c1', 'beta')}:80"]
    await bench.service.disconnect("beta", "c1", force=False)
    assert bench.bridges.published == {} and one.status.ports == {}
    await bench.service.connect("alpha", "c1", None)
    assert list(bench.bridges.published.values()) == [f"{bench.address('c1', 'alpha')}:80"]


async def test_names_of_a_user_defined_network(bench: Bench) -> None:
    await bench.service.create(NetworkCreate(name="web"))
    await bench.run("c1", "web", dns=["9.9.9.9"])
    assert "nameserver 172.18.0.1" in bench.file("c1", "resolv.conf")
    record = bench.service.get("web")
    boxes = bench.service._sandboxes
    asker = boxes.asker(record, record.subnet.network_address + 2)
    assert asker is not None and asker.upstreams == ["9.9.9.9"]
    assert [str(address) for address in asker.lookup("c1") or ()] == ["172.18.0.2"]
    assert asker.reverse(record.subnet.network_address + 2) == "c1.web"
    assert asker.reverse(record.subnet.network_address + 9) is None
    assert boxes.asker(record, record.subnet.network_address + 9) is None, "a stranger"
    assert boxes.asker(record, record.gateway.ip) is not None, "the host itself"


async def test_resolv_conf_follows_connect_and_disconnect(bench: Bench) -> None:
    await bench.service.create(NetworkCreate(name="web"))
    await bench.run("c1")
    await bench.service.connect("web", "c1", None)
    assert "nameserver 172.18.0.1" in bench.file("c1", "resolv.conf")
    assert "172.18.0.2\tc1" in bench.file("c1", "hosts")
    await bench.service.disconnect("web", "c1", force=False)
    assert "nameserver 10.9.9.9" in bench.file("c1", "resolv.conf")
    assert "172.18.0.2" not in bench.file("c1", "hosts")


async def test_links_on_the_default_bridge(bench: Bench) -> None:
    with pytest.raises(NotFound):
        await bench.run("c1", links=["db:database"])
    bench.container("db")
    with pytest.raises(InvalidParameter, match="Cannot link to a non running container: /db AS"):
        await bench.run("c1", links=["db:database"])
    await bench.run("other")
    await bench.run("db")
    await bench.run("c1", links=["db:database"])
    assert f"172.17.0.3\tdatabase {bench.known['db'].id[:12]} db\n" in bench.file("c1", "hosts")
    await bench.stop("other")
    await bench.stop("db")
    await bench.run("db")
    assert bench.address("db") == "172.17.0.2"
    assert "172.17.0.2\tdatabase" in bench.file("c1", "hosts"), "a new address is told"


async def test_extra_hosts(bench: Bench) -> None:
    await bench.run("c1", extra_hosts=["db:10.0.0.1", "gw:host-gateway"])
    assert "10.0.0.1\tdb\n172.17.0.1\tgw\n" in bench.file("c1", "hosts")
    with pytest.raises(InvalidParameter, match="bad format for add-host"):
        await bench.run("c2", extra_hosts=["nonsense"])


async def test_the_networks_own_bind_address(bench: Bench) -> None:
    options = {"com.docker.network.bridge.host_binding_ipv4": "127.0.0.9"}
    await bench.service.create(NetworkCreate(name="web", options=options))
    one = await bench.run("c1", "web", port_bindings=ANY_PORT)
    assert one.status.ports["80/tcp"][0]["HostIp"] == "127.0.0.9"
