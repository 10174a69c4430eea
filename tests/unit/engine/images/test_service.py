"""The face of the room: resolving, tagging, importing, restarts."""

from __future__ import annotations

import pytest

from pierhead.errors import InvalidParameter, NotFound
from pierhead.oci.digest import hex_of

from .conftest import World, chunked

DIGEST = "sha256:" + "a" * 64


def test_images_are_found_by_name_and_id(world: World) -> None:
    image_id = world.image("busybox", f"busybox@{DIGEST}", "quay.io/x/y:1")
    hex_ = hex_of(image_id)
    for text in (
        "busybox", "busybox:latest", "docker.io/library/busybox", "quay.io/x/y:1", image_id, hex_,
        hex_[:12], hex_[:2], f"sha256:{hex_[:12]}", f"busybox@{DIGEST}", f"busybox:any@{DIGEST}",
    ):  # fmt: skip
        assert world.images.resolve(text).id == image_id, text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("nope", "nope:latest"), ("nope:x", "nope:x"), ("docker.io/library/nope", "nope:latest"),
        ("f" * 64, "sha256:" + "f" * 64), ("quay.io/x", "quay.io/x:latest"), (DIGEST, DIGEST),
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_as_docker_names_it(world: World, text: str, shown: str) -> None:
    with pytest.raises(NotFound) as error:
        world.images.resolve(text)
    assert error.value.message == f"No such image: {shown}"


def test_importing_the_room_stays_light() -> None:
    import subprocess
    import sys

    code = (
        "import sys, pierhead.engine.images.service\n"
        "heavy = {'aiohttp', 'zstandard', 'isal', 'email.utils', 'tarfile'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_ambiguous_prefixes_and_bad_names(world: World) -> None:
    ids = [world.image(layers=(b"%d" % index,)) for index in range(20)]
    digits = [hex_of(image_id)[0] for image_id in ids]
    shared = next(digit for digit in digits if digits.count(digit) > 1)
    with pytest.raises(NotFound):
        world.images.resolve(shared)
    with pytest.raises(InvalidParameter, match="invalid reference format"):
        world.images.resolve("UPPER")


def test_a_platform_must_match(world: World) -> None:
    world.image("x", architecture="arm64")
    assert world.images.resolve("x", "linux/arm64").refs
    with pytest.raises(NotFound, match="does not match the specified platform: wanted linux/amd64"):
        world.images.resolve("x", "linux/amd64")


def test_tagging(world: World) -> None:
    image_id = world.image("a")
    world.images.tag("a", "b", "v1")
    world.images.tag(image_id, "localhost:5000/c")
    assert world.images.list()[0]["RepoTags"] == ["a:latest", "b:v1", "localhost:5000/c:latest"]
    assert world.events.seen == [
        ("tag", image_id, "b:v1"),
        ("tag", image_id, "localhost:5000/c:latest"),
    ]
    other = world.image(layers=(b"other",))
    world.images.tag(other, "a")
    assert world.images.resolve("a").id == other
    assert "docker.io/library/a:latest" not in world.images.resolve(image_id).refs


@pytest.mark.parametrize(
    ("repo", "tag", "message"),
    [
        ("", "x", "invalid reference format"),
        ("a b", "", "invalid reference format"),
        ("a", "b c", "invalid tag format"),
        (f"a@{DIGEST}", "", "refusing to create a tag with a digest reference"),
        ("sha256", "x", "refusing to create an ambiguous tag using digest algorithm as name"),
    ],
)
def test_bad_tags(world: World, repo: str, tag: str, message: str) -> None:
    world.image("a")
    with pytest.raises(InvalidParameter) as error:
        world.images.tag("a", repo, tag)
    assert error.value.message == message


async def test_import_makes_an_image_of_one_layer(world: World) -> None:
    image_id = await world.images.import_image(
        chunked(b"tar" * 5000), repo="imp", tag="v", changes=["CMD a b", "ENV X=1"], message="hi"
    )
    details = world.images.inspect("imp:v")
    assert details["Id"] == image_id
    assert details["Comment"] == "hi"
    assert details["Config"]["Cmd"] == ["/bin/sh", "-c", "a b"]
    assert details["Config"]["Env"] == ["X=1"]
    assert details["Size"] == 15_000
    assert world.images.history("imp:v")[0]["Comment"] == "hi"
    assert world.events.seen == [("tag", image_id, "imp:v"), ("import", image_id, image_id)]


async def test_a_client_that_vanishes_leaves_nothing(world: World) -> None:
    async def broken():
        yield b"x" * 100_000
        raise ConnectionResetError("gone")

    with pytest.raises(ConnectionResetError):
        await world.images.import_image(broken(), repo="imp")
    assert world.images.list() == []


async def test_bad_changes_are_refused_before_reading(world: World) -> None:
    with pytest.raises(InvalidParameter, match="run is not a valid change command"):
        await world.images.import_image(chunked(b""), changes=["RUN x"])


def test_everything_is_there_after_a_restart(world: World) -> None:
    first = world.image("a", "b:1", layers=(b"1", b"2"))
    second = world.image(layers=(b"1", b"2", b"3"), parent=first)
    world.images.tag("a", "c")
    before = world.images.list(all=True), world.images.inspect("a")
    world.start()
    assert (world.images.list(all=True), world.images.inspect("a")) == before
    assert world.images.resolve(second).parent == first
    assert len(world.images) == 2


async def test_recovery_drops_what_no_image_needs(world: World) -> None:
    world.image("a")
    stray = world.snapshots.add(b"stray layer")
    blob = world.blobs.put(b"{}")
    (world.paths.ingest / "half").write_text("x")
    (world.paths.tmp / "load-1").mkdir()
    (world.paths.tmp / "load-1/0").touch()
    await world.images.recover()
    assert world.snapshots.layer(stray.chain_id) is None
    assert not world.blobs.exists(blob)
    assert list(world.paths.ingest.iterdir()) == list(world.paths.tmp.iterdir()) == []
    assert world.images.resolve("a")


def test_disk_usage_counts_shared_layers(world: World) -> None:
    world.image("a", layers=(b"12345", b"1"))
    image_id = world.image("b", layers=(b"12345", b"22"))
    world.use(image_id, running=False)
    usage = world.images.disk_usage()
    assert usage["LayersSize"] == 8
    found = {item["RepoTags"][0]: item for item in usage["Images"]}
    assert found["a:latest"]["SharedSize"] == 5
    assert found["b:latest"]["Containers"] == 1


def test_a_broken_record_does_not_keep_the_rest_away(world: World) -> None:
    image_id = world.image("a")
    world.image("b", layers=(b"b",))
    world.blobs.delete(image_id)
    world.start()
    assert [item["RepoTags"] for item in world.images.list()] == [["b:latest"]]
