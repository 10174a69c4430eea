from __future__ import annotations

import json
from typing import Any

import pytest

from pierhead.oci import capabilities
from pierhead.oci import runtime_spec as rs


def inputs(**changes: Any) -> rs.SpecInputs:
    values: dict[str, Any] = {
        "args": ["true"],
        "env": ["PATH=/bin"],
        "capabilities": capabilities.effective(),
        "cgroups_path": "/pierhead/x",
    }
    return rs.SpecInputs(**{**values, **changes})


def mounts(spec: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {mount["destination"]: mount for mount in spec["mounts"]}


def namespaces(spec: dict[str, Any]) -> dict[str, str | None]:
    return {entry["type"]: entry.get("path") for entry in spec["linux"]["namespaces"]}


def test_the_default_is_docker_s() -> None:
    spec = rs.build_spec(inputs(hostname="h"))
    json.dumps(spec)
    assert spec["ociVersion"] == "1.0.2"
    assert spec["hostname"] == "h"
    assert set(mounts(spec)) == {
        "/proc",
        "/dev",
        "/dev/pts",
        "/sys",
        "/sys/fs/cgroup",
        "/dev/mqueue",
        "/dev/shm",
    }
    assert "ro" in mounts(spec)["/sys"]["options"]
    assert "size=67108864" in mounts(spec)["/dev/shm"]["options"]
    assert set(namespaces(spec)) == {"mount", "network", "pid", "ipc", "uts", "cgroup"}
    assert "/proc/kcore" in spec["linux"]["maskedPaths"]
    assert "/proc/sys" in spec["linux"]["readonlyPaths"]
    assert spec["process"]["capabilities"]["effective"] == list(capabilities.DEFAULT)
    assert "inheritable" not in spec["process"]["capabilities"]
    assert spec["linux"]["resources"]["devices"][0] == {"allow": False, "access": "rwm"}


def test_a_user_holds_no_capabilities_but_may_regain_them() -> None:
    process = rs.build_process(inputs(user=rs.User(uid=1000, gid=50, additional_gids=[4, 5])))
    assert process["user"] == {"uid": 1000, "gid": 50, "additionalGids": [50, 4, 5]}
    assert process["capabilities"]["effective"] == []
    assert process["capabilities"]["bounding"] == list(capabilities.DEFAULT)


def test_privileged() -> None:
    spec = rs.build_spec(inputs(privileged=True))
    assert spec["linux"]["maskedPaths"] == []
    assert spec["linux"]["readonlyPaths"] == []
    assert "seccomp" not in spec["linux"]
    assert spec["linux"]["resources"]["devices"] == [{"allow": True, "access": "rwm"}]
    assert "ro" not in mounts(spec)["/sys"]["options"]
    assert "ro" not in mounts(spec)["/sys/fs/cgroup"]["options"]


def test_a_read_only_root_keeps_what_must_be_written() -> None:
    spec = rs.build_spec(inputs(readonly_rootfs=True))
    assert spec["root"]["readonly"] is True
    assert "ro" not in mounts(spec)["/dev"]["options"]
    assert "ro" not in mounts(spec)["/dev/shm"]["options"]
    assert mounts(spec)["/sys"]["options"].count("ro") == 1


def test_namespaces_of_others_and_of_the_host() -> None:
    spec = rs.build_spec(
        inputs(network="/proc/1/fd/5", pid=None, ipc="/proc/2/ns/ipc", uts=None, hostname="h")
    )
    found = namespaces(spec)
    assert found["network"] == "/proc/1/fd/5"
    assert found["ipc"] == "/proc/2/ns/ipc"
    assert "pid" not in found
    assert "uts" not in found
    assert "hostname" not in spec
    assert "sysctl" not in spec["linux"]


def test_sysctls() -> None:
    spec = rs.build_spec(inputs(sysctls={"net.core.somaxconn": "9"}, domainname="d"))
    assert spec["linux"]["sysctl"] == {
        "net.ipv4.ip_unprivileged_port_start": "0",
        "net.ipv4.ping_group_range": "0 2147483647",
        "kernel.domainname": "d",
        "net.core.somaxconn": "9",
    }


def test_the_user_s_mounts_replace_and_come_outermost_first() -> None:
    bind = {"type": "bind", "source": "/x", "options": ["rbind"]}
    asked = [
        {"destination": "/a/b/c", **bind},
        {"destination": "/a", **bind},
        {"destination": "/dev/shm", **bind},
    ]
    spec = rs.build_spec(inputs(mounts=asked, tmpfs={"/run": "size=1m,exec"}))
    order = [mount["destination"] for mount in spec["mounts"]]
    assert order.count("/dev/shm") == 1
    assert mounts(spec)["/dev/shm"]["type"] == "bind"
    assert order.index("/a") < order.index("/a/b/c")
    assert order.index("/dev") < order.index("/dev/shm")
    assert mounts(spec)["/run"]["options"] == ["noexec", "nosuid", "nodev", "size=1m", "exec"]


def test_mounting_dev_takes_its_children_away() -> None:
    asked = [{"destination": "/dev", "type": "bind", "source": "/dev", "options": ["rbind"]}]
    spec = rs.build_spec(inputs(mounts=asked))
    assert [name for name in mounts(spec) if name.startswith("/dev")] == ["/dev"]


def test_shm_from_elsewhere_and_its_size() -> None:
    assert mounts(rs.build_spec(inputs(shm_path="/dev/shm")))["/dev/shm"]["type"] == "bind"
    assert "size=9" in mounts(rs.build_spec(inputs(shm_size=9)))["/dev/shm"]["options"]


@pytest.mark.parametrize(
    ("options", "propagation"),
    [(["rbind"], None), (["rbind", "rslave"], "rslave"), (["rbind", "rshared"], "shared")],
)
def test_root_propagation_follows_the_mounts(options: list[str], propagation: str | None) -> None:
    asked = [{"destination": "/a", "type": "bind", "source": "/x", "options": options}]
    spec = rs.build_spec(inputs(mounts=asked))
    assert spec["linux"].get("rootfsPropagation") == propagation


def test_an_init_wraps_the_command() -> None:
    spec = rs.build_spec(inputs(init_binary="/usr/bin/tini-static"))
    assert spec["process"]["args"] == ["/sbin/docker-init", "--", "true"]
    assert mounts(spec)["/sbin/docker-init"]["source"] == "/usr/bin/tini-static"


def test_seccomp_in_both_forms() -> None:
    spec = rs.build_spec(inputs(seccomp={"defaultAction": "SCMP_ACT_ERRNO"}, seccomp_bpf="QUI="))
    assert spec["linux"]["seccomp"] == {"defaultAction": "SCMP_ACT_ERRNO"}
    assert spec["annotations"] == {"run.oci.seccomp_bpf_data": "QUI="}


def test_the_compiled_form_never_goes_alone() -> None:
    spec = rs.build_spec(inputs(seccomp_bpf="QUI="))
    assert "seccomp" not in spec["linux"]
    assert "annotations" not in spec


def test_devices_are_made_and_allowed() -> None:
    device = rs.Device(path="/dev/fuse", type="c", major=10, minor=229, access="rw")
    rule = rs.DeviceRule(type="c", major=42, access="r")
    linux = rs.build_spec(inputs(devices=[device], device_rules=[rule]))["linux"]
    assert linux["devices"][0]["path"] == "/dev/fuse"
    assert linux["resources"]["devices"][-2:] == [
        {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        {"allow": True, "type": "c", "access": "r", "major": 42},
    ]


def test_terminal_size_and_limits() -> None:
    process = rs.build_process(
        inputs(terminal=True, console_size=(24, 80), rlimits=[("nofile", 1, -1)], oom_score_adj=7)
    )
    assert process["consoleSize"] == {"height": 24, "width": 80}
    assert process["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": (1 << 64) - 1}]
    assert process["oomScoreAdj"] == 7


@pytest.mark.parametrize(
    ("asked", "result"),
    [
        ({}, {}),
        ({"memory": 100}, {"memory": {"limit": 100, "swap": 200}}),
        ({"memory": 100, "swap_accounting": False}, {"memory": {"limit": 100}}),
        ({"memory": 100, "memory_swap": -1}, {"memory": {"limit": 100, "swap": -1}}),
        ({"nano_cpus": 1_500_000_000}, {"cpu": {"period": 100_000, "quota": 150_000}}),
        ({"cpu_shares": 512, "cpuset_cpus": "0"}, {"cpu": {"shares": 512, "cpus": "0"}}),
        ({"pids_limit": 0}, {}),
        ({"pids_limit": -1}, {"pids": {"limit": -1}}),
        ({"oom_kill_disable": True}, {"memory": {"disableOOMKiller": True}}),
        (
            {"blkio_weight": 300, "blkio_read_bps": [rs.DeviceRate(major=8, minor=0, rate=5)]},
            {
                "blockIO": {
                    "weight": 300,
                    "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 5}],
                }
            },
        ),
    ],
)
def test_resources(asked: dict[str, Any], result: dict[str, Any]) -> None:
    assert rs.build_resources(rs.Resources(**asked)) == result


def test_the_environment() -> None:
    assert rs.container_env(["A=1", "PATH=/x", "TERM"], hostname="h", terminal=True) == [
        "PATH=/x",
        "HOSTNAME=h",
        "A=1",
    ]
    assert "TERM=xterm" in rs.container_env([], hostname="h", terminal=True)
