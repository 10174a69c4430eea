from __future__ import annotations

from pathlib import Path

import pytest

from pierhead.engine.config import HostConfig, Ulimit
from pierhead.engine.containers import specinputs, start
from pierhead.errors import Conflict, InvalidParameter, Unavailable
from pierhead.oci.runtime_spec import NEW
from support.containers import World


def test_security_options() -> None:
    host = HostConfig(
        security_opt=["no-new-privileges", "seccomp=unconfined", "label:disable", "apparmor=a=b"]
    )
    assert specinputs.security_options(host) == {
        "no-new-privileges": "true",
        "seccomp": "unconfined",
        "label": "disable",
        "apparmor": "a=b",
    }
    assert specinputs.no_new_privileges_of({}, True)
    assert not specinputs.no_new_privileges_of({"no-new-privileges": "false"}, True)


async def test_seccomp(world: World, tmp_path: Path) -> None:
    def profile(asked: str = "", *, privileged: bool = False) -> object:
        options = {"seccomp": asked} if asked else {}
        host = HostConfig(privileged=privileged)
        return specinputs.seccomp_of(world.ctx, host, options, [])[0]

    assert profile() and profile("builtin") and profile('{"defaultAction": "x"}')
    assert profile("unconfined") is None and profile(privileged=True) is None
    file = tmp_path / "p.json"
    file.write_text("{}")
    assert profile(str(file))
    for bad in ("/nope", "{", "[1]"):
        with pytest.raises(InvalidParameter, match="seccomp profile failed"):
            profile(bad)


async def test_namespaces_of_others(world: World) -> None:
    made = await world.create("other")
    joined = specinputs._joined
    assert joined(world.ctx, "host", "pid") is None and joined(world.ctx, "", "pid") == NEW
    mode = f"container:{made.id}"
    with pytest.raises(Conflict, match="cannot join PID of a non running container"):
        joined(world.ctx, mode, "pid")
    with pytest.raises(InvalidParameter, match="non-shareable IPC"):
        joined(world.ctx, mode, "ipc")
    await start.start(world.ctx, made)
    assert joined(world.ctx, mode, "pid") == f"/proc/{made.status.pid}/ns/pid"


async def test_limits_of_daemon_and_container(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specinputs.limits, "allowed_rlimits", lambda wanted: (list(wanted), []))
    world.ctx.settings.default_ulimits = {
        "nofile": Ulimit(name="nofile", soft=1, hard=2),
        "core": Ulimit(name="core", soft=0, hard=0),
    }
    assert specinputs.rlimits_of(world.ctx, [Ulimit(name="nofile", soft=5, hard=6)]) == [
        ("nofile", 5, 6),
        ("core", 0, 0),
    ]


def test_device_rules() -> None:
    rule = specinputs._device_rule("c 10:* rw")
    assert (rule.type, rule.major, rule.minor, rule.access) == ("c", 10, None, "rw")


async def test_init(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(specinputs.shutil, "which", lambda name: None)
    with pytest.raises(Unavailable, match="apt-get install tini"):
        specinputs.init_binary(world.ctx)
    world.ctx.settings.init_path = "/my/init"
    assert specinputs.init_binary(world.ctx) == "/my/init"
