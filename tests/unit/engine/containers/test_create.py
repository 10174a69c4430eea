from __future__ import annotations

import pytest

from pierhead.engine.config import ContainerConfig
from pierhead.engine.containers.registry import Registry
from pierhead.errors import Conflict, Internal, InvalidParameter, NotFound
from support.containers import World


async def test_a_record_that_outlives_us(world: World) -> None:
    made = await world.create(config=ContainerConfig(image="busybox", labels={"my": "label"}))
    assert len(made.id) == 64 and made.name == "one"
    record = made.record
    assert (record.path, record.args, record.image_id) == ("sh", [], "sha256:1")
    assert record.config.labels == {"of": "image", "my": "label"}
    assert record.config.hostname == made.id[:12]
    assert made.id in world.snapshots.keys
    again = Registry(world.db)
    again.load()
    assert again.get("one").record == record
    assert not again.get("one").status.creating
    assert world.events.seen == [
        ("create", {"of": "image", "my": "label", "image": "busybox", "name": "one"})
    ]


async def test_defaults_are_written_in(world: World) -> None:
    host = (await world.create(memory=64 << 20)).record.host_config
    assert host.memory_swap == 128 << 20
    assert (host.shm_size, host.ipc_mode, host.cgroupns_mode) == (64 << 20, "private", "host")
    assert host.log_config.type == "json-file" and host.restart_policy.name == "no"
    assert host.masked_paths and host.readonly_paths
    privileged = (await world.create("two", privileged=True)).record.host_config
    assert privileged.masked_paths is None and privileged.readonly_paths is None


async def test_names(world: World) -> None:
    first = await world.create("one")
    with pytest.raises(Conflict, match=f'"/one" is already in use by container "{first.id}"'):
        await world.create("one")
    assert "_" in (await world.create("")).name
    with pytest.raises(InvalidParameter, match="Invalid container name"):
        await world.create("bad name")


async def test_unknown_image(world: World) -> None:
    with pytest.raises(NotFound, match="No such image: nope:latest"):
        await world.create(config=ContainerConfig(image="nope"))
    assert world.ctx.registry.all() == []


async def test_nothing_stays_of_a_failure(world: World) -> None:
    world.volumes.fail = Internal("no space")
    with pytest.raises(Internal, match="no space"):
        await world.create("one")
    assert world.ctx.registry.all() == [] and world.snapshots.keys == set()
    assert world.volumes.calls == ["release True"] and world.events.seen == []
    world.volumes.fail = None
    await world.create("one")  # the name is free again


async def test_other_containers_by_name(world: World) -> None:
    other = await world.create("other")
    host = (await world.create("one", pid_mode="container:other")).record.host_config
    assert host.pid_mode == f"container:{other.id}"
    with pytest.raises(InvalidParameter, match="could not get container for nobody"):
        await world.create("two", links=["nobody:alias"])
