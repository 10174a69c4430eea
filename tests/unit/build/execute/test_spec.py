"""A step's specification: what a build's RUN has that a container hasn't."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.build.execute import spec
from pierhead.build.execute.model import RunStep
from pierhead.build.model import Limits
from pierhead.errors import InvalidParameter
from pierhead.oci.runtime_spec import User, build_spec


def made(step: RunStep, **more: Any) -> dict[str, Any]:
    place = spec.Place(cgroups_path="/pierhead/build-1", network="/net", **more)
    rights = spec.Rights(capabilities=["CAP_CHOWN"], seccomp={"defaultAction": "SCMP_ACT_ALLOW"})
    return build_spec(spec.inputs(step, User(uid=5, gid=6), rights, place))


def test_the_process_is_the_step_s() -> None:
    step = RunStep(args=["/bin/sh", "-c", "x"], env=["A=1", "PATH=/p"], working_dir="/w")
    found = made(step, env={"TOKEN": "t"}, rlimits=[("nofile", 1, 2)])
    process = found["process"]
    assert process["args"] == ["/bin/sh", "-c", "x"] and process["cwd"] == "/w"
    assert process["env"] == ["PATH=/p", "A=1", "TOKEN=t"]
    assert process["user"] == {"uid": 5, "gid": 6, "additionalGids": [6]}
    assert process["rlimits"] == [{"type": "RLIMIT_NOFILE", "soft": 1, "hard": 2}]
    assert found["hostname"] == "buildkitsandbox"
    assert made(RunStep(args=["x"], hostname="h"))["hostname"] == "h"


def test_what_is_no_utf_8_is_replaced_as_docker_does() -> None:
    step = RunStep(args=["echo", "\udcff\u00e9"], env=["A=\udcff"])
    process = made(step)["process"]
    assert process["args"][1] == "\ufffd\u00e9" and process["env"][-1] == "A=\ufffd"


def test_namespaces_limits_and_insecure_steps() -> None:
    limits = Limits(memory=1 << 20, cpu_quota=5, shm_size=7)
    found = made(RunStep(args=["x"], limits=limits), shm_size=9)
    kinds = {one["type"]: one.get("path") for one in found["linux"]["namespaces"]}
    assert kinds["network"] == "/net" and "cgroup" not in kinds
    resources = found["linux"]["resources"]
    assert resources["memory"] == {"limit": 1 << 20, "swap": 2 << 20}
    assert resources["cpu"] == {"quota": 5}
    (shm,) = (one for one in found["mounts"] if one["destination"] == "/dev/shm")
    assert "size=7" in shm["options"]
    assert found["linux"]["maskedPaths"] and found["linux"]["seccomp"]
    insecure = made(RunStep(args=["x"], insecure=True), own_cgroups=True)
    assert insecure["linux"]["maskedPaths"] == []
    assert {"type": "cgroup"} in insecure["linux"]["namespaces"]


def test_hosts() -> None:
    assert spec.hosts_text("", [("db", "10.0.0.1")]) == (
        "127.0.0.1\tlocalhost buildkitsandbox\n"
        "::1\tlocalhost ip6-localhost ip6-loopback\n"
        "10.0.0.1\tdb\n"
    )


def test_ulimits_of_the_build_win() -> None:
    assert spec.rlimits([("nofile", 1, 2)], {"nofile": (3, 4), "core": (0, -1)}) == [
        ("nofile", 1, 2),
        ("core", 0, -1),
    ]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (["/bin/sh", "-c", "false"], '"/bin/sh -c false"'),
        (['a"b\\'], r'"a\"b\\"'),
        (["a\n\tb\x01é\u2028"], r'"a\n\tb\x01é\u2028"'),
    ],
)
def test_commands_are_quoted_as_go_does(args: list[str], text: str) -> None:
    assert spec.quoted(args) == text


def test_failures_are_told_in_buildkit_s_words() -> None:
    told = spec.failure(["false"], 1, out_of_memory=False, no_space=False)
    assert told == 'process "false" did not complete successfully: exit code: 1'
    assert spec.failure(["x"], 137, out_of_memory=True, no_space=True).endswith(
        "exit code: 137: cannot allocate memory"
    )
    assert spec.failure(["x"], 2, out_of_memory=False, no_space=True).endswith(
        "exit code: 2: no space left on device"
    )
    assert [spec.exit_code(status) for status in (0, 3, -9)] == [0, 3, 137]


def test_devices_are_refused_unless_optional() -> None:
    spec.check_devices(["vendor.com/gpu=all,required=false"])
    with pytest.raises(InvalidParameter, match="gpu=all is not available"):
        spec.check_devices(["vendor.com/gpu=all"])
