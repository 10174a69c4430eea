"""A container's mounts as the runtime specification wants them (config.md, "Mounts"). Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pierhead.engine.containers.model import MountRecord


def oci_mount(record: MountRecord, source: str, *, recursive_read_only: bool) -> dict[str, Any]:
    """One entry of ``mounts``; ``source`` is the path on the host (unused for tmpfs).

    ``recursive_read_only``: the kernel can make a tree of mounts read-only (Linux 5.12).
    """
    point = record.point
    if point.type == "tmpfs":
        return {
            "destination": point.destination,
            "type": "tmpfs",
            "source": "tmpfs",
            "options": list(record.options),
        }
    bind = record.spec.bind_options if record.spec else None
    options = ["bind" if bind and bind.non_recursive else "rbind"]
    options.append(point.propagation or "rprivate")
    if not point.rw:
        options.append("ro")
        if recursive_read_only and not (
            bind and (bind.non_recursive or bind.read_only_non_recursive)
        ):
            options.append("rro")
    return {
        "destination": point.destination,
        "type": "bind",
        "source": source,
        "options": options,
    }


def parents_first(mounts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """A mount hides what was mounted below its destination before it."""
    return sorted(mounts, key=lambda mount: (mount["destination"].count("/"), mount["destination"]))
