"""Rename."""

from __future__ import annotations

import msgspec

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.names import check_name
from pierhead.errors import Conflict, InvalidParameter


async def rename(ctx: Context, container: Container, name: str) -> None:
    """``POST /containers/{id}/rename``. The old name is free when this returns."""
    if not name.strip().removeprefix("/"):
        raise InvalidParameter("Neither old nor new names may be empty")
    new = name.strip().removeprefix("/")
    if new == container.name:
        raise InvalidParameter("Renaming a container with the same name as its current name")
    check_name(new)
    async with container.lock:
        if container.removing or container.status.phase in (Phase.REMOVING, Phase.DEAD):
            raise Conflict("container is marked for removal and cannot be renamed")
        try:
            ctx.registry.reserve(new, container.id)
        except Conflict as error:
            raise Conflict(f"Error when allocating new name: {error.message}") from error
        old = container.name
        ctx.registry.unregister_links(container)
        container.record = msgspec.structs.replace(container.record, name=new)
        ctx.registry.register_links(container)
        try:
            ctx.registry.save(container)
            await ctx.networks.rename(container.id, new)
        except BaseException:
            ctx.registry.unregister_links(container)
            container.record = msgspec.structs.replace(container.record, name=old)
            ctx.registry.register_links(container)
            ctx.registry.save(container)
            ctx.registry.release(new, container.id)
            raise
        ctx.registry.release(old, container.id)
        emit(ctx, container, "rename", oldName=f"/{old}")
