"""Image events as Docker words them: the image's labels and a name are the attributes."""

from __future__ import annotations

from pierhead.engine.events import EventBus
from pierhead.engine.images.model import Image


def image_event(events: EventBus, image: Image, name: str, action: str) -> None:
    """Tell that ``action`` (tag, untag, delete, import, load, save, ...) happened."""
    attributes = dict(image.config.config.labels or {})
    if name:
        attributes["name"] = name
    events.emit("image", action, image.id, attributes)
