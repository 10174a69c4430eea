"""Container events, with the attributes that Docker gives them."""

from __future__ import annotations

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context


def emit(ctx: Context, container: Container, action: str, **more: str) -> None:
    """Tell ``action``; attributes are the labels, then ``image``, ``name`` and ``more``."""
    attributes = dict(container.record.config.labels or {})
    if container.record.config.image:
        attributes["image"] = container.record.config.image
    attributes["name"] = container.name
    attributes.update(more)
    ctx.events.emit("container", action, container.id, attributes)
