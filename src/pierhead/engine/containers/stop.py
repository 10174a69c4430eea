"""Stop, kill, restart."""

from __future__ import annotations

import asyncio
import logging
import signal as signals
from contextlib import suppress
from typing import Final

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.signalling import send_signal
from pierhead.engine.containers.signals import parse_signal, stop_signal
from pierhead.engine.containers.start import check_startable, launch
from pierhead.engine.containers.wait import notify_exit
from pierhead.errors import Conflict, Internal, NotModified
from pierhead.runtime.crun import RuntimeFailed

log = logging.getLogger(__name__)

DEFAULT_TIMEOUT_S: Final = 10
KILL_GRACE_S: Final = 10.0  # after SIGKILL the kernel needs moments; more means it hangs


async def stop(
    ctx: Context, container: Container, *, signal: str | None, timeout_s: int | None
) -> None:
    """Ask with the stop signal, wait, then kill. Raises ``NotModified`` when nothing runs."""
    number = parse_signal(signal) if signal else stop_signal(container.record.config.stop_signal)
    if not container.active:
        raise NotModified("container is already stopped")
    await end(ctx, container, number, _timeout(container, timeout_s))
    emit(ctx, container, "stop")


def _timeout(container: Container, asked: int | None) -> float | None:
    """Seconds; None waits for ever."""
    if asked is None:
        asked = container.record.config.stop_timeout
    if asked is None:
        return float(DEFAULT_TIMEOUT_S)
    return None if asked < 0 else float(asked)


async def end(ctx: Context, container: Container, number: int, timeout_s: float | None) -> None:
    """Bring the container down: signal, at most ``timeout_s``, then SIGKILL; not under its lock."""
    if await cancel_restarting(ctx, container):
        return
    await _signal(ctx, container, number, stopping=True)
    if not await _wait_exited(container, timeout_s):
        await kill_and_wait(ctx, container)


async def kill_and_wait(ctx: Context, container: Container) -> None:
    """SIGKILL, and return once the exit is recorded."""
    if await cancel_restarting(ctx, container):
        return
    await _signal(ctx, container, signals.SIGKILL, stopping=True)
    if await _wait_exited(container, KILL_GRACE_S):
        return
    status = container.status
    log.warning(
        "a killed container is slow to end",
        extra={
            "container": container.id,
            "monitor_lives": ctx.conmon.is_alive(status.conmon_pid, status.conmon_start_ticks),
            "exit_is_handled": container.lock.locked(),
        },
    )
    # A process in another pid namespace, or one that the runtime must find by cgroup.
    with suppress(RuntimeFailed):  # nothing is left of it: its monitor is slow to say so
        await ctx.runtime_of(container.status).kill(container.id, signals.SIGKILL, all=True)
    if not await _wait_exited(container, KILL_GRACE_S):
        raise Internal(f"tried to kill container {container.id}, but did not receive an exit event")


async def _wait_exited(container: Container, timeout_s: float | None) -> bool:
    if timeout_s == 0:
        return container.exited.is_set()
    try:
        async with asyncio.timeout(timeout_s):
            await container.exited.wait()
    except TimeoutError:
        return False
    return True


async def cancel_restarting(ctx: Context, container: Container) -> bool:
    """A container between two tries of its restart policy is stopped by not trying again."""
    async with container.lock:
        if container.status.phase is not Phase.RESTARTING:
            return not container.running
        container.cancel_restart()
        container.status.manually_stopped = True
        container.status.phase = Phase.EXITED
        ctx.registry.save_status(container)
        notify_exit(container)
        return True


async def _signal(ctx: Context, container: Container, number: int, *, stopping: bool) -> None:
    """Send; ``stopping`` keeps restart policies from acting. A paused one is woken to see it."""
    async with container.lock:
        if not container.running:
            return
        if stopping and not container.status.manually_stopped:
            container.status.manually_stopped = True
            ctx.registry.save_status(container)
        sent = send_signal(container, number)
        if container.status.phase is Phase.PAUSED and sent:
            await ctx.runtime_of(container.status).resume(container.id)
            container.status.phase = Phase.RUNNING
            ctx.registry.save_status(container)
    emit(ctx, container, "kill", signal=str(int(number)))


async def kill(ctx: Context, container: Container, signal: str | None) -> None:
    """``POST /containers/{id}/kill``: send one signal; SIGKILL also waits for the end."""
    number = parse_signal(signal) if signal else int(signals.SIGKILL)
    if not container.active:
        raise Conflict(
            f"cannot kill container: {container.id}: container {container.id} is not running"
        )
    if container.status.phase is Phase.RESTARTING:
        await cancel_restarting(ctx, container)
        return
    if number == signals.SIGKILL:
        await kill_and_wait(ctx, container)
        return
    configured = container.record.config.stop_signal
    stopping = not configured or number == stop_signal(configured)
    await _signal(ctx, container, number, stopping=stopping)


async def restart(
    ctx: Context, container: Container, *, signal: str | None, timeout_s: int | None
) -> None:
    """Stop if need be, then start. Neither --rm nor the restart policy act in between."""
    number = parse_signal(signal) if signal else stop_signal(container.record.config.stop_signal)
    if container.active:
        container.status.manually_restarted = True
        ctx.registry.save_status(container)
        try:
            await end(ctx, container, number, _timeout(container, timeout_s))
        except BaseException:
            container.status.manually_restarted = False
            ctx.registry.save_status(container)
            raise
        emit(ctx, container, "stop")
    async with container.lock:
        try:
            check_startable(container)
            await launch(ctx, container)
        except NotModified:
            pass  # somebody else has started it meanwhile: it runs, as asked
        finally:
            container.status.manually_restarted = False
    emit(ctx, container, "restart")
