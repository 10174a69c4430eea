from __future__ import annotations

import io
import json
import tarfile

import pytest

from pierhead.engine.images import saving
from pierhead.errors import Internal, InvalidParameter, NotFound
from pierhead.oci.digest import hex_of, sha256

from .conftest import World

DIGEST = "sha256:" + "a" * 64


async def save(world: World, *refs: str) -> tarfile.TarFile:
    data = b"".join([chunk async for chunk in world.images.save(list(refs))])
    assert len(data) % 512 == 0
    return tarfile.open(fileobj=io.BytesIO(data))


def read(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None
    return file.read()


async def test_both_tables_of_contents_lead_to_every_blob(world: World) -> None:
    first = world.image("a:1", "a:2", layers=(b"base", b"one"))
    second = world.image("b", layers=(b"base", b"two"), parent=first)
    archive = await save(world, "a:1", "a:2", "b")
    names = archive.getnames()
    assert len(names) == len(set(names)), "shared layers are written once"
    for name in names:
        if name.startswith("blobs/sha256/"):
            assert sha256(read(archive, name)) == "sha256:" + name.rpartition("/")[2]
    listing = json.loads(read(archive, "manifest.json"))
    assert [item["RepoTags"] for item in listing] == [["a:1", "a:2"], ["b:latest"]]
    assert listing[1]["Parent"] == first
    for item, image_id in zip(listing, (first, second), strict=True):
        assert item["Config"] == f"blobs/sha256/{hex_of(image_id)}"
        config = json.loads(read(archive, item["Config"]))
        assert [sha256(read(archive, layer)) for layer in item["Layers"]] == config["rootfs"][
            "diff_ids"
        ]
    index = json.loads(read(archive, "index.json"))
    annotated = [entry["annotations"]["io.containerd.image.name"] for entry in index["manifests"]]
    assert annotated == [
        "docker.io/library/a:1",
        "docker.io/library/a:2",
        "docker.io/library/b:latest",
    ]
    assert json.loads(read(archive, "oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    assert [event[0] for event in world.events.seen] == ["save", "save"]


async def test_the_same_image_gives_the_same_bytes(world: World) -> None:
    world.image("a")
    one = [chunk async for chunk in world.images.save(["a"])]
    two = [chunk async for chunk in world.images.save(["a"])]
    assert b"".join(one) == b"".join(two)


@pytest.mark.parametrize(
    ("refs", "names"),
    [
        (["a"], [["a:1", "a:2"]]),
        (["a:2"], [["a:2"]]),
        (["ID"], [None]),
        (["PREFIX"], [None]),
        (["ID", "a:1"], [["a:1"]]),
        (["a:1", "b", "a:1"], [["a:1"], ["b:latest"]]),
        ([f"a@{DIGEST}"], [None]),
    ],
)
async def test_which_names_are_saved(world: World, refs: list[str], names: list[object]) -> None:
    image_id = world.image("a:1", "a:2", f"a@{DIGEST}", layers=(b"a",))
    world.image("b", layers=(b"b",))
    refs = [image_id if ref == "ID" else image_id[7:19] if ref == "PREFIX" else ref for ref in refs]
    listing = json.loads(read(await save(world, *refs), "manifest.json"))
    assert [item["RepoTags"] for item in listing] == names


def test_what_is_missing_is_said_at_once(world: World) -> None:
    world.image("a")
    with pytest.raises(NotFound, match=r"^No such image: nope:latest$"):
        world.images.save(["a", "nope"])
    with pytest.raises(InvalidParameter):
        world.images.save([])
    assert world.events.seen == []


async def test_a_damaged_layer_ends_the_stream_with_an_error(world: World) -> None:
    image = world.images.resolve(world.image("a", layers=(b"whole",)))
    assert image.chain_id is not None
    world.snapshots.tars[image.chain_id] = b"ha"
    with pytest.raises(Internal, match="damaged"):
        await save(world, "a")


async def test_layers_are_held_while_they_are_read(world: World) -> None:
    world.image("a")
    stream = world.images.save(["a"])
    await anext(stream)
    await world.images.remove("a")
    assert not world.images.list()
    await stream.aclose()  # type: ignore[attr-defined]


def test_scratch_of_any_kind_is_discarded(world: World) -> None:
    for name in ("dir/sub", "other"):
        (world.paths.tmp / name).mkdir(parents=True)
    (world.paths.tmp / "file").touch()
    (world.paths.tmp / "link").symlink_to("/etc")
    for path in list(world.paths.tmp.iterdir()):
        saving.discard(path)
    saving.discard(world.paths.tmp / "missing")
    assert list(world.paths.tmp.iterdir()) == []
