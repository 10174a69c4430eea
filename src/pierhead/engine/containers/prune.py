"""Prune: remove every container that does not run."""

from __future__ import annotations

import logging
import time

from pierhead.engine.containers.context import Context
from pierhead.engine.containers.remove import remove
from pierhead.engine.filters import Filters
from pierhead.engine.images.clock import parse_timestamp
from pierhead.errors import InvalidParameter, PierError

log = logging.getLogger(__name__)


async def prune(ctx: Context, filters: Filters) -> tuple[list[str], int]:
    """``POST /containers/prune``: the ids and the bytes of their writable layers."""
    filters.validate(("label", "label!", "until"))
    untils = filters.get("until")
    if len(untils) > 1:
        raise InvalidParameter("more than one until filter specified")
    until_ns = parse_timestamp(untils[0], time.time_ns()) if untils else None
    removed: list[str] = []
    freed = 0
    for container in ctx.registry.all():
        if container.active or container.removing or container.status.creating:
            continue
        if until_ns is not None and container.record.created_ns > until_ns:
            continue
        if not filters.match_labels(container.record.config.labels):
            continue
        try:
            size = (await ctx.snapshots.usage(container.id)).size_bytes
        except (PierError, OSError):
            size = 0
        try:
            await remove(ctx, container, container.id, force=False, volumes=False, link=False)
        except PierError as error:
            log.warning("can't prune: %s", error.message, extra={"container": container.id})
            continue
        freed += size
        removed.append(container.id)
    ctx.events.emit("container", "prune", "", {"reclaimed": str(freed)})
    return removed, freed
