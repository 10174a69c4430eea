from __future__ import annotations

import pytest

from pierhead.engine.config import (
    ContainerConfig,
    DeviceMapping,
    HostConfig,
    PortBinding,
    RestartPolicy,
    Ulimit,
)
from pierhead.engine.containers.check_host import check_host_config
from pierhead.engine.containers.check_resources import HostFacts
from pierhead.errors import InvalidParameter

FACTS = HostFacts(cpus=2, controllers=frozenset({"memory", "cpu", "cpuset", "pids", "blkio"}))


def check(config: ContainerConfig | None = None, **fields: object) -> tuple[HostConfig, list[str]]:
    host = HostConfig(**fields)  # type: ignore[arg-type]
    warnings = check_host_config(host, config or ContainerConfig(), FACTS, runtimes=["crun"])
    return host, warnings


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"auto_remove": True, "restart_policy": RestartPolicy(name="always")},
            "can't create 'AutoRemove' container with restart policy",
        ),
        (
            {"restart_policy": RestartPolicy(name="sometimes")},
            "invalid restart policy: unknown policy 'sometimes'; use one of 'no', 'always', "
            "'on-failure', or 'unless-stopped'",
        ),
        (
            {"restart_policy": RestartPolicy(name="always", maximum_retry_count=3)},
            "invalid restart policy: maximum retry count can only be used with 'on-failure'",
        ),
        (
            {"restart_policy": RestartPolicy(name="on-failure", maximum_retry_count=-1)},
            "invalid restart policy: maximum retry count cannot be negative",
        ),
        ({"cap_add": ["FLY"]}, 'invalid CapAdd: unknown capability: "FLY"'),
        ({"cap_drop": ["FLY"]}, 'invalid CapDrop: unknown capability: "FLY"'),
        (
            {"annotations": {"": "x"}},
            "invalid Annotations: the empty string is not permitted as an annotation key",
        ),
        ({"extra_hosts": ["nope"]}, 'bad format for add-host: "nope"'),
        ({"extra_hosts": ["a:1.2.3"]}, 'invalid IP address in add-host: "1.2.3"'),
        ({"ipc_mode": "x"}, "invalid IPC mode: x"),
        ({"pid_mode": "container:"}, "invalid PID mode: container:"),
        ({"uts_mode": "x"}, "invalid UTS mode: x"),
        ({"cgroupns_mode": "x"}, "invalid cgroup namespace mode: x"),
        ({"shm_size": -1}, "SHM size can not be less than 0"),
        (
            {"oom_score_adj": 1001},
            "Invalid value 1001, range for oom score adj is [-1000, 1000]",
        ),
        ({"device_cgroup_rules": ["z 1:1 r"]}, "invalid device cgroup rule format: 'z 1:1 r'"),
        (
            {"devices": [DeviceMapping(path_on_host="/dev/x", cgroup_permissions="rx")]},
            "invalid device mode: rx, use letters of rwm",
        ),
        ({"runtime": "spaceship"}, "unknown or invalid runtime name: spaceship"),
        ({"security_opt": ["what"]}, 'invalid --security-opt 1: "what"'),
        ({"security_opt": ["what=x"]}, 'invalid --security-opt 2: "what=x"'),
        ({"ulimits": [Ulimit(name="x")]}, "invalid ulimit type: x"),
        (
            {"ulimits": [Ulimit(name="nofile", soft=9, hard=8)]},
            "ulimit soft limit must be less than or equal to hard limit: 9 > 8",
        ),
        (
            {"port_bindings": {"80/tcp": [PortBinding(host_port="http")]}},
            "invalid port 'http': invalid syntax",
        ),
        (
            {"port_bindings": {"80/tcp": [PortBinding(host_ip="x", host_port="1")]}},
            'invalid IP address in HostIp: "x"',
        ),
        ({"isolation": "hyperv"}, "invalid isolation (hyperv): linux only supports 'default'"),
        (
            {"network_mode": "container:"},
            "invalid network mode: invalid container format container:<name|id>",
        ),
        (
            {"network_mode": "container:x", "dns": ["1.1.1.1"]},
            "conflicting options: dns and the network mode",
        ),
        (
            {"network_mode": "container:x", "publish_all_ports": True},
            "conflicting options: port publishing and the container type network mode",
        ),
        (
            {"network_mode": "host", "links": ["a:b"]},
            "conflicting options: host type networking can't be used with links. "
            "This would result in undefined behavior",
        ),
    ],
)
def test_refusals(fields: dict[str, object], text: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check(**fields)
    assert caught.value.message == text


def test_hostname_and_shared_namespaces() -> None:
    named = ContainerConfig(hostname="h")
    with pytest.raises(InvalidParameter, match="hostname and the network mode"):
        check(named, network_mode="container:x")
    with pytest.raises(InvalidParameter, match="hostname and the UTS mode"):
        check(named, uts_mode="host")
    check(named, network_mode="host")


def test_capabilities_are_normalised() -> None:
    host, _ = check(cap_add=["net_admin", "ALL"], cap_drop=["CAP_CHOWN"])
    assert host.cap_add == ["CAP_NET_ADMIN", "ALL"]
    assert host.cap_drop == ["CAP_CHOWN"]


def test_warnings() -> None:
    _, warnings = check(network_mode="host", port_bindings={"80/tcp": [PortBinding()]})
    assert warnings == ["Published ports are discarded when using host network mode"]


def test_good_ones_pass() -> None:
    check(
        extra_hosts=["a:1.2.3.4", "b:host-gateway", "c=::1", "d:[::1]"],
        security_opt=["no-new-privileges", "seccomp=unconfined", "label:disable", "apparmor=x"],
        ulimits=[Ulimit(name="nofile", soft=5, hard=-1)],
        device_cgroup_rules=["c 10:* rwm", "a *:* r"],
        ipc_mode="container:x",
        restart_policy=RestartPolicy(name="on-failure", maximum_retry_count=3),
        tmpfs={"/run": "size=1m"},
    )
