from __future__ import annotations

from pierhead.build.export.squash import squash
from unit.build.export.conftest import Build
from unit.build.export.test_squash_worker import layer


async def test_history_keeps_what_was_done(build: Build) -> None:
    world = build.world
    base_id = world.image("base", layers=(layer(("a", b"a")),))
    base = world.images.index.images[base_id]
    image = build.assembled(layer(("b", b"b")), layer(("c", b"c")), base=base)
    with world.images.index.lease() as lease:
        before = image.config.encode()
        image, unsquashed = (
            await squash(image, world.images.index, world.snapshots, world.blobs, lease),  # type: ignore[arg-type]
            image,
        )
        assert unsquashed.config.encode() == before
        assert len(image.chains) == len(image.config.rootfs.diff_ids) == 2
        assert image.chains[0] == base.chains[0]
        emptiness = [entry.empty_layer for entry in image.config.history]
        assert emptiness == [False, True, True, False]
        assert image.config.history[-1].comment.endswith(f" to {base_id}")
        assert build.world.snapshots.layer(image.chains[-1]) is not None


async def test_nothing_on_top_is_nothing_to_do(build: Build) -> None:
    world = build.world
    base = world.images.index.images[world.image("base", layers=(b"x",))]
    image = build.assembled(base=base)
    with world.images.index.lease() as lease:
        image = await squash(image, world.images.index, world.snapshots, world.blobs, lease)  # type: ignore[arg-type]
    assert image.chains == list(base.chains)
