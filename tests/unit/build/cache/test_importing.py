from __future__ import annotations

import json
from typing import Any

import pytest

from pierhead.build.cache.importing import CacheImporter
from pierhead.build.model import CacheOption, Output, Warned
from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.oci import manifest as oci
from unit.build.cache.test_wishes import option
from unit.build.export.conftest import Build


async def open_(importer: CacheImporter, build: Build, given: CacheOption) -> Any:
    return await importer.open(given, build.client, build.events.append)  # type: ignore[arg-type]


async def test_what_isn_t_there_is_a_warning(importer: CacheImporter, build: Build) -> None:
    build.client.directories["cache-from:0"] = {b"index.json": b'{"manifests": []}'}
    assert await open_(importer, build, option("local", src="dir")) is None
    [warning] = [event for event in build.events if isinstance(event, Warned)]
    assert "has no tag latest" in warning.text


async def test_caches_of_buildkit_are_a_warning(importer: CacheImporter, build: Build) -> None:
    index = {
        "schemaVersion": 2,
        "mediaType": oci.OCI_INDEX,
        "manifests": [
            {
                "mediaType": "application/vnd.buildkit.cacheconfig.v0",
                "digest": "sha256:" + "a" * 64,
                "size": 1,
            }
        ],
    }
    await build.registry.put_manifest("c", "latest", json.dumps(index).encode(), oci.OCI_INDEX)
    assert await open_(importer, build, option("registry", ref="registry.x/c")) is None


async def test_an_image_s_inline_cache(importer: CacheImporter, build: Build) -> None:
    image = build.assembled(b"one")
    solved = build.solved(image, tags=["registry.x/app"], cache_to=[CacheOption(type="inline")])
    await build.export(solved)
    cache = await open_(importer, build, option("image", ref="registry.x/app"))
    assert cache.results == {"key0": image.chains[0]}
    assert await cache.materialise(image.chains[0])
    await cache.close()
    await build.export(
        solved,
        Output(type="registry", attributes={"push-by-digest": "true", "name": "registry.x/o"}),
    )
    [digest] = [each for each in build.registry.manifests]
    remote = await open_(importer, build, option("registry", ref=f"registry.x/o@{digest}"))
    assert remote.results == cache.results
    await remote.close()


async def test_kinds(importer: CacheImporter, build: Build) -> None:
    with pytest.raises(NotImplementedYet):
        await open_(importer, build, option("s3"))
    with pytest.raises(InvalidParameter):
        await open_(importer, build, option("floppy"))
    assert await open_(importer, build, option("image", ref="nothing")) is None
