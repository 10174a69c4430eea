from __future__ import annotations

import json

import pytest

from pierhead.build.model import Output, StepDone, StepProgress, StepStarted
from pierhead.errors import InvalidParameter, NotImplementedYet, Unavailable
from unit.build.export.conftest import ARM64, Build


async def test_no_output_is_an_image(build: Build) -> None:
    result = await build.export(build.solved(build.assembled(b"one"), tags=["app"]))
    assert build.image("app").id == result.images[0].id
    assert result.metadata["containerimage.config.digest"] == result.images[0].id
    assert result.metadata["image.name"] == "docker.io/library/app:latest"


async def test_unknown_types_are_refused_before_anything_is_given_away(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"])
    with pytest.raises(InvalidParameter, match='exporter "floppy" could not be found'):
        await build.export(solved, Output(type="image"), Output(type="floppy"))
    assert not build.world.images.index.refs


async def test_several_outputs_are_all_done(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"])
    await build.export(
        solved, Output(type="image", number=0), Output(type="oci", number=1),
        Output(type="local", number=2),
    )  # fmt: skip
    assert "index.json" in build.client.received[1].files()
    assert build.client.received[2].files() == {"hello": b"hi"}
    assert build.image("app")


async def test_cacheonly_gives_nothing_away(build: Build) -> None:
    result = await build.export(build.solved(build.assembled(b"one")), Output(type="cacheonly"))
    assert not result.images and not build.world.images.index.images


async def test_every_output_is_a_step(build: Build) -> None:
    await build.export(build.solved(build.assembled(b"one"), tags=["app"]))
    started = [event.name for event in build.events if isinstance(event, StepStarted)]
    assert started == ["exporting to image"]
    assert next(event for event in build.events if isinstance(event, StepDone)).error == ""
    parts = {event.id for event in build.events if isinstance(event, StepProgress)}
    assert "naming to docker.io/library/app:latest" in parts


async def test_a_default_provenance_doesn_t_make_a_local_image_an_index(build: Build) -> None:
    solved = build.solved(
        build.assembled(b"one"), tags=["app"], provenance={"mode": "min", "inline-only": "true"}
    )
    result = await build.export(solved)
    assert result.digest is None
    solved.options.provenance = {"mode": "min"}
    result = await build.export(solved)
    assert "runDetails" in result.metadata["buildx.build.provenance"]
    assert build.world.images.index.targets["docker.io/library/app:latest"] == result.digest


async def test_source_date_epoch_clamps_what_the_build_made(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"], source_date_epoch=0)
    await build.export(solved)
    config = build.image("app").config
    assert config.created == config.history[0].created == "1970-01-01T00:00:00Z"


async def test_an_inline_cache_goes_into_the_config(build: Build) -> None:
    from pierhead.build.model import CacheOption

    solved = build.solved(
        build.assembled(b"one", b"two"), tags=["app"], cache_to=[CacheOption(type="inline")]
    )
    result = await build.export(solved)
    cache = json.loads(result.images[0].config)["io.pierhead.build.cache"]
    assert cache == {"version": 1, "records": [["key0", 0, 0], ["key1", 1, 0]]}


async def test_platforms_stand_beside_each_other(build: Build) -> None:
    images = [build.assembled(b"one"), build.assembled(b"two", platform=ARM64)]
    result = await build.export(build.solved(*images, tags=["app"]))
    index = build.world.images.index
    assert len(result.images) == 2
    variant = index.variant("app", ARM64)
    assert variant is not None and variant.config.architecture == "arm64"
    kept = index.target("app")
    assert kept is not None and kept.is_index and kept.digest == result.digest


async def test_times_are_rewritten_when_layers_are_made_or_not_at_all(build: Build) -> None:
    solved = build.solved(
        build.assembled(b"one"), tags=["app"], build_args={"SOURCE_DATE_EPOCH": "7"}
    )
    given = {"rewrite-timestamp": "true", "source-date-epoch": "7"}
    await build.export(solved, Output(type="image", attributes=given))
    with pytest.raises(NotImplementedYet, match="SOURCE_DATE_EPOCH"):
        await build.export(
            solved, Output(type="image", attributes={**given, "source-date-epoch": "8"})
        )


async def test_a_full_disk_is_an_honest_error(build: Build) -> None:
    async def full(data: bytes) -> None:
        raise OSError(28, "No space left on device")

    build.client.receive(Output(type="oci")).write = full  # type: ignore[method-assign]
    with pytest.raises(Unavailable, match="failed to export type=oci: no space left"):
        await build.export(build.solved(build.assembled(b"one")), Output(type="oci"))


async def test_an_index_is_needed_for_its_annotations(build: Build) -> None:
    one = build.assembled(b"one")
    output = Output(type="image", attributes={"annotation-index.a": "b"})
    with pytest.raises(InvalidParameter, match="index annotations"):
        await build.export(build.solved(one, tags=["app"]), output)
    other = build.assembled(b"two", platform=ARM64)
    result = await build.export(build.solved(one, other, tags=["app"]), output)
    index = json.loads(build.world.blobs.read(str(result.digest)))
    assert index["annotations"] == {"a": "b"}
