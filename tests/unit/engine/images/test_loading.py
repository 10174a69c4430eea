"""Finding the images in an archive; that it all comes in is for tests/integration."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pierhead.engine.images.loading import Archive, Loader, blob_name
from pierhead.errors import InvalidParameter
from pierhead.oci import manifest
from pierhead.oci.digest import Digest, hex_of, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest, PlatformField
from pierhead.oci.platform import Platform

from .conftest import World

CONFIG = b'{"os":"linux","rootfs":{"type":"layers","diff_ids":[]}}'


def archive(root: Path, files: dict[str, bytes], links: dict[str, str] | None = None) -> Archive:
    contents = {}
    for number, (name, data) in enumerate(files.items()):
        (root / str(number)).write_bytes(data)
        contents[name] = [number, len(data), ""]
    return Archive(root, {"files": contents, "links": links or {}})


def loader(world: World) -> Loader:
    return Loader(
        world.paths,
        world.images.index,
        world.snapshots,
        world.events,  # type: ignore[arg-type]
        Platform("linux", "amd64"),
    )


def found(world: World, files: Archive) -> list[tuple[list[str], list[str]]]:
    return [
        ([name.familiar for name in candidate.names], candidate.layers)
        for candidate in loader(world)._candidates(files)
    ]


def blob(files: dict[str, bytes], data: bytes, media_type: str, **fields: object) -> Descriptor:
    digest = sha256(data)
    files[f"blobs/sha256/{hex_of(digest)}"] = data
    return Descriptor(media_type=media_type, digest=digest, size=len(data), **fields)  # type: ignore[arg-type]


def test_docker_archives(world: World, tmp_path: Path) -> None:
    listing = [{"Config": "c.json", "RepoTags": ["a:1", "b/c:2"], "Layers": ["x/layer.tar"]}]
    files = {"c.json": CONFIG, "manifest.json": json.dumps(listing).encode(), "index.json": b"!"}
    assert found(world, archive(tmp_path, files)) == [(["a:1", "b/c:2"], ["x/layer.tar"])]


def test_links_between_layers_are_followed_within_the_archive(tmp_path: Path) -> None:
    files = archive(
        tmp_path,
        {"a/layer.tar": b"tar"},
        {"b/layer.tar": "a/layer.tar", "loop": "loop", "out": "etc/passwd"},
    )
    assert files.size("b/layer.tar") == 3
    assert files.read("./b//layer.tar") == b"tar"
    for name in ("loop", "out", "missing", "../a/layer.tar"):
        with pytest.raises(InvalidParameter):
            files.read(name)


@pytest.mark.parametrize(
    "listing",
    [b"", b"{}", b"[1]", b'[{"Config": 1}]', b'[{"Config": "c.json", "RepoTags": "x"}]',
     b'[{"Config": "missing"}]', b'[{"Config": "c.json", "RepoTags": ["a@sha256:1"]}]',
     b'[{"Config": "c.json", "RepoTags": ["a"]}]', b"[]"],
)  # fmt: skip
def test_bad_docker_archives(world: World, tmp_path: Path, listing: bytes) -> None:
    with pytest.raises(InvalidParameter):
        found(world, archive(tmp_path, {"c.json": CONFIG, "manifest.json": listing}))


def test_nothing_known(world: World, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameter, match=r"no manifest.json, index.json or repositories"):
        found(world, archive(tmp_path, {"etc/passwd": b""}))


def test_oci_layouts_with_nested_indexes(world: World, tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    layer = blob(files, b"layer", manifest.OCI_LAYER)
    image = Manifest(config=blob(files, CONFIG, manifest.OCI_CONFIG), layers=[layer])
    note = Manifest(config=blob(files, b"{}", "application/vnd.in-toto+json"), layers=[])
    nested = Index(
        manifests=[
            Descriptor(
                media_type=manifest.OCI_MANIFEST,
                digest=Digest("sha256:" + "0" * 64),
                size=1,
                platform=PlatformField(os="linux", architecture="arm64"),
            ),
            blob(
                files,
                manifest.encode(note),
                manifest.OCI_MANIFEST,
                platform=PlatformField(os="unknown", architecture="unknown"),
            ),
            blob(
                files,
                manifest.encode(image),
                manifest.OCI_MANIFEST,
                platform=PlatformField(os="linux", architecture="amd64"),
            ),
        ]
    )
    names = [
        {
            "io.containerd.image.name": "docker.io/library/a:1",
            "org.opencontainers.image.ref.name": "1",
        },
        {"org.opencontainers.image.ref.name": "quay.io/x/y:2"},
        {"org.opencontainers.image.ref.name": "latest"},
        {"org.opencontainers.image.ref.name": "not valid:x y"},
    ]
    top = [
        blob(files, manifest.encode(nested), manifest.OCI_INDEX, annotations=note) for note in names
    ]
    files["index.json"] = manifest.encode(Index(manifests=top))
    expected = [(["a:1", "quay.io/x/y:2"], [blob_name(layer)])]
    assert found(world, archive(tmp_path, files)) == expected


def test_only_other_platforms(world: World, tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    nested = Index(
        manifests=[blob(files, b"x", "x", platform=PlatformField(os="linux", architecture="s390x"))]
    )
    top = blob(files, manifest.encode(nested), manifest.OCI_INDEX)
    files["index.json"] = manifest.encode(Index(manifests=[top]))
    with pytest.raises(InvalidParameter, match="no image for linux/amd64"):
        found(world, archive(tmp_path, files))


def test_blobs_are_checked_and_indexes_end(world: World, tmp_path: Path) -> None:
    files: dict[str, bytes] = {}
    top = blob(files, b"{}", manifest.OCI_INDEX)
    files[blob_name(top)] = b'{"manifests": []}'
    files["index.json"] = manifest.encode(Index(manifests=[top]))
    with pytest.raises(InvalidParameter, match="has the digest"):
        found(world, archive(tmp_path, files))
    files = {}
    level = Index(manifests=[])
    for _ in range(10):
        level = Index(manifests=[blob(files, manifest.encode(level), manifest.OCI_INDEX)])
    files["index.json"] = manifest.encode(level)
    with pytest.raises(InvalidParameter, match="nested too deep"):
        found(world, archive(tmp_path, files))
    bad = Descriptor(digest=Digest("sha256:../../etc/passwd"), size=1)
    with pytest.raises(InvalidParameter, match="bad digest"):
        blob_name(bad)
