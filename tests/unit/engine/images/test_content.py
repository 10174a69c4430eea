"""Records of manifests, layer blobs and sources; leases."""

from __future__ import annotations

import pytest

from pierhead.engine.images.content import SOURCES_LIMIT, RawManifest
from pierhead.errors import InvalidParameter
from pierhead.oci import manifest
from pierhead.oci.digest import ChainId, DiffId, Digest, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest

from .conftest import World

DIFF = DiffId("sha256:" + "d" * 64)


def digest_of(text: str) -> Digest:
    return sha256(text.encode())


def image_manifest(config: str) -> RawManifest:
    made = Manifest(
        media_type=manifest.OCI_MANIFEST,
        config=Descriptor(media_type=manifest.OCI_CONFIG, digest=digest_of(config), size=1),
        layers=[Descriptor(digest=digest_of(f"layer of {config}"), size=1)],
    )
    return RawManifest(manifest.encode(made), manifest.OCI_MANIFEST)


def test_manifests_outlive_a_restart(world: World) -> None:
    content = world.images.index.content
    raw = image_manifest("a")
    table = Index(
        media_type=manifest.OCI_INDEX,
        manifests=[
            Descriptor(media_type=raw.media_type, digest=raw.digest, size=len(raw.data)),
            Descriptor(media_type=raw.media_type, digest=digest_of("not held"), size=1),
        ],
    )
    top = RawManifest(manifest.encode(table), manifest.OCI_INDEX)
    kept = content.put(raw)
    assert content.put(raw) is kept
    index = content.put(top)
    assert kept.image_id == digest_of("a") and not kept.is_index
    assert index.is_index and index.children == (raw.digest, digest_of("not held"))
    assert world.blobs.read(raw.digest) == raw.data
    world.start()
    again = world.images.index.content
    assert again.manifests == content.manifests
    assert again.by_image == {digest_of("a"): [raw.digest]}
    assert again.parents[raw.digest] == [top.digest]
    assert again.members()[raw.digest] == (digest_of("a"), digest_of("layer of a"))
    again.forget(top.digest)
    again.forget(top.digest)
    assert again.parents == {} and list(again.manifests) == [raw.digest]


def test_artifacts_lead_to_no_image_and_nonsense_is_refused(world: World) -> None:
    content = world.images.index.content
    note = Manifest(config=Descriptor(media_type="x/y", digest=digest_of("n"), size=1))
    assert content.put(RawManifest(manifest.encode(note), "")).image_id is None
    bad = Manifest(config=Descriptor(digest=Digest("sha256:../x"), size=1))
    for data in (b"", b"[]", manifest.encode(bad)):
        with pytest.raises(InvalidParameter):
            content.put(RawManifest(data, manifest.OCI_MANIFEST))


def test_a_failed_transaction_leaves_memory_as_it_was(world: World) -> None:
    content = world.images.index.content
    before = set(content.manifests)
    content.put(image_manifest("a"))
    content.withdraw(before)
    assert content.manifests == {} and content.by_image == {}


def test_layer_blobs_that_are_here_come_first(world: World) -> None:
    content = world.images.index.content
    here = world.blobs.put(b"compressed")
    away = digest_of("elsewhere")
    for digest in (away, here):
        content.add_layer_blob(DIFF, Descriptor(media_type="gzip", digest=digest, size=10))
    assert [blob.digest for blob in content.layer_blobs(DIFF)] == [here, away]
    assert content.diff_id_of(away) == DIFF
    assert content.diff_id_of(digest_of("unknown")) is None
    assert content.drop_layer_blobs(set(), {here}) == {here}
    assert [blob.digest for blob in content.layer_blobs(DIFF)] == [here]
    assert content.drop_layer_blobs({DIFF}, set()) == {here}


def test_sources_are_few_and_the_latest_first(world: World) -> None:
    content = world.images.index.content
    blob = digest_of("blob")
    for number in range(SOURCES_LIMIT + 4):
        content.add_source(blob, f"docker.io/library/x{number}")
    found = content.sources(blob)
    assert len(found) == SOURCES_LIMIT and found[0] == f"docker.io/library/x{SOURCES_LIMIT + 3}"
    content.drop_source(blob, found[0])
    assert content.sources(blob) == found[1:]
    content.drop_sources({blob})
    assert content.sources(blob) == found[1:]
    content.drop_sources(set())
    assert content.sources(blob) == []


def test_leases_count_and_tell_when_they_end(world: World) -> None:
    content = world.images.index.content
    ended: list[tuple[ChainId, ...]] = []
    content.on_release = ended.append
    chain = ChainId("sha256:" + "c" * 64)
    with content.lease() as one, content.lease() as two:
        for lease in (one, two):
            lease.add_chains([chain])
            lease.add_blobs(["sha256:b"])
        two.release()
        assert chain in content.held_chains and "sha256:b" in content.held_blobs
    assert content.held_chains == {} and content.held_blobs == {}
    assert ended == [(chain,), (chain,)], "an empty lease ends silently"
