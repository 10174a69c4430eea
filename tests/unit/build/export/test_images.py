from __future__ import annotations

import json

import pytest

from pierhead.build.model import Output
from pierhead.errors import Unavailable
from pierhead.oci.digest import sha256
from unit.build.export.conftest import Build


async def test_an_image_of_the_classic_kind_compresses_nothing(build: Build) -> None:
    await build.export(build.solved(build.assembled(b"one"), tags=["app", "app:2"]))
    index = build.world.images.index
    assert set(index.refs) == {"docker.io/library/app:latest", "docker.io/library/app:2"}
    assert not index.content.manifests
    assert [seen[0] for seen in build.world.events.seen] == ["tag", "tag"]


async def test_annotations_make_a_manifest(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"])
    result = await build.export(
        solved, Output(type="image", attributes={"annotation.org.example.x": "y"})
    )
    kept = build.world.images.index.target("app")
    assert kept is not None and kept.digest == result.digest
    document = json.loads(build.world.blobs.read(kept.digest))
    assert document["annotations"] == {"org.example.x": "y"}
    assert result.metadata["containerimage.descriptor"]["digest"] == kept.digest


async def test_a_push_uses_the_client_s_credentials_and_tells_the_digest(build: Build) -> None:
    digest = sha256(b"manifest")
    build.push_messages = [
        {"id": "abc", "status": "Pushing", "progressDetail": {"current": 1, "total": 2}},
        {"id": "abc", "status": "Pushed"},
        {"aux": {"Tag": "latest", "Digest": digest, "Size": 5}},
    ]
    solved = build.solved(build.assembled(b"one"), tags=["registry.example/app"])
    result = await build.export(solved, Output(type="registry"))
    [(name, auth)] = build.pushed
    assert name == "registry.example/app:latest" and auth
    assert result.digest == digest == result.metadata["containerimage.digest"]


async def test_a_failed_push_is_an_error_and_the_image_stays(build: Build) -> None:
    build.push_messages = [{"error": "denied", "errorDetail": {"message": "denied"}}]
    solved = build.solved(build.assembled(b"one"), tags=["registry.example/app"])
    with pytest.raises(Unavailable, match=r"failed to push registry\.example/app:latest: denied"):
        await build.export(solved, Output(type="registry"))
    assert build.image("registry.example/app")


async def test_store_false_forgets_what_was_pushed(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["registry.example/app"])
    await build.export(solved, Output(type="registry", attributes={"store": "false"}))
    assert build.pushed and not build.world.images.index.refs


async def test_by_digest_no_name_is_given(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["registry.example/app"])
    result = await build.export(solved, Output(type="registry", attributes={"push-by-digest": ""}))
    assert list(build.registry.manifests) == [result.digest]
    assert not build.pushed and not build.world.images.index.refs
    manifest = json.loads(build.registry.manifests[str(result.digest)][0])
    assert manifest["config"]["digest"] in build.registry.blobs


async def test_name_canonical_names_the_digest_as_well(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"])
    result = await build.export(
        solved,
        Output(type="image", attributes={"name-canonical": "true", "oci-mediatypes": "true"}),
    )
    assert f"docker.io/library/app@{result.digest}" in build.world.images.index.refs


async def test_what_is_packed_outlives_the_collector(build: Build) -> None:
    solved = build.solved(build.assembled(b"one"), tags=["app"], provenance={"mode": "max"})
    result = await build.export(solved)
    await build.world.images.collect()
    index = json.loads(build.world.blobs.read(str(result.digest)))
    for entry in index["manifests"]:
        manifest = json.loads(build.world.blobs.read(entry["digest"]))
        for blob in [manifest["config"], *manifest["layers"]]:
            assert build.world.blobs.exists(blob["digest"])
