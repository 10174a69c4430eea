from __future__ import annotations

import gzip
import json

import pytest

from pierhead.build.model import Output
from pierhead.errors import InvalidParameter
from unit.build.export.conftest import ARM64, Build, Received
from unit.engine.images.conftest import chunked


async def test_an_oci_layout(build: Build) -> None:
    solved = build.solved(build.assembled(b"one" * 500, b"two" * 500), tags=["app:1"])
    result = await build.export(solved, Output(type="oci"))
    got = build.client.received[0]
    assert got.closed and got.json("oci-layout") == {"imageLayoutVersion": "1.0.0"}
    [entry] = got.json("index.json")["manifests"]
    assert entry["digest"] == result.digest
    assert entry["annotations"]["io.containerd.image.name"] == "docker.io/library/app:1"
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "1"
    manifest = json.loads(got.blob(entry["digest"]))
    assert gzip.decompress(got.blob(manifest["layers"][0]["digest"])) == b"one" * 500
    assert "manifest.json" not in got.files()
    assert not build.world.images.index.images


async def test_a_docker_archive_has_docker_s_list(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app:1"])
    await build.export(solved, Output(type="docker"))
    got = build.client.received[0]
    [entry] = got.json("manifest.json")
    assert entry["RepoTags"] == ["app:1"]
    assert json.loads(got.files()[entry["Config"]])["architecture"] == "amd64"
    assert gzip.decompress(got.files()[entry["Layers"][0]]) == b"one"


async def test_the_same_image_gives_the_same_bytes(build: Build) -> None:
    for number in range(2):
        solved = build.solved(build.assembled(b"one"), tags=["app"], source_date_epoch=5)
        await build.export(solved, Output(type="oci", number=number))
    assert build.client.received[0].data == build.client.received[1].data


async def test_attestations_lie_in_the_layout(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"], provenance={"inline-only": "true"})
    result = await build.export(solved, Output(type="oci"))
    got = build.client.received[0]
    index = json.loads(got.blob(str(result.digest)))
    image, attested = index["manifests"]
    assert attested["platform"] == {"architecture": "unknown", "os": "unknown"}
    [layer] = json.loads(got.blob(attested["digest"]))["layers"]
    statement = json.loads(got.blob(layer["digest"]))
    assert statement["subject"][0]["digest"]["sha256"] == image["digest"][7:]


async def test_uncompressed_layers_are_the_tars(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"])
    await build.export(solved, Output(type="oci", attributes={"compression": "uncompressed"}))
    got = build.client.received[0]
    manifest = json.loads(got.blob(got.json("index.json")["manifests"][0]["digest"]))
    assert got.blob(manifest["layers"][0]["digest"]) == b"one"


async def test_docker_archives_have_one_platform(build: Build) -> None:
    images = [build.assembled(b"one"), build.assembled(b"two", platform=ARM64)]
    with pytest.raises(InvalidParameter, match="manifest lists"):
        await build.export(build.solved(*images), Output(type="docker"))


async def test_attestations_survive_load_and_save(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"], provenance={"mode": "min"})
    result = await build.export(solved, Output(type="oci"))
    data = build.client.received[0].data
    messages = [message async for message in build.world.images.load(chunked(data))]
    assert "error" not in messages[-1]
    [image] = build.world.images.index.images.values()
    assert image.id == result.metadata["containerimage.config.digest"]
    saved = b"".join([chunk async for chunk in build.world.images.save(["app"])])
    got = Received()
    got.data = saved
    before, after = build.client.received[0].files(), got.files()
    blobs = {name for name in before if name.startswith("blobs/")}
    assert blobs <= set(after)
