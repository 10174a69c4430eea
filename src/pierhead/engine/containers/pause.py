"""Pause and unpause: the freezer. Health checks rest meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable

from pierhead.engine.containers import health
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.signalling import is_gone
from pierhead.errors import Conflict
from pierhead.runtime.crun import RuntimeFailed


async def _or_not_running(container: Container, call: Awaitable[None]) -> None:
    """What the runtime says of a container that ends in this moment is only that."""
    try:
        await call
    except RuntimeFailed as error:
        if is_gone(container):
            raise Conflict(f"container {container.id} is not running") from error
        raise


async def pause(ctx: Context, container: Container) -> None:
    """``POST /containers/{id}/pause``."""
    async with container.lock:
        phase = container.status.phase
        if phase is Phase.PAUSED:
            raise Conflict(f"container {container.id} is already paused")
        if phase is Phase.RESTARTING:
            raise Conflict(
                f"container {container.id} is restarting, wait until the container is running"
            )
        if phase is not Phase.RUNNING:
            raise Conflict(f"container {container.id} is not running")
        await _or_not_running(container, ctx.runtime_of(container.status).pause(container.id))
        health.end(container)
        container.status.phase = Phase.PAUSED
        ctx.registry.save_status(container)
        emit(ctx, container, "pause")


async def unpause(ctx: Context, container: Container) -> None:
    """``POST /containers/{id}/unpause``."""
    async with container.lock:
        if container.status.phase is not Phase.PAUSED:
            raise Conflict(f"container {container.id} is not paused")
        await _or_not_running(container, ctx.runtime_of(container.status).resume(container.id))
        container.status.phase = Phase.RUNNING
        ctx.registry.save_status(container)
        health.begin(ctx, container)
        emit(ctx, container, "unpause")
