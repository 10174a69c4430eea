"""Statements about an image, read from the index that it came in."""

from __future__ import annotations

import pytest

from pierhead.engine.images.attestations import PREDICATE
from pierhead.engine.images.summaries import ATTESTATION, FOR, TYPE
from pierhead.errors import NotFound
from pierhead.oci import manifest
from pierhead.oci.manifest import Descriptor, Index, Manifest, PlatformField

from .conftest import World
from .test_loading import Layout, load

PROVENANCE = "https://slsa.dev/provenance/v0.2"
SBOM = "https://spdx.dev/Document"


def statement(layout: Layout, predicate: str, data: bytes) -> Descriptor:
    return layout.blob(data, "application/vnd.in-toto+json", annotations={PREDICATE: predicate})


def attested(layout: Layout, image: Descriptor, *layers: Descriptor) -> Descriptor:
    config = layout.blob(b"{}", "application/vnd.oci.empty.v1+json")
    made = Manifest(media_type=manifest.OCI_MANIFEST, config=config, layers=list(layers))
    return layout.blob(
        manifest.encode(made),
        manifest.OCI_MANIFEST,
        platform=PlatformField(os="unknown", architecture="unknown"),
        annotations={TYPE: ATTESTATION, FOR: image.digest},
    )


async def test_statements_of_each_platform(world: World) -> None:
    layout = Layout()
    here, other = layout.image("amd64", b"one"), layout.image("s390x", b"two")
    mine = statement(layout, PROVENANCE, b'{"predicate": {"a": 1}}')
    broken = statement(layout, SBOM, b"{")
    theirs = statement(layout, PROVENANCE, b"{}")
    children = [
        here,
        other,
        attested(layout, here, mine, broken),
        attested(layout, other, theirs),
    ]
    index = layout.blob(manifest.encode(Index(manifests=children)), manifest.OCI_INDEX)
    layout.top("docker.io/library/said:1", index)
    await load(world, layout.files)

    first, second = await world.images.attestations("said:1")
    assert first["PredicateType"] == PROVENANCE
    assert first["Descriptor"]["digest"] == mine.digest
    assert "Statement" not in first
    assert second["PredicateType"] == SBOM
    whole = await world.images.attestations("said:1", whole=True)
    assert [each["Statement"] for each in whole] == [{"predicate": {"a": 1}}, None]
    assert await world.images.attestations("said:1", types=[SBOM, "x"]) == [second]
    [only] = await world.images.attestations("said:1", "linux/s390x")
    assert only["Descriptor"]["digest"] == theirs.digest
    with pytest.raises(NotFound):
        await world.images.attestations("said:1", "linux/arm64")
    with pytest.raises(NotFound):
        await world.images.attestations("nosuch")


async def test_images_made_here_have_none(world: World) -> None:
    world.image("a")
    assert await world.images.attestations("a") == []
