"""Create requests of all versions, after moby's postContainersCreate."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pierhead.api.handlers.create import adapt, decode_create
from pierhead.engine.config import (
    BindOptions,
    ContainerConfig,
    EndpointSettings,
    HealthConfig,
    HostConfig,
    Mount,
    NetworkingConfig,
    PortBinding,
    TmpfsOptions,
    VolumeOptions,
)
from pierhead.errors import InvalidParameter
from support.api import fake_engine, serving


def adapted(
    api: int,
    config: ContainerConfig | None = None,
    host: HostConfig | None = None,
    **endpoints: EndpointSettings,
) -> tuple[ContainerConfig, HostConfig, NetworkingConfig, list[str]]:
    config, host = config or ContainerConfig(), host or HostConfig()
    networking = NetworkingConfig(endpoints_config=dict(endpoints) or None)
    return config, host, networking, adapt(config, host, networking, api)


def test_parts_of_the_body_and_their_names_in_errors() -> None:
    config, host, networking = decode_create(
        {"Image": "i", "hostconfig": {"Memory": 5}, "NetworkingConfig": None}
    )
    assert (config.image, host.memory, networking.endpoints_config) == ("i", 5, None)
    with pytest.raises(InvalidParameter, match=r"HostConfig\.Memory: expected an integer"):
        decode_create({"Image": "i", "HostConfig": {"Memory": "5"}})
    with pytest.raises(InvalidParameter, match="HostConfig"):
        decode_create({"Image": "i", "HostConfig": []})
    with pytest.raises(InvalidParameter, match="config cannot be empty"):
        decode_create({})


def test_default_network_is_the_bridge() -> None:
    endpoint = EndpointSettings(aliases=["a"])
    _, host, networking, _ = adapted(44, host=HostConfig(network_mode="default"), default=endpoint)
    assert host.network_mode == "bridge"
    assert networking.endpoints_config == {"bridge": endpoint}


def test_what_old_versions_meant() -> None:
    host = HostConfig(console_size=[1, 2], annotations={"a": "b"}, pids_limit=-1)
    config = ContainerConfig(healthcheck=HealthConfig(start_interval=5))
    adapt(config, host, NetworkingConfig(), 39)
    assert host.ipc_mode == "shareable"
    assert host.console_size is None and host.annotations is None and host.pids_limit is None
    assert config.healthcheck is not None and config.healthcheck.start_interval == 0


def test_several_networks_need_144() -> None:
    with pytest.raises(InvalidParameter, match="multiple network endpoints"):
        adapted(43, a=EndpointSettings(), b=EndpointSettings())
    adapted(44, a=EndpointSettings(), b=EndpointSettings())


def test_options_of_another_mount_type() -> None:
    def mount() -> HostConfig:
        return HostConfig(
            mounts=[
                Mount(type="bind", volume_options=VolumeOptions(), tmpfs_options=TmpfsOptions())
            ]
        )

    _, host, _, _ = adapted(41, host=mount())
    assert host.mounts is not None and host.mounts[0].volume_options is None
    with pytest.raises(InvalidParameter, match="VolumeOptions must not be specified on mount type"):
        adapted(42, host=mount())


@pytest.mark.parametrize(
    ("api", "mount", "words"),
    [
        (44, Mount(type="volume", volume_options=VolumeOptions(subpath="x")), "v1.45"),
        (47, Mount(type="image"), "v1.48"),
        (43, Mount(type="bind", bind_options=BindOptions(read_only_force_recursive=True)), "v1.44"),
    ],
)
def test_mounts_newer_than_the_version(api: int, mount: Mount, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        adapted(api, host=HostConfig(mounts=[mount]))


def test_read_only_binds_were_not_recursive_before_144() -> None:
    for api, want in ((43, True), (44, False)):
        _, host, _, _ = adapted(api, host=HostConfig(mounts=[Mount(type="bind", read_only=True)]))
        assert host.mounts is not None
        options = host.mounts[0].bind_options
        assert (options is not None and options.read_only_non_recursive) is want


def test_mac_address_by_version() -> None:
    mac = "02:42:ac:11:00:02"
    config, _, networking, warnings = adapted(43, ContainerConfig(mac_address=mac))
    assert config.mac_address == "" and not warnings
    assert networking.endpoints_config is not None
    assert networking.endpoints_config["bridge"].mac_address == mac
    _, _, networking, warnings = adapted(44, ContainerConfig(mac_address=mac))
    assert "deprecated" in warnings[0]
    _, _, networking, warnings = adapted(52, ContainerConfig(mac_address=mac))
    assert networking.endpoints_config is None and not warnings
    with pytest.raises(InvalidParameter, match="conflicting options"):
        adapted(43, ContainerConfig(mac_address=mac), HostConfig(network_mode="host"))
    with pytest.raises(InvalidParameter, match="must match"):
        adapted(44, ContainerConfig(mac_address=mac), bridge=EndpointSettings(mac_address="02::1"))
    _, _, networking, _ = adapted(43, bridge=EndpointSettings(mac_address=mac))
    assert networking.endpoints_config is not None
    assert networking.endpoints_config["bridge"].mac_address == ""


def test_sysctls_of_an_interface_move_to_its_endpoint() -> None:
    def host(name: str) -> HostConfig:
        return HostConfig(sysctls={f"net.ipv4.conf.{name}.forwarding": "1", "net.core.x": "2"})

    _, moved, networking, warnings = adapted(46, host=host("eth0"))
    assert moved.sysctls == {"net.core.x": "2"}
    assert networking.endpoints_config is not None
    assert networking.endpoints_config["bridge"].driver_opts == {
        "com.docker.network.endpoint.sysctls": "net.ipv4.conf.IFNAME.forwarding=1"
    }
    assert warnings[0].startswith("Migrated sysctl")
    with pytest.raises(InvalidParameter, match="driver option"):
        adapted(48, host=host("eth0"))
    with pytest.raises(InvalidParameter, match="unable to determine"):
        adapted(46, host=host("eth1"))


def test_empty_port_bindings_mean_any_port() -> None:
    _, host, _, warnings = adapted(51, host=HostConfig(port_bindings={"80/tcp": []}))
    assert host.port_bindings == {"80/tcp": [PortBinding()]} and not warnings
    *_, warnings = adapted(52, host=HostConfig(port_bindings={"80/tcp": None}))
    assert "80/tcp" in warnings[0]


def test_volume_driver_warning() -> None:
    host = HostConfig(volume_driver="local", mounts=[Mount(type="volume", target="/x")])
    *_, warnings = adapted(48, host=host)
    assert "volume-driver" in warnings[0]


async def test_the_call(tmp_path: Path) -> None:
    made: list[Any] = []

    async def create(*args: Any) -> tuple[str, list[str]]:
        made.append(args)
        return "c" * 64, ["careful"]

    engine = fake_engine(tmp_path, containers=SimpleNamespace(create=create))
    async with serving(engine, tmp_path) as ask:
        answer = await ask(
            "POST",
            "/v1.44/containers/create?name=web&platform=linux/amd64",
            {"Image": "busybox", "Cmd": "ls", "HostConfig": {"AutoRemove": True}},
        )
        assert answer.status == 201
        assert answer.json() == {"Id": "c" * 64, "Warnings": ["careful"]}
        name, config, host, _, platform = made[0]
        assert (name, config.image, config.cmd, platform) == (
            "web", "busybox", ["ls"], "linux/amd64"
        )  # fmt: skip
        assert host.auto_remove and host.network_mode == "bridge"
        legacy = await ask(
            "POST",
            "/v1.40/containers/create",
            {"Image": "x", "HostConfig": {"Capabilities": ["a"]}},
        )
        assert legacy.status == 400 and "Capabilities" in legacy.message
