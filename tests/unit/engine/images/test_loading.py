"""Whole loads on layers in memory; with real ones in tests/integration."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pierhead.engine.images.content import RawManifest
from pierhead.errors import NotFound
from pierhead.oci import manifest, reference
from pierhead.oci.digest import DiffId, hex_of, sha256
from pierhead.oci.image_config import ImageConfig, RootFs
from pierhead.oci.manifest import Descriptor, Index, Manifest, PlatformField

from .conftest import World, chunked
from .test_intake import tar_of

GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"


async def load(world: World, files: dict[str, bytes], **options: Any) -> list[str]:
    messages = [m async for m in world.images.load(chunked(tar_of(files)), **options)]
    return [m.get("error") or m["stream"].strip() for m in messages if "id" not in m]


class Layout:
    """An OCI layout in the making."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    def blob(self, data: bytes, media_type: str, **fields: Any) -> Descriptor:
        digest = sha256(data)
        self.files[f"blobs/sha256/{hex_of(digest)}"] = data
        return Descriptor(media_type=media_type, digest=digest, size=len(data), **fields)

    def image(self, architecture: str, *layers: bytes) -> Descriptor:
        config = ImageConfig(
            os="linux",
            architecture=architecture,
            rootfs=RootFs(diff_ids=[DiffId(sha256(layer)) for layer in layers]),
        )
        listed = [self.blob(gzip.compress(layer), GZIP) for layer in layers]
        made = Manifest(
            media_type=manifest.OCI_MANIFEST,
            config=self.blob(config.encode(), manifest.OCI_CONFIG),
            layers=listed,
        )
        return self.blob(
            manifest.encode(made),
            manifest.OCI_MANIFEST,
            platform=PlatformField(os="linux", architecture=architecture),
        )

    def top(self, name: str, descriptor: Descriptor) -> None:
        descriptor.annotations = {manifest.ANNOTATION_IMAGE_NAME: name}
        self.files["index.json"] = manifest.encode(Index(manifests=[descriptor]))


def multi_platform() -> tuple[Layout, Descriptor]:
    layout = Layout()
    base = os.urandom(300_000)
    children = [layout.image("amd64", base, b"top"), layout.image("s390x", base, b"other top")]
    note = Manifest(
        media_type=manifest.OCI_MANIFEST,
        config=layout.blob(b"{}", "application/vnd.oci.empty.v1+json"),
        layers=[layout.blob(b'{"_type": "statement"}', "application/vnd.in-toto+json")],
    )
    children.append(
        layout.blob(
            manifest.encode(note),
            manifest.OCI_MANIFEST,
            platform=PlatformField(os="unknown", architecture="unknown"),
        )
    )
    index = layout.blob(manifest.encode(Index(manifests=children)), manifest.OCI_INDEX)
    layout.top("docker.io/library/multi:1", index)
    return layout, index


async def test_all_of_an_index_is_held_side_by_side(world: World) -> None:
    layout, index = multi_platform()
    assert await load(world, layout.files) == ["Loaded image: multi:1"]
    for name, data in layout.files.items():
        if name.startswith("blobs/"):
            assert world.blobs.read(sha256(data)) == data, "kept byte for byte"
    assert world.images.index.targets["docker.io/library/multi:1"] == index.digest
    here = world.images.resolve("multi:1")
    other = world.images.resolve("multi:1", "linux/s390x")
    assert here.config.architecture == world.images.index.host.architecture == "amd64"
    assert other.config.architecture == "s390x" and not other.refs and other.also
    assert here.refs == {
        "docker.io/library/multi:1",
        f"docker.io/library/multi@{index.digest}",
    }
    assert len(world.snapshots.layers()) == 3
    await world.images.collect()
    assert len(world.blobs.digests()) == len(layout.files) - 1
    world.start()
    assert world.images.resolve("multi:1", "linux/s390x").also
    await world.images.recover()
    assert len(world.blobs.digests()) == len(layout.files) - 1
    await world.images.remove("multi:1")
    await world.images.collect()
    assert world.blobs.digests() == [] and world.snapshots.layers() == []


async def test_only_one_platform(world: World) -> None:
    layout, _ = multi_platform()
    assert await load(world, layout.files, platforms=["linux/s390x"]) == ["Loaded image: multi:1"]
    assert world.images.resolve("multi:1").config.architecture == "s390x"
    assert len(world.images) == 1
    await load(world, layout.files, platforms=["linux/amd64"])
    assert world.images.resolve("multi:1").config.architecture == "amd64"
    assert world.images.resolve("multi:1", "s390x").also
    assert await load(world, layout.files, platforms=["linux/arm64"]) == [
        "invalid archive: no image for linux/arm64 in it"
    ]


async def test_a_layer_in_the_list_that_is_missing(world: World) -> None:
    config = ImageConfig(os="linux", rootfs=RootFs(diff_ids=[DiffId(sha256(b"x"))])).encode()
    listing = [{"Config": "c", "RepoTags": ["x:1"], "Layers": ["gone"]}]
    files = {"c": config, "manifest.json": json.dumps(listing).encode()}
    assert await load(world, files) == ["invalid archive: gone is missing"]
    assert len(world.images) == 0


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
async def test_an_archive_that_ends_too_early_leaves_nothing(world: World, cut: float) -> None:
    layout, _ = multi_platform()
    data = tar_of(layout.files)
    messages = [m async for m in world.images.load(chunked(data[: int(len(data) * cut)]))]
    assert "error" in messages[-1]
    assert world.snapshots.staged == 0 and len(world.images) == 0
    await world.images.collect()
    assert world.snapshots.layers() == [] and world.blobs.digests() == []


async def saved(world: World, *names: str, **options: Any) -> dict[str, bytes]:
    data = b"".join([chunk async for chunk in world.images.save(list(names), **options)])
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return {
            member.name: archive.extractfile(member).read()  # type: ignore[union-attr]
            for member in archive
            if member.isreg()
        }


async def test_what_came_with_digests_goes_out_byte_for_byte(world: World, tmp_path: Path) -> None:
    layout, index = multi_platform()
    await load(world, layout.files)
    world.images.tag("multi:1", "other", "2")
    files = await saved(world, "multi:1", "other:2")
    for name, data in layout.files.items():
        if name.startswith("blobs/"):
            assert files.pop(name) == data
    table = manifest.decode_manifest(files.pop("index.json"))
    assert isinstance(table, Index)
    assert [entry.digest for entry in table.manifests] == [index.digest] * 2
    (listed,) = json.loads(files.pop("manifest.json"))
    assert listed["RepoTags"] == ["multi:1", "other:2"]
    assert list(files) == ["oci-layout"]
    again = World(tmp_path / "again")
    assert await load(again, await saved(world, "multi:1", "other:2")) == [
        "Loaded image: multi:1",
        "Loaded image: other:2",
    ]
    assert again.images.index.targets == world.images.index.targets | {
        f"docker.io/library/other@{index.digest}": index.digest
    }
    assert sorted(again.blobs.digests()) == sorted(world.blobs.digests())
    again.db.close()


async def test_one_platform_goes_out_under_its_own_manifest(world: World) -> None:
    layout, index = multi_platform()
    await load(world, layout.files)
    for wanted in (["linux/s390x"], ["linux/amd64"]):
        files = await saved(world, "multi:1", platforms=wanted)
        table = manifest.decode_manifest(files["index.json"])
        assert isinstance(table, Index)
        (entry,) = table.manifests
        assert entry.digest in world.images.index.content.manifests[index.digest].children
        assert entry.platform is not None and f"linux/{entry.platform.architecture}" == wanted[0]
    files = await saved(world, "multi:1", platforms=["linux/s390x", "linux/amd64"])
    assert json.loads(files["index.json"])["manifests"][0]["digest"] == index.digest
    with pytest.raises(NotFound, match=r"does not provide the specified platform \(linux/arm64\)"):
        world.images.save(["multi:1"], platforms=["linux/arm64"])


async def test_by_id_an_image_goes_out_by_its_manifest(world: World) -> None:
    layout, _ = multi_platform()
    await load(world, layout.files)
    image = world.images.resolve("multi:1")
    files = await saved(world, image.id)
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert f"blobs/sha256/{hex_of(entry['digest'])}" in layout.files
    assert json.loads(files["manifest.json"])[0]["RepoTags"] is None


async def test_a_compressed_layer_that_is_gone_goes_out_plain(world: World) -> None:
    layout, _ = multi_platform()
    await load(world, layout.files, platforms=["linux/amd64"])
    image = world.images.resolve("multi:1")
    blob = world.images.index.content.layer_blobs(image.config.rootfs.diff_ids[1])[0]
    world.blobs.delete(blob.digest)
    files = await saved(world, "multi:1")
    (listed,) = json.loads(files["manifest.json"])
    assert listed["Layers"][1] == f"blobs/sha256/{hex_of(image.config.rootfs.diff_ids[1])}"
    assert listed["Layers"][0] in layout.files, "the other one as it came"


async def test_old_readers_get_zstd_layers_plain(world: World) -> None:
    layer = os.urandom(300_000)
    image_id = world.image("z", layers=(layer,))
    packed = b"\x28\xb5\x2f\xfdnot really"
    layout = Layout()
    config = world.blobs.read(image_id)
    made = Manifest(
        media_type=manifest.OCI_MANIFEST,
        config=layout.blob(config, manifest.OCI_CONFIG),
        layers=[layout.blob(packed, "application/vnd.oci.image.layer.v1.tar+zstd")],
    )
    world.blobs.put(packed)
    raw = RawManifest(manifest.encode(made), manifest.OCI_MANIFEST)
    world.images.index.add(
        config,
        refs=[reference.parse("z:1")],
        target=Descriptor(media_type=raw.media_type, digest=raw.digest, size=len(raw.data)),
        manifests=[raw],
        blobs={DiffId(sha256(layer)): made.layers[0]},
    )
    files = await saved(world, "z:1")
    (listed,) = json.loads(files["manifest.json"])
    assert files[listed["Layers"][0]] == layer
    assert files[f"blobs/sha256/{hex_of(sha256(packed))}"] == packed
    (entry,) = json.loads(files["index.json"])["manifests"]
    assert entry["digest"] == raw.digest
