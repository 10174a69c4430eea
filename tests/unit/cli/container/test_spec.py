"""Bodies of create requests; they were compared with the docker CLI's, flag by flag."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from pierhead.cli.container.options import CREATE_FLAGS
from pierhead.cli.container.spec import build, restart_policy
from pierhead.cli.errors import CliError
from pierhead.cli.flags import parse

BASE = {"Image": "i", "AttachStdin": False, "AttachStdout": True, "AttachStderr": True}


def body(line: str) -> dict[str, Any]:
    options, args = parse(CREATE_FLAGS, shlex.split(line), interspersed=False)
    return build(options, args[0], args[1:])


def host(line: str) -> dict[str, Any]:
    found = dict(body(line + " i")["HostConfig"])
    found.pop("NetworkMode")
    return found


def config(line: str) -> dict[str, Any]:
    found = body(line + " i")
    del found["HostConfig"]
    return {key: value for key, value in found.items() if BASE.get(key, ...) != value}


def test_nothing_but_what_was_asked_for() -> None:
    assert body("i") == {**BASE, "HostConfig": {"NetworkMode": "default"}}
    assert body("i cmd -x")["Cmd"] == ["cmd", "-x"]


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("-i", {"AttachStdin": True, "OpenStdin": True, "StdinOnce": True}),
        ("-t", {"Tty": True}),
        ("-a stdin", {"AttachStdin": True, "AttachStdout": False, "AttachStderr": False}),
        (
            "-i -a stdout",
            {"AttachStdin": True, "OpenStdin": True, "StdinOnce": True, "AttachStderr": False},
        ),
        (
            "-h n --domainname d -u 1:2 -w /w",
            {"Hostname": "n", "Domainname": "d", "User": "1:2", "WorkingDir": "/w"},
        ),
        ("--entrypoint e", {"Entrypoint": ["e"]}),
        ("--entrypoint=", {"Entrypoint": [""]}),
        ("-e A=1 -e B=2 -e A=3", {"Env": ["A=3", "B=2"]}),
        ("-l a=b -l c", {"Labels": {"a": "b", "c": ""}}),
        ("--stop-signal TERM --stop-timeout 0", {"StopSignal": "TERM", "StopTimeout": 0}),
        ("--expose 80", {"ExposedPorts": {"80/tcp": {}}}),
        ("--no-healthcheck", {"Healthcheck": {"Test": ["NONE"]}}),
        (
            "--health-cmd 'a b' --health-interval 5s --health-retries 3",
            {"Healthcheck": {"Test": ["CMD-SHELL", "a b"], "Interval": 5 * 10**9, "Retries": 3}},
        ),
        ("-v /anon", {"Volumes": {"/anon": {}}}),
    ],
)
def test_config(line: str, fields: dict[str, Any]) -> None:
    assert config(line) == fields


@pytest.mark.parametrize(
    ("line", "fields"),
    [
        ("-v n:/x:ro -v /a:/b -v n:/x:ro", {"Binds": ["n:/x:ro", "/a:/b"]}),
        (
            "--rm --init --privileged --read-only -P",
            {
                "AutoRemove": True,
                "Init": True,
                "Privileged": True,
                "ReadonlyRootfs": True,
                "PublishAllPorts": True,
            },
        ),
        ("--init=false", {"Init": False}),
        ("--tmpfs /a --tmpfs /b:size=1m", {"Tmpfs": {"/a": "", "/b": "size=1m"}}),
        (
            "--restart on-failure:3",
            {"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}},
        ),
        ("--cap-add all --cap-drop net_raw", {"CapAdd": ["ALL"], "CapDrop": ["CAP_NET_RAW"]}),
        ("--cap-add CAP_X --cap-drop x --cap-drop y", {"CapAdd": ["CAP_X"], "CapDrop": ["CAP_Y"]}),
        (
            "--device /dev/a --device /dev/b:/dev/c:r --device /dev/d:rw",
            {
                "Devices": [
                    {
                        "PathOnHost": "/dev/a",
                        "PathInContainer": "/dev/a",
                        "CgroupPermissions": "rwm",
                    },
                    {"PathOnHost": "/dev/b", "PathInContainer": "/dev/c", "CgroupPermissions": "r"},
                    {
                        "PathOnHost": "/dev/d",
                        "PathInContainer": "/dev/d",
                        "CgroupPermissions": "rw",
                    },
                ]
            },
        ),
        ("--device v.com/c=n", {"DeviceRequests": [{"Driver": "cdi", "DeviceIDs": ["v.com/c=n"]}]}),
        ("--log-driver none", {"LogConfig": {"Type": "none", "Config": {}}}),
        ("--log-opt a=b", {"LogConfig": {"Type": "", "Config": {"a": "b"}}}),
        (
            "--security-opt no-new-privileges --security-opt seccomp=unconfined",
            {"SecurityOpt": ["no-new-privileges", "seccomp=unconfined"]},
        ),
        ("--security-opt systempaths=unconfined", {"MaskedPaths": [], "ReadonlyPaths": []}),
        ("--storage-opt size=1G", {"StorageOpt": {"size": "1G"}}),
        (
            "--ulimit nofile=1 --ulimit core=2 --ulimit nofile=3",
            {
                "Ulimits": [
                    {"Name": "core", "Hard": 2, "Soft": 2},
                    {"Name": "nofile", "Hard": 3, "Soft": 3},
                ]
            },
        ),
        (
            "-m 64m --memory-swap -1 --cpus 1.5 --pids-limit -1 -c 5",
            {
                "Memory": 64 << 20,
                "MemorySwap": -1,
                "NanoCpus": 15 * 10**8,
                "PidsLimit": -1,
                "CpuShares": 5,
            },
        ),
        (
            "--dns 1.1.1.1 --dns-opt a --dns-option b --dns-search .",
            {"Dns": ["1.1.1.1"], "DnsOptions": ["a", "b"], "DnsSearch": ["."]},
        ),
        (
            "--sysctl net.a=1 --annotation x=y",
            {"Sysctls": {"net.a": "1"}, "Annotations": {"x": "y"}},
        ),
        ("--link a:b", {"Links": ["a:b"]}),
        ("--memory-swappiness 0", {"MemorySwappiness": 0}),
    ],
)
def test_host_config(line: str, fields: dict[str, Any]) -> None:
    assert host(line) == fields


@pytest.mark.parametrize(
    ("line", "mode", "endpoints"),
    [
        ("--network host", "host", None),
        ("--network n", "n", {"n": {}}),
        ("--net n --network m", "n", {"n": {}, "m": {}}),
        (
            "--network name=n,alias=a,ip=1.2.3.4",
            "n",
            {"n": {"Aliases": ["a"], "IPAMConfig": {"IPv4Address": "1.2.3.4"}}},
        ),
        (
            "--network n --network-alias a --link b:c --ip6 ::1",
            "n",
            {"n": {"Aliases": ["a"], "Links": ["b:c"], "IPAMConfig": {"IPv6Address": "::1"}}},
        ),
        ("--ip 1.2.3.4", "default", {"default": {"IPAMConfig": {"IPv4Address": "1.2.3.4"}}}),
        (
            "--mac-address 92:d0:c6:0a:29:33",
            "default",
            {"default": {"MacAddress": "92:d0:c6:0a:29:33"}},
        ),
    ],
)
def test_networks(line: str, mode: str, endpoints: dict[str, Any] | None) -> None:
    found = body(line + " i")
    assert found["HostConfig"]["NetworkMode"] == mode
    assert found.get("NetworkingConfig", {}).get("EndpointsConfig") == endpoints


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--mac-address x", "x is not a valid mac address"),
        ("--memory-swappiness 200", "Valid memory swappiness range is 0-100"),
        ("-v ''", "invalid empty volume spec"),
        ("-v /a:", "invalid spec: /a:: empty section between colons"),
        ("-p x", "invalid containerPort: x"),
        ("--device x", "x is not an absolute path"),
        ("--device /a:/b:q", "bad mode specified: q"),
        ("--device a:b:c:d", "bad format for path: a:b:c:d"),
        ("--env-file /nonexistent", "open /nonexistent: no such file or directory"),
        ("--pid x", "--pid: invalid PID mode"),
        ("--pid container:", "--pid: invalid PID mode"),
        ("--uts x", "--uts: invalid UTS mode"),
        ("--userns x", "--userns: invalid USER mode"),
        ("--cgroupns x", "--cgroupns: invalid CGROUP mode"),
        ("--restart always --rm", "cannot specify both --restart and --rm"),
        ("--log-driver none --log-opt a=b", "invalid logging opts for driver none"),
        ("--security-opt x", 'Invalid --security-opt: "x"'),
        ("--security-opt seccomp=/nonexistent", "opening seccomp profile (/nonexistent) failed"),
        ("--storage-opt x", "invalid storage option"),
        ("--no-healthcheck --health-cmd x", "--no-healthcheck conflicts with --health-* options"),
        ("--health-interval -1s", "--health-interval cannot be negative"),
        ("--network ''", "no name set for network"),
        ("--network n --network n", 'network "n" is specified multiple times'),
        ("--network n --network host", "cannot attach both user-defined and non-user-defined"),
        ("--network-alias a", "network-scoped aliases are only supported for user-defined"),
        ("--network name=n,ip=1.2.3.4 --ip 1.2.3.5", "both --ip and per-network IPv4 address"),
        ("--network name=n,mac-address=x", "x is not a valid mac address"),
    ],
)
def test_contradictions(line: str, message: str) -> None:
    with pytest.raises(CliError) as caught:
        body(line + " i")
    assert message in caught.value.message


def test_a_seccomp_profile_is_sent_along(tmp_path: Path) -> None:
    profile = tmp_path / "p.json"
    profile.write_text('{\n "defaultAction": "SCMP_ACT_ALLOW"\n}\n')
    assert host(f"--security-opt seccomp={profile}") == {
        "SecurityOpt": ['seccomp={"defaultAction":"SCMP_ACT_ALLOW"}']
    }
    profile.write_text("{")
    with pytest.raises(CliError, match="compacting json for seccomp profile"):
        host(f"--security-opt seccomp={profile}")


def test_relative_binds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert host("-v .:/a -v ./x:/b:ro") == {"Binds": [f"{tmp_path}:/a", f"{tmp_path}/x:/b:ro"]}


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        ("", {"Name": ""}),
        ("no", {"Name": "no"}),
        ("always:", {"Name": "always"}),
        ("on-failure:-1", {"Name": "on-failure", "MaximumRetryCount": -1}),
    ],
)
def test_restart_policies(text: str, policy: dict[str, Any]) -> None:
    assert restart_policy(text) == policy


@pytest.mark.parametrize("text", [":3", "on-failure:x", "a:b:c"])
def test_no_restart_policies(text: str) -> None:
    with pytest.raises(ValueError, match="invalid restart policy format"):
        restart_policy(text)
