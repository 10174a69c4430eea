from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from pierhead.engine.config import (
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    NetworkingConfig,
    PortBinding,
)
from pierhead.engine.filters import Filters
from pierhead.engine.networks.model import IPAM, IPAMConfig, NetworkCreate
from pierhead.errors import Conflict, Forbidden, Internal, InvalidParameter, NotFound

from .conftest import Bench


async def create(bench: Bench, name: str, **given: object) -> str:
    id_, warning = await bench.service.create(NetworkCreate(name=name, **given))  # type: ignore[arg-type]
    assert warning == ""
    return id_


async def test_the_predefined_ones(bench: Bench) -> None:
    listed = {one["Name"]: one for one in bench.service.list()}
    assert set(listed) == {"bridge", "host", "none"}
    assert listed["bridge"]["IPAM"]["Config"] == [
        {"Subnet": "172.17.0.0/16", "Gateway": "172.17.0.1"}
    ]
    assert listed["bridge"]["Options"]["com.docker.network.bridge.name"] == "test0"
    assert bench.bridges.bridges == {"test0": "172.17.0.1/16"}


async def test_they_are_the_same_after_a_restart(bench: Bench) -> None:
    before = bench.service.list()
    bench.start()
    await bench.service.recover([])
    assert bench.service.list() == before


async def test_the_default_bridge_moves_out_of_the_hosts_way(bench: Bench) -> None:
    bench.start()
    bench.bridges.host = [IPv4Network("172.17.0.0/24")]
    await bench.service.recover([])
    assert str(bench.service.get("bridge").subnet) == "172.18.0.0/16"


async def test_settings_of_the_default_bridge(bench: Bench) -> None:
    bench.settings.bip = "10.77.0.5/24"
    bench.start()
    await bench.service.recover([])
    assert str(bench.service.get("bridge").gateway) == "10.77.0.5/24"
    bench.settings.bip = "nonsense"
    bench.start()
    with pytest.raises(InvalidParameter, match="bip"):
        await bench.service.recover([])


async def test_create_inspect_remove(bench: Bench) -> None:
    id_ = await create(bench, "web", labels={"a": "b"}, attachable=True)
    got = bench.service.inspect("web")
    assert (got["Id"], got["Labels"], got["Attachable"]) == (id_, {"a": "b"}, True)
    assert got["IPAM"]["Config"] == [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]
    assert f"br-{id_[:12]}" in bench.bridges.bridges and f"br-{id_[:12]}" in bench.bridges.rules
    assert bench.service.get(id_[:6]).name == "web"
    await bench.service.remove("web")
    assert f"br-{id_[:12]}" not in bench.bridges.bridges
    assert bench.told == [("create", "web"), ("destroy", "web")]
    with pytest.raises(NotFound, match="network web not found"):
        bench.service.inspect("web")


async def test_names_and_bridges_are_taken_once(bench: Bench) -> None:
    await create(bench, "web")
    with pytest.raises(Conflict, match="network with name web already exists"):
        await create(bench, "web")
    with pytest.raises(Conflict, match="belongs to another network"):
        await create(bench, "x", options={"com.docker.network.bridge.name": "test0"})


async def test_a_bridge_that_can_not_be_made_leaves_nothing(bench: Bench) -> None:
    bench.bridges.broken = True
    with pytest.raises(Internal):
        await create(bench, "web")
    assert len(bench.service.list()) == 3


async def test_active_endpoints_keep_a_network(bench: Bench) -> None:
    id_ = await create(bench, "web")
    await bench.run("c1", "web")
    with pytest.raises(Forbidden) as caught:
        await bench.service.remove("web")
    assert caught.value.message.startswith(
        f"error while removing network: network web id {id_} has active endpoints"
    )
    assert await bench.service.prune() == []
    await bench.stop("c1")
    assert await bench.service.prune() == ["web"]


async def test_predefined_ones_stay(bench: Bench) -> None:
    with pytest.raises(Forbidden, match="bridge is a pre-defined network and cannot be removed"):
        await bench.service.remove("bridge")
    assert await bench.service.prune(Filters({"until": ["1"]})) == []


async def test_prune_by_label_and_age(bench: Bench) -> None:
    await create(bench, "a", labels={"keep": ""})
    await create(bench, "b")
    assert await bench.service.prune(Filters({"until": ["24h"]})) == []
    assert await bench.service.prune(Filters({"label!": ["keep"]})) == ["b"]
    with pytest.raises(InvalidParameter, match="invalid filter 'name'"):
        await bench.service.prune(Filters({"name": ["x"]}))


async def test_plan(bench: Bench) -> None:
    id_ = await create(bench, "web")
    host = HostConfig()
    assert list(bench.service.plan(ContainerConfig(), host, None)) == ["bridge"]
    assert host.network_mode == "bridge"
    networking = NetworkingConfig(endpoints_config={id_: EndpointSettings(aliases=["x"])})
    got = bench.service.plan(ContainerConfig(), HostConfig(network_mode=id_[:12]), networking)
    assert list(got) == ["web"] and got["web"].aliases == ["x"]
    assert list(bench.service.plan(ContainerConfig(), HostConfig(network_mode="no"), None)) == [
        "no"
    ]


async def test_a_container_in_inspect(bench: Bench) -> None:
    await bench.run("c1")
    got = bench.service.inspect("bridge")["Containers"]
    (entry,) = got.values()
    assert (entry["Name"], entry["IPv4Address"]) == ("c1", "172.17.0.2/16")
    assert entry["MacAddress"] == "02:42:ac:11:00:02"


async def test_connect_and_disconnect(bench: Bench) -> None:
    await create(bench, "web")
    one = await bench.run("c1")
    await bench.service.connect("web", "c1", EndpointSettings(aliases=["www"]))
    assert list(one.status.networks) == list(one.record.networks) == ["bridge", "web"]
    assert one.status.networks["web"].ip_address == "172.18.0.2"
    with pytest.raises(Conflict, match="already exists in network web"):
        await bench.service.connect("web", "c1", None)
    endpoint = one.status.networks["web"].endpoint_id
    await bench.service.disconnect("web", "c1", force=False)
    assert list(one.status.networks) == list(one.record.networks) == ["bridge"]
    assert bench.bridges.deleted == [f"veth{endpoint[:7]}"]
    assert bench.saved == ["c1", "c1"]
    with pytest.raises(Conflict, match="is not connected to network web"):
        await bench.service.disconnect("web", "c1", force=True)


async def test_connect_of_a_stopped_container_is_for_its_next_start(bench: Bench) -> None:
    await create(bench, "web")
    one = bench.container("c1")
    await bench.service.connect("web", "c1", None)
    assert list(one.record.networks) == ["bridge", "web"] and one.status.networks == {}
    await bench.run("c1")
    assert list(one.status.networks) == ["bridge", "web"]


@pytest.mark.parametrize(
    ("mode", "network", "text"),
    [
        ("host", "web", "host network"),
        ("none", "web", "private \\(none\\) mode"),
        ("container:x", "web", "sharing network namespace"),
        ("bridge", "host", "host network"),
        ("bridge", "none", "private \\(none\\) mode"),
    ],
)
async def test_what_can_not_be_connected(bench: Bench, mode: str, network: str, text: str) -> None:
    await create(bench, "web")
    bench.container("c1", mode, networks={})
    with pytest.raises(InvalidParameter, match=text):
        await bench.service.connect(network, "c1", None)


async def test_who_is_not_there(bench: Bench) -> None:
    with pytest.raises(NotFound, match="network web not found"):
        await bench.service.connect("web", "c1", None)
    with pytest.raises(NotFound, match="No such container: c1"):
        await bench.service.disconnect("bridge", "c1", force=False)
    await bench.service.disconnect("bridge", "c1", force=True)


async def test_recovery_keeps_what_runs(bench: Bench) -> None:
    await create(bench, "web")
    one = await bench.run("c1", port_bindings={"80/tcp": [PortBinding(host_port="0")]})
    two = await bench.run("c2", "web")
    port = one.status.ports["80/tcp"][0]["HostPort"]
    bench.service._sandboxes.close()
    bench.start()
    await bench.service.recover([one, two])
    assert bench.bridges.published == {f"127.0.0.1:{port}": "172.17.0.2:80"}
    names = {
        f"veth{c.status.networks[n].endpoint_id[:7]}" for c, n in ((one, "bridge"), (two, "web"))
    }
    assert bench.bridges.strays[1] == names
    await bench.run("c3")
    assert bench.address("c3") == "172.17.0.3", "never an address that is in use"
    with pytest.raises(Conflict, match="port is already allocated"):
        await bench.run("c4", port_bindings={"80/tcp": [PortBinding(host_port=port)]})
    await bench.service.detach(one.id)
    assert bench.bridges.published == {}


async def test_a_running_container_pins_the_default_bridge(bench: Bench) -> None:
    one = await bench.run("c1")
    bench.settings.bip = "10.77.0.5/24"
    bench.start()
    await bench.service.recover([one])
    assert str(bench.service.get("bridge").subnet) == "172.17.0.0/16"


async def test_a_stop_without_containers_leaves_nothing(bench: Bench) -> None:
    await bench.service.close()
    assert bench.bridges.bridges == {} and not bench.bridges.table and bench.bridges.passed == []


async def test_a_stop_with_containers_leaves_their_network(bench: Bench) -> None:
    await bench.run("c1")
    await bench.service.close()
    assert bench.bridges.bridges and bench.bridges.table


async def test_a_flushed_table_is_made_again(bench: Bench) -> None:
    bench.bridges.table = False
    bench.bridges.rules = set()
    bench.service._checked_s = float("-inf")
    await bench.run("c1")
    assert bench.bridges.table and bench.bridges.rules == {"test0"}


async def test_rename(bench: Bench) -> None:
    await create(bench, "web")
    one = await bench.run("c1", "web")
    await bench.service.rename(one.id, "other")
    (entry,) = bench.service.inspect("web")["Containers"].values()
    assert entry["Name"] == "other"
    assert one.status.networks["web"].dns_names == ["other", one.id[:12]]
    await bench.service.rename("f" * 64, "nobody")
    await bench.service.forget(one.id)


async def test_ipam_of_the_user(bench: Bench) -> None:
    pool = IPAMConfig(subnet="10.5.0.0/24", gateway="10.5.0.254", ip_range="10.5.0.128/25")
    await create(bench, "web", ipam=IPAM(config=[pool]))
    await bench.run("c1", "web")
    assert bench.address("c1", "web") == "10.5.0.128"
    with pytest.raises(Forbidden, match="Pool overlaps"):
        await create(bench, "x", ipam=IPAM(config=[IPAMConfig(subnet="10.5.0.0/16")]))
