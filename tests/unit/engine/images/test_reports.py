from __future__ import annotations

from typing import Any

import pytest

from pierhead.engine.images import difference, explore
from pierhead.engine.images.reports import ImageReports
from pierhead.errors import NotFound


def reports(world: Any) -> ImageReports:
    return ImageReports(images=world.images, snapshots=world.snapshots, paths=world.paths)


def test_unknown_images_are_told_at_once(world: Any) -> None:
    world.image("a:1")
    with pytest.raises(NotFound, match="No such image: none:latest"):
        reports(world).explore("none", explore.Wanted())
    for pair in (("none", "a:1"), ("a:1", "none")):
        with pytest.raises(NotFound, match="No such image: none:latest"):
            reports(world).difference(*pair, difference.Wanted(), (None, None))
    with pytest.raises(NotFound, match="platform"):
        reports(world).explore("a:1", explore.Wanted(), "linux/arm64")


def test_ancestry(world: Any) -> None:
    world.image("a:1")
    (node,) = reports(world).ancestry()
    assert node["Images"][0]["RepoTags"] == ["a:1"]
