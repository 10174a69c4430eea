"""A whole push against a registry in memory, message by message."""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pierhead.distribution.push import Pusher
from pierhead.engine.images.content import RawManifest
from pierhead.errors import InvalidParameter
from pierhead.oci import manifest as oci
from pierhead.oci import reference
from pierhead.oci.digest import Digest, sha256
from pierhead.oci.manifest import Descriptor, Index, Manifest
from support.lying import LyingRegistry
from support.registries import RegistrySettings
from unit.engine.images.conftest import World


class Settings(RegistrySettings):
    max_concurrent_uploads = 5


class Pushing:
    def __init__(self, root: Path, liar: LyingRegistry) -> None:
        self.world = World(root)
        self.liar = liar
        self.pusher = Pusher(
            images=self.world.images,
            blobs=self.world.blobs,
            snapshots=self.world.snapshots,  # type: ignore[arg-type]
            events=self.world.events,  # type: ignore[arg-type]
            settings=Settings(),  # type: ignore[arg-type]
        )

    def name(self, rest: str) -> str:
        return f"{self.liar.host}/{rest}"

    async def push(self, name: str, tag: str = "", **options: Any) -> list[dict[str, Any]]:
        """Its messages, bars left out."""
        return [
            message
            async for message in self.pusher.push(self.name(name), tag, **options)
            if not message.get("progress")
        ]


@pytest.fixture
def pushing(tmp_path: Path) -> Iterator[Pushing]:
    with LyingRegistry() as liar:
        pushing = Pushing(tmp_path, liar)
        yield pushing
        pushing.world.db.close()


def error_of(messages: list[dict[str, Any]]) -> str:
    last = messages[-1]
    assert last == {"errorDetail": {"message": last["error"]}, "error": last["error"]}
    return str(last["error"])


async def test_the_messages_are_dockers(pushing: Pushing) -> None:
    image_id = pushing.world.image(pushing.name("e/x:1"), layers=(b"base", b"top"))
    base, top = (
        diff_id[7:19]
        for diff_id in pushing.world.images.index.images[image_id].config.rootfs.diff_ids
    )
    messages = await pushing.push("e/x", "1")
    kind, data = pushing.liar.manifests["e/x", "1"]
    digest = sha256(data)
    assert messages[:3] == [
        {"status": f"The push refers to repository [{pushing.name('e/x')}]"},
        {"status": "Preparing", "progressDetail": {}, "id": top},
        {"status": "Preparing", "progressDetail": {}, "id": base},
    ]
    assert {(item["id"], item["status"]) for item in messages[3:5]} == {
        (top, "Pushed"), (base, "Pushed"),
    }  # fmt: skip
    assert messages[5:] == [
        {"status": f"1: digest: {digest} size: {len(data)}"},
        {"progressDetail": {}, "aux": {"Tag": "1", "Digest": digest, "Size": len(data)}},
    ]
    assert kind == oci.DOCKER_MANIFEST
    document = json.loads(data)
    assert document["config"]["digest"] == image_id and image_id in pushing.liar.blobs
    assert all(layer["digest"] in pushing.liar.blobs for layer in document["layers"])
    image = pushing.world.images.resolve(pushing.name("e/x:1"))
    assert f"{pushing.name('e/x')}@{digest}" in image.refs
    assert pushing.world.events.seen[-1] == ("push", pushing.name("e/x:1"), pushing.name("e/x"))


async def test_the_second_push_sends_nothing(pushing: Pushing) -> None:
    pushing.world.image(pushing.name("e/x:1"), layers=(b"base", b"top"))
    await pushing.push("e/x", "1")
    first = pushing.liar.manifests["e/x", "1"]
    pushing.liar.requests.clear()
    messages = await pushing.push("e/x", "1")
    assert [item.get("status") for item in messages[3:5]] == ["Layer already exists"] * 2
    assert pushing.liar.manifests["e/x", "1"] == first
    assert not [item for item in pushing.liar.requests if item.method in ("POST", "PATCH")]


async def test_a_name_alone_means_all_of_its_tags(pushing: Pushing) -> None:
    pushing.world.image(pushing.name("e/x:1"), pushing.name("e/x:2"), layers=(b"base",))
    pushing.world.image(pushing.name("e/other:1"), layers=(b"other",))
    messages = await pushing.push("e/x")
    assert [item["aux"]["Tag"] for item in messages if "aux" in item] == ["1", "2"]
    assert ("e/other", "1") not in pushing.liar.manifests
    assert pushing.world.events.seen[-1] == ("push", pushing.name("e/x"), pushing.name("e/x"))


async def test_an_index_goes_whole_and_last(pushing: Pushing) -> None:
    index = pushing.world.images.index
    ids = [
        pushing.world.image(layers=(b"one",), architecture="amd64"),
        pushing.world.image(layers=(b"two",), architecture="s390x"),
    ]
    raws = []
    for image_id, data in zip(ids, (b"one", b"two"), strict=True):
        pushing.world.blobs.put(data)
        layer = Descriptor(media_type=oci.OCI_LAYER, digest=sha256(data), size=len(data))
        size = len(pushing.world.blobs.read(image_id))
        config = Descriptor(media_type=oci.OCI_CONFIG, digest=Digest(image_id), size=size)
        value = Manifest(media_type=oci.OCI_MANIFEST, config=config, layers=[layer])
        raws.append(RawManifest(oci.encode(value), oci.OCI_MANIFEST))
    entries = [
        Descriptor(media_type=raw.media_type, digest=raw.digest, size=len(raw.data)) for raw in raws
    ]
    top = RawManifest(oci.encode(Index(media_type=oci.OCI_INDEX, manifests=entries)), oci.OCI_INDEX)
    ref = reference.parse(pushing.name("e/x:1"))
    with index.transaction():
        for raw in (*raws, top):
            index.content.put(raw)
        index.tag(index.images[ids[0]], ref, top.digest)
    messages = await pushing.push("e/x", "1")
    assert messages[-1]["aux"]["Digest"] == top.digest
    assert pushing.liar.manifests["e/x", "1"] == (oci.OCI_INDEX, top.data)
    for raw in raws:
        assert pushing.liar.manifests["e/x", raw.digest] == (oci.OCI_MANIFEST, raw.data)
    puts = [item.path for item in pushing.liar.requests if "/manifests/" in item.path]
    assert puts[-1] == "/v2/e/x/manifests/1"

    chosen = await pushing.push("e/x", "1", platform="linux/s390x")
    assert pushing.liar.manifests["e/x", "1"] == (oci.OCI_MANIFEST, raws[1].data)
    assert chosen[-1]["aux"]["manifestPushedInsteadOfIndex"] is True
    assert chosen[-1]["aux"]["selectedManifest"]["digest"] == raws[1].digest
    assert index.targets[str(ref)] == top.digest  # the name stays what it was


async def test_names_that_are_not_here(pushing: Pushing) -> None:
    x, no = pushing.name("e/x"), pushing.name("e/no")
    pushing.world.image(pushing.name("e/x:1"))
    assert error_of(await pushing.push("e/x", "2")) == f"tag does not exist: {x}:2"
    words = f"An image does not exist locally with the tag: {no}"
    assert error_of(await pushing.push("e/no", "1")) == words
    assert error_of(await pushing.push("e/no")) == words
    digest = "sha256:" + "0" * 64
    assert error_of(await pushing.push(f"e/x@{digest}")) == "cannot push a digest reference"
    with pytest.raises(InvalidParameter, match="must be lowercase"):
        await pushing.push("E/x", "1")
    with pytest.raises(InvalidParameter, match="invalid tag format"):
        await pushing.push("e/x", "-1")
    assert not pushing.liar.requests


async def test_credentials_that_are_missing(pushing: Pushing) -> None:
    pushing.world.image(pushing.name("e/x:1"))
    pushing.liar.on(
        "*",
        "/v2/",
        lambda exchange: exchange.error(
            401, "UNAUTHORIZED", "authentication required", WWW_Authenticate='Basic realm="r"'
        ),
    )
    messages = await pushing.push("e/x", "1", auth="not base64!")
    assert messages[1]["status"] == "Preparing"
    assert error_of(messages) == "no basic auth credentials"
    assert not pushing.liar.manifests and not pushing.liar.blobs


async def test_a_push_that_is_not_allowed(pushing: Pushing) -> None:
    pushing.world.image(pushing.name("e/x:1"))
    pushing.liar.on(
        "*",
        "/v2/e/",
        lambda exchange: exchange.error(
            403, "DENIED", "requested access to the resource is denied"
        ),
    )
    messages = await pushing.push("e/x", "1")
    assert error_of(messages) == "denied: requested access to the resource is denied"
    assert not any("digest" in str(item.get("status")) for item in messages)


async def test_a_full_disk(pushing: Pushing, monkeypatch: pytest.MonkeyPatch) -> None:
    pushing.world.image(pushing.name("e/x:1"))

    def full() -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pushing.world.blobs, "scratch", full)
    assert error_of(await pushing.push("e/x", "1")) == "push failed: no space left on device"
    assert not pushing.liar.manifests


async def test_the_end_of_the_client_ends_the_push(pushing: Pushing) -> None:
    pushing.world.image(pushing.name("e/x:1"))
    source = pushing.pusher.push(pushing.name("e/x"), "1")
    async for message in source:
        if message.get("status") == "Preparing":
            break
    await source.aclose()  # type: ignore[attr-defined]
    assert ("e/x", "1") not in pushing.liar.manifests
    assert not list(pushing.world.paths.ingest.iterdir())
    assert not pushing.world.images.index.content.held_chains
