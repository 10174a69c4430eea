from __future__ import annotations

import json
from typing import Any

import pytest

from pierhead.build.cache.document import decode
from pierhead.build.cache.exporting import CacheExporter
from pierhead.build.cache.importing import CacheImporter
from pierhead.build.model import Warned
from pierhead.oci.digest import ChainId
from pierhead.oci.manifest import Descriptor
from unit.build.cache.conftest import FakeMounts
from unit.build.cache.test_exporting import run
from unit.build.cache.test_importing import open_
from unit.build.cache.test_wishes import option
from unit.build.export.conftest import Build


async def exported(
    exporter: CacheExporter, build: Build, mounts: FakeMounts, *, local: bool
) -> ChainId:
    """Two layers and a mount in a cache, and gone from here; the upper layer's chain."""
    mounts.tars["m1"] = ("/root/.cache", b"a tar")
    image = build.assembled(b"one" * 999, b"two")
    given = (
        option("local", mounts="/root/.cache")
        if local
        else (option("registry", ref="registry.x/c", mounts="/root/.cache"))
    )
    await run(exporter, build, given, build.solved(image))
    build.world.snapshots.known.clear()
    mounts.tars.clear()
    if local:
        got = build.client.received[1000].files()
        build.client.directories["cache-from:0"] = {
            name.encode(): data for name, data in got.items()
        }
    return image.chains[-1]


@pytest.mark.parametrize("local", [False, True])
async def test_layers_come_when_they_are_needed(
    exporter: CacheExporter,
    importer: CacheImporter,
    build: Build,
    mounts: FakeMounts,
    local: bool,
) -> None:
    top = await exported(exporter, build, mounts, local=local)
    given = option("local", src="dir") if local else option("registry", ref="registry.x/c")
    cache = await open_(importer, build, given)
    assert cache.results["key1"] == top
    assert not build.world.snapshots.known
    assert await cache.materialise(top)
    assert build.world.snapshots.tars[top] == b"two"
    assert build.world.snapshots.staged == 0
    assert await cache.materialise(top)
    await cache.fill_mounts(["/root/.cache", "/other"])
    assert mounts.tars == {"m1": ("/root/.cache", b"a tar")}
    await cache.close()
    await cache.close()


async def test_a_broken_blob_is_a_warning(
    exporter: CacheExporter, importer: CacheImporter, build: Build, mounts: FakeMounts
) -> None:
    top = await exported(exporter, build, mounts, local=True)
    held = build.client.directories["cache-from:0"]
    index = json.loads(held[b"index.json"])
    manifest = json.loads(held[_path(index["manifests"][0]["digest"])])
    held[_path(manifest["layers"][0]["digest"])] = b"other"
    cache = await open_(importer, build, option("local", src="dir"))
    assert not await cache.materialise(top)
    assert any(isinstance(event, Warned) for event in build.events)
    assert build.world.snapshots.staged == 0
    await cache.close()


def _path(digest: str) -> bytes:
    return f"blobs/sha256/{digest[7:]}".encode()


@pytest.mark.parametrize("local", [False, True])
async def test_what_isn_t_here_is_passed_on(
    exporter: CacheExporter,
    importer: CacheImporter,
    build: Build,
    mounts: FakeMounts,
    local: bool,
) -> None:
    top = await exported(exporter, build, mounts, local=local)
    given = option("local", src="dir") if local else option("registry", ref="registry.x/c")
    cache = await open_(importer, build, given)
    await cache.close()
    image = build.assembled(b"other")
    image.cache_keys = [*cache.results.items()]
    solved = build.solved(image)
    solved.imported = [cache]
    build.client.received.clear()
    await run(exporter, build, option("local", dest="x", mode="max", mounts="true"), solved)
    got = build.client.received[1000]
    [entry] = got.json("index.json")["manifests"]
    manifest = json.loads(got.blob(entry["digest"]))
    again = decode(
        got.blob(manifest["config"]["digest"]),
        [Descriptor(**_fields(layer)) for layer in manifest["layers"]],
    )
    assert again.records == cache.results and top in again.layers
    assert [mount.name for mount in again.mounts] == ["/root/.cache"]
    assert all(got.blob(layer["digest"]) for layer in manifest["layers"])
    assert top not in build.world.snapshots.known


def _fields(layer: dict[str, Any]) -> dict[str, Any]:
    return {"media_type": layer["mediaType"], "digest": layer["digest"], "size": layer["size"]}
