from __future__ import annotations

import pytest

from pierhead.engine.images.commit import EMPTY_TAR, merge
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import sha256
from pierhead.oci.image_config import HealthcheckConfig, RunConfig

from .conftest import World


def test_the_empty_tar() -> None:
    assert sha256(bytes(1024)) == EMPTY_TAR


async def test_a_commit_adds_a_layer_and_a_step(world: World) -> None:
    parent = world.images.resolve(world.image("base"))
    world.snapshots.diffs["key"] = b"changes"
    image_id = await world.images.commit(
        snapshot_key="key",
        parent=parent,
        config=RunConfig(),
        container_config=RunConfig(cmd=["sh", "-c", "x"], env=["A=1"], user="u"),
        author="me",
        comment="why",
        changes=["ENV B=2", "CMD new"],
        repo="made",
        container_id="f" * 64,
    )
    details = world.images.inspect("made:latest")
    assert (details["Id"], details["Parent"]) == (image_id, parent.id)
    assert (details["Author"], details["Comment"], details["Container"]) == ("me", "why", "f" * 64)
    config = details["Config"]
    assert (config["Cmd"], config["User"]) == (["/bin/sh", "-c", "new"], "u")
    assert config["Env"] == ["B=2", "A=1"]
    assert details["Size"] == parent.size_bytes + len(b"changes")
    newest = world.images.history(image_id)[0]
    assert (newest["CreatedBy"], newest["Comment"], newest["Size"]) == ("sh -c x", "why", 7)
    assert ("tag", image_id, "made:latest") in world.events.seen


async def test_a_container_that_changed_nothing_adds_no_layer(world: World) -> None:
    parent = world.images.resolve(world.image("base"))
    world.snapshots.diffs["key"] = bytes(1024)
    image_id = await world.images.commit(
        snapshot_key="key", parent=parent, config=RunConfig(), comment="same"
    )
    image = world.images.resolve(image_id)
    assert image.chains == parent.chains
    assert image.config.history[-1].empty_layer
    assert len(world.snapshots.layers()) == 1


async def test_bad_changes_and_names_make_nothing(world: World) -> None:
    parent = world.images.resolve(world.image("base"))
    world.snapshots.diffs["key"] = b"x"
    for kwargs in ({"changes": ["RUN x"]}, {"repo": "UPPER"}, {"repo": "a", "tag": "b c"}):
        with pytest.raises(InvalidParameter):
            await world.images.commit(
                snapshot_key="key",
                parent=parent,
                config=RunConfig(),
                **kwargs,  # type: ignore[arg-type]
            )
    assert len(world.images) == 1


async def test_a_failing_snapshot_makes_nothing(world: World) -> None:
    with pytest.raises(KeyError):
        await world.images.commit(snapshot_key="missing", parent=None, config=RunConfig())
    assert len(world.images) == 0


def test_merging_fills_what_is_left_open() -> None:
    config = RunConfig(
        env=["A=new"],
        labels={"x": "1"},
        healthcheck=HealthcheckConfig(interval=5),
        volumes={"/a": {}},
    )
    merge(
        config,
        RunConfig(
            env=["A=old", "B=2"],
            labels={"x": "0", "y": "2"},
            user="u",
            cmd=["c"],
            entrypoint=["e"],
            working_dir="/w",
            volumes={"/b": {}},
            exposed_ports={"80/tcp": {}},
            healthcheck=HealthcheckConfig(test=["CMD", "x"], interval=9, retries=3),
            stop_signal="QUIT",
            stop_timeout=3,
            shell=["/bin/bash"],
        ),
    )
    assert config == RunConfig(
        env=["A=new", "B=2"],
        labels={"x": "1", "y": "2"},
        user="u",
        cmd=["c"],
        entrypoint=["e"],
        working_dir="/w",
        volumes={"/a": {}, "/b": {}},
        exposed_ports={"80/tcp": {}},
        healthcheck=HealthcheckConfig(test=["CMD", "x"], interval=5, retries=3),
        stop_signal="QUIT",
        stop_timeout=3,
        shell=["/bin/bash"],
    )


def test_an_entrypoint_of_ones_own_keeps_the_old_command_away() -> None:
    config = RunConfig(entrypoint=["mine"])
    merge(config, RunConfig(cmd=["c"], entrypoint=["e"]))
    assert (config.entrypoint, config.cmd) == (["mine"], None)
