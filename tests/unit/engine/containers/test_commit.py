from __future__ import annotations

from typing import Any

from pierhead.engine.config import ContainerConfig, HealthConfig
from pierhead.engine.containers import start
from pierhead.engine.containers.commit import commit, run_config
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.model import Phase
from support.containers import World


async def do(world: World, made: Container, **more: Any) -> str:
    options: dict[str, Any] = {
        "repo": "mine",
        "tag": "",
        "author": "me",
        "comment": "why",
        "pause": True,
        "changes": ["ENV A=1"],
        "config": None,
    }
    return await commit(world.ctx, made, **{**options, **more})


async def test_paused_meanwhile(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    assert await do(world, made) == "sha256:2"
    assert world.runtime.calls == ["pause", "resume"] and made.status.phase is Phase.RUNNING
    (given,) = world.images.committed
    assert given["snapshot_key"] == made.id and given["changes"] == ["ENV A=1"]
    assert given["parent"].id == "sha256:1" and given["config"].cmd == ["sh"]
    action, attributes = world.events.seen[-1]
    assert (action, attributes["imageRef"]) == ("commit", "mine:latest")


async def test_without_pause_and_with_other_settings(world: World) -> None:
    made = await world.create()
    await start.start(world.ctx, made)
    await do(world, made, pause=False, config=ContainerConfig(cmd=["other"], env=["B=2"]))
    config = world.images.committed[0]["config"]
    assert config.cmd == ["other"] and config.env == ["B=2", "PATH=/bin"]
    assert world.runtime.calls == []


def test_run_config() -> None:
    found = run_config(
        ContainerConfig(user="u", healthcheck=HealthConfig(test=["CMD", "x"], retries=2))
    )
    assert found.user == "u" and found.healthcheck is not None
    assert (found.healthcheck.test, found.healthcheck.retries) == (["CMD", "x"], 2)
