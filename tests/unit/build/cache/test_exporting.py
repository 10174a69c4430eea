from __future__ import annotations

import json
from typing import Any

import pytest

from pierhead.build.cache.document import CONFIG_TYPE
from pierhead.build.cache.exporting import CacheExporter
from pierhead.build.model import CacheOption, Warned
from pierhead.errors import Unavailable
from unit.build.cache.conftest import FakeMounts
from unit.build.cache.test_wishes import option
from unit.build.export.conftest import Build


async def run(exporter: CacheExporter, build: Build, given: CacheOption, solved: Any) -> Any:
    return await exporter.export(solved, given, build.client, build.events.append)  # type: ignore[arg-type]


async def test_to_a_registry(exporter: CacheExporter, build: Build, mounts: FakeMounts) -> None:
    mounts.tars["m1"] = ("/root/.cache", b"a tar")
    image = build.assembled(b"one", b"two")
    image.steps[1].instruction = "RUN --mount=type=cache,target=/root/.cache make"
    side = build.world.snapshots.add(b"aside").chain_id
    image.cache_keys = [*image.cache_keys, ("aside", side), ("gone", "sha256:" + "0" * 64)]  # type: ignore[list-item]
    solved = build.solved(image)
    told = await run(
        exporter, build, option("registry", ref="registry.x/c", mode="max", mounts="true"), solved
    )
    data, _ = build.registry.manifests["latest"]
    manifest = json.loads(data)
    assert manifest["config"]["mediaType"] == CONFIG_TYPE
    config = json.loads(build.registry.blobs[manifest["config"]["digest"]])
    assert [key for key, _, _ in config["records"]] == ["key0", "key1", "aside"]
    assert config["mounts"] == [{"id": "m1", "name": "/root/.cache", "blob": 3}]
    assert all(layer["digest"] in build.registry.blobs for layer in manifest["layers"])
    assert json.loads(told["cache.manifest"])["digest"] in build.registry.manifests
    await build.world.images.collect()
    assert not build.world.blobs.digests()


async def test_to_the_client(exporter: CacheExporter, build: Build) -> None:
    await run(exporter, build, option("local", dest="out"), build.solved(build.assembled(b"one")))
    [asked] = build.client.asked
    assert asked.number == 1000 and asked.attributes["cache"] == "true"
    got = build.client.received[1000]
    [entry] = got.json("index.json")["manifests"]
    manifest = json.loads(got.blob(entry["digest"]))
    assert json.loads(got.blob(manifest["config"]["digest"]))["records"] == [["key0", 0, 0]]


async def test_errors_may_be_ignored(exporter: CacheExporter, build: Build) -> None:
    async def fail(*arguments: object) -> None:
        raise Unavailable("no registry")

    build.registry.put_manifest = fail  # type: ignore[assignment,method-assign]
    solved = build.solved(build.assembled(b"one"))
    with pytest.raises(Unavailable):
        await run(exporter, build, option("registry", ref="registry.x/c"), solved)
    given = option("registry", ref="registry.x/c", ignore_error="true")
    assert await run(exporter, build, given, solved) == {}
    assert any(isinstance(event, Warned) for event in build.events)


async def test_inline_is_the_image_s_business(exporter: CacheExporter, build: Build) -> None:
    assert await run(exporter, build, option("inline"), build.solved()) == {}
