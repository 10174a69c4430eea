from __future__ import annotations

from pierhead.engine.images.model import Image
from pierhead.oci.digest import DiffId, ImageId, chain_ids
from pierhead.oci.image_config import ImageConfig, RootFs


def test_an_image_knows_its_chain() -> None:
    diff_ids = [DiffId("sha256:" + digit * 64) for digit in "123"]
    config = ImageConfig(rootfs=RootFs(diff_ids=diff_ids))
    image = Image(ImageId("sha256:0"), config, chain_ids(diff_ids)[-1], 0, 0)
    assert image.chains == tuple(chain_ids(diff_ids))
