from __future__ import annotations

from typing import Any

from pierhead.engine.images.events import image_event

from .conftest import World


def test_labels_and_the_name_are_the_attributes(world: World) -> None:
    seen: list[tuple[Any, ...]] = []

    class Bus:
        def emit(self, *args: Any) -> None:
            seen.append(args)

    image = world.images.resolve(world.image("a", labels={"l": "v", "name": "label"}))
    image_event(Bus(), image, "a:latest", "tag")  # type: ignore[arg-type]
    assert seen == [("image", "tag", image.id, {"l": "v", "name": "a:latest"})]
