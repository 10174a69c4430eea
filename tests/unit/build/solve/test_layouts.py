"""Images from OCI layouts on the client's side."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from pierhead.build.model import Client, FileStat, Listing, Wanted
from pierhead.build.solve import layouts
from pierhead.engine.images.content import Lease
from pierhead.errors import InvalidParameter, NotFound
from pierhead.oci.digest import hex_of, sha256
from pierhead.oci.manifest import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Snapshotter

AMD64 = Platform("linux", "amd64")


class Files(Listing):
    """A layout with one image for amd64 in an index, tagged v1."""

    def __init__(self) -> None:
        self.contents: dict[bytes, bytes] = {}
        config = self.blob({"os": "linux", "architecture": "amd64"}, OCI_CONFIG)
        manifest = self.blob({"config": config, "layers": []}, OCI_MANIFEST)
        manifest["platform"] = {"os": "linux", "architecture": "amd64"}
        index = self.blob({"mediaType": OCI_INDEX, "manifests": [manifest]}, OCI_INDEX)
        self.digest = index["digest"]
        index["annotations"] = {"org.opencontainers.image.ref.name": "v1"}
        other = {**index, "annotations": {"org.opencontainers.image.ref.name": "v2"}}
        table = {"schemaVersion": 2, "manifests": [other, index]}
        self.contents[b"index.json"] = json.dumps(table).encode()

    def blob(self, document: dict[str, Any], media_type: str) -> dict[str, Any]:
        data = json.dumps({"schemaVersion": 2, **document}).encode()
        digest = sha256(data)
        self.contents[f"blobs/sha256/{hex_of(digest)}".encode()] = data
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    async def files(self) -> AsyncIterator[FileStat]:
        for path in self.contents:
            yield FileStat(path=path, mode=0o100644)

    async def content(self, path: bytes) -> AsyncIterator[bytes]:
        yield self.contents[path]


class Asker:
    def __init__(self, files: Files) -> None:
        self.given = files
        self.asked = ""

    async def local(self, name: str, wanted: Wanted) -> AsyncIterator[Listing]:
        self.asked = name
        yield self.given


class NoLease:
    def add_chains(self, chains: Any) -> None:
        pass


def load(files: Files, value: str, platform: Platform = AMD64) -> Any:
    client = Asker(files)
    chain_id, config = asyncio.run(
        layouts.load(
            value,
            platform,
            cast(Client, client),
            cast(Snapshotter, None),
            cast(Lease, NoLease()),
        )
    )
    assert client.asked == "oci-layout:/dir"
    assert chain_id is None
    return config


def test_by_tag_and_by_digest() -> None:
    files = Files()
    assert load(files, "oci-layout:///dir:v1").architecture == "amd64"
    assert load(files, f"oci-layout:///dir@{files.digest}").os == "linux"


def test_what_is_not_there() -> None:
    with pytest.raises(NotFound, match="no tag latest"):
        load(Files(), "oci-layout:///dir")
    with pytest.raises(NotFound, match="no image for linux/arm64"):
        load(Files(), "oci-layout:///dir:v1", Platform("linux", "arm64"))


def test_blobs_are_verified() -> None:
    files = Files()
    path = f"blobs/sha256/{hex_of(files.digest)}".encode()
    files.contents[path] += b" "
    with pytest.raises(InvalidParameter, match="isn't sha256:"):
        load(files, "oci-layout:///dir:v1")


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("oci-layout:///a/b", ("/a/b", "latest", "")),
        ("oci-layout:///a:b/c:t", ("/a:b/c", "t", "")),
        ("oci-layout://id@sha256:" + "0" * 64, ("id", "latest", "sha256:" + "0" * 64)),
    ],
)
def test_places(value: str, parts: tuple[str, str, str]) -> None:
    assert layouts.split(value) == parts


def test_bad_places() -> None:
    for value in ("oci-layout://x@sha256:1", "oci-layout://"):
        with pytest.raises(InvalidParameter):
            layouts.split(value)
