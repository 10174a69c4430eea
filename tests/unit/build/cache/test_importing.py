from __future__ import annotations

import json
from typing import Any

import pytest

from pierhead.build.cache.document import decode
from pierhead.build.cache.exporting import CacheExporter
from pierhead.build.cache.importing import CacheImporter
from pierhead.build.model import CacheOption, Output, Warned
from pierhead.errors import InvalidParameter, NotImplementedYet
from pierhead.oci import manifest as oci
from pierhead.oci.digest import ChainId
from pierhead.oci.manifest import Descriptor
from unit.build.cache.conftest import FakeMounts
from unit.build.cache.test_exporting import option, run
from unit.build.export.conftest import Build


async def open_(importer: CacheImporter, build: Build, given: CacheOption) -> Any:
    return await importer.open(given, build.client, build.events.append)  # type: ignore[arg-type]


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
