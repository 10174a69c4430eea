"""The end of a process: seen through conmon, recorded, told, and acted upon."""

from __future__ import annotations

import asyncio
import logging
import time

from pierhead import tasks
from pierhead.engine.containers import health
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.logfiles import unwatch_log
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.oom import tell_oom, unwatch_oom
from pierhead.engine.containers.remove import remove_stopped
from pierhead.engine.containers.restarts import decide, schedule
from pierhead.engine.containers.start import forget_process, teardown
from pierhead.engine.containers.wait import notify_exit
from pierhead.runtime.conmon import ExitStatus

log = logging.getLogger(__name__)


def watch(ctx: Context, container: Container) -> None:
    """Wait for the running container's end in the background."""
    container.monitor = tasks.spawn(_watch(ctx, container), name=f"exit {container.id[:12]}")


async def _watch(ctx: Context, container: Container) -> None:
    status = container.status
    found = await ctx.conmon.wait_exit(
        status.conmon_pid,
        status.conmon_start_ticks,
        ctx.paths.exits / container.id,
        directory=ctx.paths.bundle(container.id),
    )
    # From here on a shutdown must not leave half of it done.
    await asyncio.shield(tasks.spawn(_locked(ctx, container, found), name="exit handling"))


async def _locked(ctx: Context, container: Container, found: ExitStatus) -> None:
    async with container.lock:
        if container.running:
            await handle_exit(ctx, container, found)


async def handle_exit(ctx: Context, container: Container, found: ExitStatus) -> None:
    """Record the exit and do what follows from it; the lock is held."""
    record, status = container.record, container.status
    health.end(container)
    unwatch_log(container)
    unwatch_oom(container)
    ran_ns = max(0, found.finished_ns - status.started_ns)
    await teardown(ctx, container, ended=found.known)
    status.exit_code = found.exit_code
    status.finished_ns = found.finished_ns or time.time_ns()
    if not found.known:
        status.error = "the exit code is unknown: conmon was killed or the host restarted"
    forget_process(container)
    container.execs_ended()
    restart = not ctx.stopping and decide(container, ran_ns)
    status.phase = Phase.RESTARTING if restart else Phase.EXITED
    if restart:
        status.restart_count += 1
    remove = record.host_config.auto_remove and not restart and not status.manually_restarted
    status.remove_on_exit = remove
    ctx.registry.save_status(container)
    container.exited.set()
    if found.oom_killed:
        tell_oom(ctx, container)
    emit(
        ctx,
        container,
        "die",
        exitCode=str(found.exit_code),
        execDuration=str(ran_ns // 1_000_000_000),
    )
    notify_exit(container)
    if restart:
        schedule(ctx, container)
    elif remove:
        await remove_stopped(ctx, container, volumes=True)
