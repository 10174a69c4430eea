from __future__ import annotations

from pathlib import Path

import msgspec

from pierhead.engine.config import ContainerConfig, EndpointSettings, HostConfig
from pierhead.engine.containers.model import ContainerRecord
from pierhead.engine.networks.model import (
    IPAM,
    OPTION_BRIDGE_NAME,
    OPTION_MTU,
    IPAMConfig,
    NetworkCreate,
    NetworkRecord,
    Sandbox,
    SandboxRequest,
)


def test_the_api_names_are_right() -> None:
    body = b"""{"Name":"n","EnableIPv6":false,"IPAM":{"Driver":"default","Config":
    [{"Subnet":"10.0.0.0/24","IPRange":"10.0.0.0/28","Gateway":"10.0.0.1",
    "AuxiliaryAddresses":{"a":"10.0.0.9"}}]},"CheckDuplicate":true,"Unknown":1}"""
    got = msgspec.json.decode(body, type=NetworkCreate)
    assert got.ipam is not None and got.ipam.config is not None
    assert got.ipam.config[0] == IPAMConfig(
        subnet="10.0.0.0/24",
        ip_range="10.0.0.0/28",
        gateway="10.0.0.1",
        aux_address={"a": "10.0.0.9"},
    )
    assert got.enable_ipv6 is False and got.enable_ipv4 is None


def test_what_a_record_knows_of_its_bridge() -> None:
    ipam = IPAM(config=[IPAMConfig(subnet="10.0.0.0/24", gateway="10.0.0.1")])
    plain = NetworkRecord(id="a" * 64, name="n", created_ns=1, ipam=ipam)
    assert (plain.bridge, str(plain.gateway), plain.mtu) == ("br-" + "a" * 12, "10.0.0.1/24", 0)
    options = {OPTION_BRIDGE_NAME: "mine0", OPTION_MTU: "1400"}
    named = msgspec.structs.replace(plain, options=options)
    assert (named.bridge, named.mtu) == ("mine0", 1400)
    assert msgspec.json.decode(msgspec.json.encode(named), type=NetworkRecord) == named


def test_a_request_of_a_record() -> None:
    record = ContainerRecord(
        id="c" * 64,
        name="web",
        created_ns=1,
        image_id="",
        image_ref="",
        chain_id=None,
        path="sh",
        args=[],
        config=ContainerConfig(hostname="box", exposed_ports={"80/tcp": {}}),
        host_config=HostConfig(network_mode="net", dns=["1.1.1.1"]),
        networks={"net": EndpointSettings()},
    )
    request = SandboxRequest.of(record, Path("/x"))
    assert (request.mode, request.exposed, request.dns) == ("net", ("80/tcp",), ["1.1.1.1"])
    assert list(request.networks) == ["net"]


async def test_a_sandbox_is_let_go_once() -> None:
    calls: list[int] = []
    path = Path("/x")
    sandbox = Sandbox(
        hosts_path=path,
        hostname_path=path,
        resolv_conf_path=path,
        netns_fd=3,
        on_release=lambda: calls.append(1),
    )
    await sandbox.ready()
    sandbox.release()
    sandbox.release()
    assert calls == [1] and sandbox.netns_fd is None
