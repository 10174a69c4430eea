from __future__ import annotations

from pierhead.engine.images import importing
from pierhead.oci import reference
from pierhead.oci.image_config import ImageConfig

from .conftest import World, chunked


async def test_a_stream_becomes_a_base_layer_and_an_image(world: World) -> None:
    layer = await importing.apply_stream(world.snapshots, chunked(b"tar" * 1000))
    assert layer.parent is None
    ref = reference.parse("a:b")
    image = importing.record(world.images.index, layer, ImageConfig(os="linux"), ref)
    assert image.config.rootfs.diff_ids == [layer.diff_id]
    assert image.refs == {"docker.io/library/a:b"}
    again = importing.record(world.images.index, layer, ImageConfig(os="linux"), None)
    assert again is image
