from __future__ import annotations

import json
from typing import Any

from pierhead.engine.config import ContainerConfig
from pierhead.engine.containers import pause, start
from pierhead.engine.containers.listing import command, form_of, list_json, status_text
from pierhead.engine.containers.model import HealthStatus, Phase
from pierhead.engine.filters import Filters
from support.containers import World

SECOND = 1_000_000_000


async def listed(world: World, **options: Any) -> list[dict[str, Any]]:
    given: dict[str, Any] = {"all": True, "limit": 0, "size": False, "filters": Filters()}
    found: list[dict[str, Any]] = json.loads(await list_json(world.ctx, **{**given, **options}))
    return found


async def test_a_summary(world: World) -> None:
    config = ContainerConfig(image="busybox", cmd=["sh", "-c", "echo a"], labels={"x": "y"})
    made = await world.create(config=config)
    await start.start(world.ctx, made)
    (found,) = await listed(world, all=False)
    assert found["Id"] == made.id and found["Names"] == ["/one"]
    assert (found["Image"], found["ImageID"]) == ("busybox", "sha256:1")
    assert found["Command"] == "sh -c 'echo a'"
    assert found["State"] == "running" and found["Status"].startswith("Up ")
    assert found["Ports"] == [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"}
    ]
    assert found["Labels"] == {"of": "image", "x": "y"}
    assert found["Health"] == {"Status": "none", "FailingStreak": 0}


async def test_newest_first_and_limits(world: World) -> None:
    for name in ("aa", "bb", "cc"):
        await world.create(name)
    assert [c["Names"][0] for c in await listed(world)] == ["/cc", "/bb", "/aa"]
    assert [c["Names"][0] for c in await listed(world, all=False, limit=2)] == ["/cc", "/bb"]
    assert await listed(world, all=False) == []


async def test_what_is_kept_follows_every_change(world: World) -> None:
    made = await world.create()
    assert (await listed(world))[0]["State"] == "created"
    await start.start(world.ctx, made)
    assert (await listed(world))[0]["State"] == "running"
    await pause.pause(world.ctx, made)
    (found,) = await listed(world)
    assert found["State"] == "paused" and found["Status"].endswith("(Paused)")


async def test_older_versions_and_sizes(world: World) -> None:
    await world.create(annotations={"a": "b"})
    assert "Health" in (await listed(world, api=52))[0]
    (old,) = await listed(world, api=45)
    assert "Health" not in old and "Annotations" not in old["HostConfig"]
    (sized,) = await listed(world, size=True)
    assert (sized["SizeRw"], sized["SizeRootFs"]) == (100, 1100)
    assert [form_of(api) for api in (24, 45, 46, 48, 51, 52, 99)] == [0, 0, 46, 48, 48, 52, 52]


async def test_half_made_ones_are_not_shown(world: World) -> None:
    made = await world.create()
    made.status.creating = True
    assert await listed(world) == []


async def test_status_texts(world: World) -> None:
    made = await world.create()
    status = made.status
    now = 1_000 * SECOND

    def text(phase: Phase) -> str:
        status.phase = phase
        return status_text(made, now)

    assert text(Phase.CREATED) == "Created"
    status.started_ns = now - 120 * SECOND
    status.finished_ns = now - 7200 * SECOND
    status.exit_code = 3
    assert text(Phase.EXITED) == "Exited (3) 2 hours ago"
    assert text(Phase.RESTARTING) == "Restarting (3) 2 hours ago"
    assert text(Phase.DEAD) == "Dead"
    assert text(Phase.REMOVING) == "Removal In Progress"
    assert text(Phase.RUNNING) == "Up 2 minutes"
    status.health = HealthStatus()
    assert text(Phase.RUNNING) == "Up 2 minutes (health: starting)"
    status.health.status = "unhealthy"
    assert text(Phase.RUNNING) == "Up 2 minutes (unhealthy)"
    status.phase = Phase.EXITED


def test_commands() -> None:
    assert command("sh", []) == "sh"
    assert command("sh", ["-c", "a b"]) == "sh -c 'a b'"
