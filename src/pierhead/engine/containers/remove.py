"""Remove: acknowledged when records, name and volumes are gone; files follow in the background."""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path

from pierhead import tasks
from pierhead.engine.containers import links
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.wait import notify_removed
from pierhead.errors import Conflict, PierError

log = logging.getLogger(__name__)


async def remove(
    ctx: Context, container: Container, ref: str, *, force: bool, volumes: bool, link: bool
) -> None:
    """``DELETE /containers/{id}``."""
    if link:
        links.unlink(ctx, ref)
        return
    if container.removing:
        raise Conflict(f"removal of container {ref} is already in progress")
    if container.active:
        if not force:
            raise Conflict(f'cannot remove container "/{container.name}": {_reason(container)}')
        from pierhead.engine.containers.stop import kill_and_wait

        container.status.manually_stopped = True
        await kill_and_wait(ctx, container)
    async with container.lock:
        if ctx.registry.find(container.id) is None:
            return  # its own --rm was quicker
        if container.active:
            raise Conflict(f'cannot remove container "/{container.name}": {_reason(container)}')
        await remove_stopped(ctx, container, volumes=volumes)


def _reason(container: Container) -> str:
    if container.status.phase is Phase.PAUSED:
        return "container is paused and must be unpaused first"
    return (
        f"container is {container.status.phase}: stop the container before removing or force remove"
    )


async def remove_stopped(ctx: Context, container: Container, *, volumes: bool) -> None:
    """Remove a container that does not run; its lock is held."""
    if container.removing:
        return
    container.removing = True
    container.cancel_restart()
    record, status = container.record, container.status
    promised = status.remove_on_exit and status.phase is Phase.EXITED
    status.phase = Phase.REMOVING
    if not promised:  # else recovery knows already
        ctx.registry.save_status(container)
    try:
        await ctx.networks.forget(record.id)
        await ctx.snapshots.remove(record.id)
        await ctx.volumes.release(record.id, record.mounts, remove_anonymous=volumes)
    except BaseException as error:
        container.removing = False
        status.phase = Phase.DEAD
        status.error = error.message if isinstance(error, PierError) else str(error)
        ctx.registry.save_status(container)
        notify_removed(container, status.error)
        raise
    links.forget(ctx, container)
    ctx.registry.delete(container)
    for session in list(container.pending_attaches):
        session.connect(None)
    container.pending_attaches.clear()
    for exec_id in list(container.execs):
        ctx.execs.forget(exec_id)
    emit(ctx, container, "destroy")
    notify_removed(container)
    delete_later(ctx.paths.container(record.id))


def delete_later(*directories: Path) -> None:
    """Delete trees in a thread. A kill meanwhile is no harm: recovery deletes what nobody owns."""

    async def work() -> None:
        for directory in directories:
            await asyncio.to_thread(shutil.rmtree, directory, True)

    tasks.spawn(work(), name="delete container directory")
