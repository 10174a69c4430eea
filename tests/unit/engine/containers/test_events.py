from __future__ import annotations

from pierhead.engine.config import ContainerConfig
from pierhead.engine.containers.events import emit
from support.containers import World


async def test_attributes(world: World) -> None:
    config = ContainerConfig(image="busybox", labels={"name": "a label called name", "x": "y"})
    made = await world.create(config=config)
    emit(world.ctx, made, "kill", signal="9")
    action, attributes = world.events.seen[-1]
    assert action == "kill"
    assert attributes == {
        "of": "image",
        "x": "y",
        "image": "busybox",
        "name": "one",  # the container's own wins over a label
        "signal": "9",
    }
