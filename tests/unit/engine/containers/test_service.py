from __future__ import annotations

import inspect
from typing import Any

import pytest

from pierhead.engine.config import ContainerConfig, HostConfig, NetworkingConfig
from pierhead.engine.containers import recovery
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.service import ContainerService
from pierhead.engine.filters import Filters
from pierhead.errors import NotFound
from support.containers import World


@pytest.fixture
async def service(world: World, monkeypatch: pytest.MonkeyPatch) -> ContainerService:
    monkeypatch.setattr(recovery, "kill_strays", lambda ctx, live: None)
    fakes: Any = world
    service = ContainerService(
        paths=world.paths,
        db=world.db,
        images=fakes.images,
        snapshots=fakes.snapshots,
        networks=fakes.networks,
        volumes=fakes.volumes,
        runtime=fakes.runtime,
        conmon=fakes.conmon,
        events=fakes.events,
        settings=world.ctx.settings,
    )
    service._ctx.__dict__.update(
        facts=world.ctx.facts, layout=world.ctx.layout, seccomp=world.ctx.seccomp
    )
    await service.recover()
    world.ctx = service._ctx
    return service


async def test_from_create_to_remove(service: ContainerService, world: World) -> None:
    container_id, warnings = await service.create(
        "one", ContainerConfig(image="busybox"), HostConfig(), NetworkingConfig()
    )
    assert warnings == [] and service.get("one").id == container_id
    waiter = service.register_wait("one", "next-exit")
    await service.start("one")
    assert service.images_in_use()["sha256:1"][0].name == "one"
    assert (await service.inspect("one"))["State"]["Running"]
    assert len(service.list(all=False, limit=0, filters=Filters(), size=False)) == 1
    await world.exit(service.get("one"), 2)
    assert await waiter == (2, None)
    await service.rename("one", "two")
    await service.remove("two")
    with pytest.raises(NotFound):
        service.get(container_id)


async def test_changes_of_the_network_room_are_kept(
    service: ContainerService, world: World
) -> None:
    await service.create("one", ContainerConfig(image="busybox"), HostConfig(), NetworkingConfig())
    made = service.get("one")
    made.status.sandbox_id = "changed"
    service.save(made)
    row = world.db.row("SELECT status FROM containers")
    assert row is not None and b"changed" in row[0]


async def test_shutdown_keeps_every_record(service: ContainerService) -> None:
    await service.create("one", ContainerConfig(image="busybox"), HostConfig(), NetworkingConfig())
    await service.start("one")
    await service.shutdown()
    assert service.get("one").status.phase is Phase.RUNNING


def test_every_verb_says_what_it_does() -> None:
    silent = [
        name
        for name, member in inspect.getmembers(ContainerService, inspect.isfunction)
        if not name.startswith("_") and not (member.__doc__ or _obvious(name))
    ]
    assert silent == []


def _obvious(name: str) -> bool:
    return name in {
        *("restart", "kill", "pause", "unpause", "rename", "remove", "resize"),
        *("exec_create", "exec_inspect", "exec_resize"),
    }
