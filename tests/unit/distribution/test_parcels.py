from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pierhead.distribution.parcels import Piece, Shipment, built, mountable, plan
from pierhead.engine.images.content import RawManifest
from pierhead.oci import manifest as oci
from pierhead.oci import reference
from pierhead.oci.digest import DiffId, Digest, ImageId, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest
from unit.engine.images.conftest import World

BASE, TOP = b"base layer", b"top layer"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.db.close()


def blob(data: bytes, media_type: str = oci.DOCKER_LAYER) -> Descriptor:
    return Descriptor(media_type=media_type, digest=sha256(data), size=len(data))


def manifest_of(world: World, image_id: ImageId, layers: list[Descriptor]) -> RawManifest:
    config = Descriptor(
        media_type=oci.OCI_CONFIG,
        digest=Digest(image_id),
        size=len(world.blobs.read(image_id)),
    )
    value = Manifest(media_type=oci.OCI_MANIFEST, config=config, layers=layers)
    return RawManifest(oci.encode(value), oci.OCI_MANIFEST)


def index_of(*manifests: RawManifest) -> RawManifest:
    entries = [
        Descriptor(media_type=raw.media_type, digest=raw.digest, size=len(raw.data))
        for raw in manifests
    ]
    return RawManifest(
        oci.encode(Index(media_type=oci.OCI_INDEX, manifests=entries)), oci.OCI_INDEX
    )


def keep(world: World, image_id: ImageId, name: str, *raws: RawManifest) -> None:
    """Point ``name`` at the last of ``raws``."""
    index = world.images.index
    with index.transaction():
        for raw in raws:
            index.content.put(raw)
        index.tag(index.images[image_id], reference.parse(name), raws[-1].digest)


def planned(world: World, name: str, platform: str | None = None) -> Shipment:
    stored = str(reference.parse(name))
    chosen = world.images.resolve(name, platform) if platform else None
    return plan(world.images.index, stored, world.blobs.read, world.blobs.exists, chosen)


def test_an_image_made_here_gets_the_manifest_that_dockerd_would_write(world: World) -> None:
    image_id = world.image("x:1", layers=(BASE, TOP))
    shipment = planned(world, "x:1")
    (parcel,) = shipment.parcels
    assert shipment.index is None and parcel.kept is None
    assert [piece.wanted for piece in parcel.pieces] == [None, None]
    sent = {piece.key: blob(b"gz" + bytes([at])) for at, piece in enumerate(parcel.pieces)}
    raw = parcel.manifest(sent)
    assert raw.media_type == oci.DOCKER_MANIFEST
    size = len(world.blobs.read(image_id))
    assert raw.data.decode() == (
        "{\n"
        '   "schemaVersion": 2,\n'
        '   "mediaType": "application/vnd.docker.distribution.manifest.v2+json",\n'
        '   "config": {\n'
        '      "mediaType": "application/vnd.docker.container.image.v1+json",\n'
        f'      "size": {size},\n'
        f'      "digest": "{image_id}"\n'
        "   },\n"
        '   "layers": [\n'
        "      {\n"
        '         "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",\n'
        '         "size": 3,\n'
        f'         "digest": "{sha256(b"gz" + bytes([0]))}"\n'
        "      },\n"
        "      {\n"
        '         "mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip",\n'
        '         "size": 3,\n'
        f'         "digest": "{sha256(b"gz" + bytes([1]))}"\n'
        "      }\n"
        "   ]\n"
        "}"
    )


def test_a_kept_manifest_goes_byte_for_byte(world: World) -> None:
    image_id = world.image("x:1", layers=(BASE, TOP))
    layers = [blob(b"one"), blob(b"two")]
    raw = manifest_of(world, image_id, layers)
    keep(world, image_id, "x:1", raw)
    (parcel,) = planned(world, "x:1").parcels
    assert [piece.wanted for piece in parcel.pieces] == layers
    sent = {piece.key: piece.wanted for piece in parcel.pieces}
    assert parcel.manifest(sent) is parcel.kept  # type: ignore[arg-type]
    assert parcel.kept is not None and parcel.kept.data == raw.data
    sent[parcel.pieces[0].key] = blob(b"another form")
    changed = parcel.manifest(sent)  # type: ignore[arg-type]
    assert changed.data != raw.data
    assert json.loads(changed.data)["layers"][1]["digest"] == sha256(b"two")


def test_a_manifest_of_an_artifact_of_the_image_is_not_taken(world: World) -> None:
    image_id = world.image("x:1", layers=(BASE, TOP))
    keep(world, image_id, "x:1", manifest_of(world, image_id, [blob(b"only one")]))
    (parcel,) = planned(world, "x:1").parcels
    assert parcel.kept is None and len(parcel.pieces) == 2


def test_the_index_goes_with_all_of_its_manifests_if_they_are_here(world: World) -> None:
    mine = world.image("x:1", layers=(BASE,), architecture="amd64")
    other = world.image(layers=(TOP,), architecture="s390x")
    raws = [manifest_of(world, mine, [blob(b"a")]), manifest_of(world, other, [blob(b"b")])]
    top = index_of(*raws)
    keep(world, mine, "x:1", *raws, top)
    shipment = planned(world, "x:1")
    assert shipment.index is not None and shipment.index.data == top.data
    assert [parcel.image.id for parcel in shipment.parcels if parcel.image] == [mine, other]
    one = planned(world, "x:1", "linux/s390x")
    assert one.index is None and one.instead_of is not None
    assert [parcel.image.id for parcel in one.parcels if parcel.image] == [other]
    assert one.instead_of.digest == top.digest


def test_of_an_index_with_gaps_this_hosts_manifest_goes(world: World) -> None:
    architecture = world.images.index.host.architecture
    mine = world.image("x:1", layers=(BASE,), architecture=architecture)
    raw = manifest_of(world, mine, [blob(b"a")])
    missing = RawManifest(raw.data + b" ", oci.OCI_MANIFEST)
    top = index_of(raw, missing)
    keep(world, mine, "x:1", raw, top)
    shipment = planned(world, "x:1")
    assert shipment.index is None
    (parcel,) = shipment.parcels
    assert parcel.kept is not None and parcel.kept.data == raw.data
    assert shipment.instead_of is not None and shipment.instead_of.digest == top.digest


def test_what_is_no_image_goes_along_if_its_blobs_are_here(world: World) -> None:
    mine = world.image("x:1", layers=(BASE,))
    raw = manifest_of(world, mine, [blob(b"a")])
    config, statement = world.blobs.put(b"{}"), b"an attestation"
    note = Manifest(
        media_type=oci.OCI_MANIFEST,
        config=Descriptor(media_type=oci.OCI_CONFIG, digest=config, size=2),
        layers=[blob(statement, "application/vnd.in-toto+json")],
    )
    attestation = RawManifest(oci.encode(note), oci.OCI_MANIFEST)
    top = index_of(raw, attestation)
    keep(world, mine, "x:1", raw, attestation, top)
    assert planned(world, "x:1").index is None
    world.blobs.put(statement)
    shipment = planned(world, "x:1")
    assert shipment.index is not None
    piece = shipment.parcels[1].pieces[0]
    assert piece.diff_id is None and piece.id == sha256(statement)[7:19]


def test_layers_that_are_not_gzip_make_an_oci_manifest() -> None:
    config = blob(b"{}", oci.DOCKER_CONFIG)
    raw = built(config, [blob(b"1"), blob(b"2", f"{oci.OCI_LAYER}+zstd")])
    document = json.loads(raw.data)
    assert raw.media_type == document["mediaType"] == oci.OCI_MANIFEST
    assert document["config"]["mediaType"] == oci.OCI_CONFIG
    assert [layer["mediaType"] for layer in document["layers"]] == [
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.oci.image.layer.v1.tar+zstd",
    ]


def test_pieces_are_told_apart_and_foreign_ones_known() -> None:
    diff_id = DiffId("sha256:" + "a" * 64)
    foreign = blob(b"f", "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip")
    first, second = Piece(diff_id, None, blob(b"1")), Piece(diff_id, None, None)
    assert first.key != second.key and first.id == second.id == "a" * 12
    assert Piece(diff_id, None, foreign).is_foreign and not first.is_foreign


def test_mounts_are_tried_nearest_first() -> None:
    sources = ["r:5/far/away", "other/a/b", "r:5/a/c", "r:5/a/b", "r:5/a/b/d"]
    assert mountable(sources, "r:5/a/b", 3) == ["a/b/d", "a/c", "far/away"]
    assert mountable(sources, "r:5/a/b", 1) == ["a/b/d"]
    assert mountable(sources, "nowhere/x", 3) == []
