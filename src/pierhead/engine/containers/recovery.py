"""After a start of pierd: make records and reality agree.

Reality is what runs (conmon, known by pid and start time, which no other process can have)
and what conmon has written (exit files). In this order: stray helpers die, half-made things
go, ends that nobody saw are handled as if seen now, the living are watched again, and what
should run by its restart policy starts.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Final

from pierhead.engine.containers import exec, health
from pierhead.engine.containers.bundles import delete_bundle
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.create import undo
from pierhead.engine.containers.exits import handle_exit, watch
from pierhead.engine.containers.logfiles import hold, options_of, unwatch_log, watch_log
from pierhead.engine.containers.model import Phase
from pierhead.engine.containers.oom import tell_oom, unwatch_oom, watch_oom
from pierhead.engine.containers.remove import delete_later, remove_stopped
from pierhead.engine.containers.restarts import FIRST_S, after_daemon_start, schedule
from pierhead.engine.containers.start import cleaned_up
from pierhead.linux import mounts

log = logging.getLogger(__name__)

SHUTDOWN_S: Final = 10.0


def survey(ctx: Context) -> list[Container]:
    """Before anything else: who has died unseen. Those count as not running from now on.

    Changes memory only; ``recover`` records what follows from it.
    """
    ended = []
    for container in ctx.registry.all():
        status = container.status
        if container.running and not ctx.conmon.is_alive(
            status.conmon_pid, status.conmon_start_ticks
        ):
            ended.append(container)
            status.phase = Phase.EXITED
    return ended


async def recover(ctx: Context, ended: list[Container]) -> None:
    """Once, at start, when stores, networks and volumes have recovered."""
    live = {c.id for c in ctx.registry.all() if c.running}
    kill_strays(ctx, live)
    for container_id in await ctx.runtime.list_ids():
        if container_id not in live:
            found = ctx.registry.find(container_id)
            await _quietly("delete runtime state", container_id, _delete(ctx, container_id, found))
    for container in ctx.registry.all():
        if container.status.creating:
            await undo(ctx, container)
    for container in ended:
        await _quietly("handle exit", container.id, _handle_ended(ctx, container))
    for container in ctx.registry.all():
        if container.status.phase in (Phase.REMOVING, Phase.DEAD) or _promised(container):
            await _quietly("finish removal", container.id, _finish_removal(ctx, container))
        elif container.running:
            _resume(ctx, container)
    sweep(ctx, live)
    for container in ctx.registry.all():
        _restart_if_due(ctx, container, ended)


async def _quietly(what: str, container_id: str, work: object) -> None:
    """One container's trouble must not keep the others from coming back."""
    try:
        await work  # type: ignore[misc]
    except Exception:
        log.exception("recovery: can't %s", what, extra={"container": container_id})


async def _delete(ctx: Context, container_id: str, found: Container | None) -> None:
    runtime = ctx.runtime if found is None else ctx.runtime_of(found.status)
    await runtime.delete(container_id, force=True)


async def _handle_ended(ctx: Context, container: Container) -> None:
    status = container.status
    found = await ctx.conmon.wait_exit(
        status.conmon_pid,
        status.conmon_start_ticks,
        ctx.paths.exits / container.id,
        directory=ctx.paths.bundle(container.id),
    )
    async with container.lock:
        await handle_exit(ctx, container, found)


async def _finish_removal(ctx: Context, container: Container) -> None:
    async with container.lock:
        container.removing = False
        await remove_stopped(ctx, container, volumes=container.record.host_config.auto_remove)


def _promised(container: Container) -> bool:
    """The end of a ``--rm`` container is recorded, and pierd died before removing it."""
    ended = container.status.phase in (Phase.EXITED, Phase.CREATED)
    return container.status.remove_on_exit and ended


def _resume(ctx: Context, container: Container) -> None:
    """It runs: watch it again, and what was started in it."""
    watch(ctx, container)
    exec.restore(ctx, container)
    options = options_of(container)
    if options.keep and options.max_size_bytes > 0:
        directory = ctx.paths.container(container.id)
        hold(directory, options.max_files)
        watch_log(ctx, container, directory, options.max_files)
    if (ctx.paths.bundle(container.id) / "oom").exists():
        tell_oom(ctx, container)
    watch_oom(ctx, container)
    if container.status.phase is Phase.RUNNING:
        health.begin(ctx, container)


def _restart_if_due(ctx: Context, container: Container, ended: list[Container]) -> None:
    status, host = container.status, container.record.host_config
    if status.phase is Phase.RESTARTING:
        if container.restart_timer is None:
            container.restart_backoff_s = container.restart_backoff_s or FIRST_S
            schedule(ctx, container)
        return
    if status.phase is not Phase.EXITED or not status.has_been_started:
        return
    if container in ended:
        return  # handle_exit has applied the policy
    if host.auto_remove:
        return
    if after_daemon_start(
        host.restart_policy.name, manually_stopped=status.manually_stopped, was_running=False
    ):
        status.phase = Phase.RESTARTING
        ctx.registry.save_status(container)
        container.restart_backoff_s = FIRST_S
        schedule(ctx, container)


def kill_strays(ctx: Context, live: set[str]) -> None:
    """End conmons and runtimes of ours that an earlier pierd started for what it never recorded."""
    marks = (os.fsencode(ctx.paths.bundles) + b"/", os.fsencode(f"--root={ctx.paths.runtime_root}"))
    binaries = {ctx.runtime.binary, *ctx.settings.runtimes.values()}
    programs = {os.fsencode(os.path.basename(binary)) for binary in binaries}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/cmdline", "rb") as file:
                argv = file.read().split(b"\0")
        except OSError:
            continue
        if is_stray(argv, marks, live, programs):
            with suppress(ProcessLookupError):
                os.kill(int(entry), signal.SIGKILL)


def is_stray(
    argv: list[bytes],
    marks: tuple[bytes, bytes],
    live: set[str],
    programs: Collection[bytes] = (b"crun", b"runc"),
) -> bool:
    """Whether a command line is a conmon or runtime of ours for a container not ``live``. Pure.

    ``programs``: names of the runtimes' files.
    """
    bundles, root = marks
    program = os.path.basename(argv[0]) if argv else b""
    if program == b"conmon":
        if not any(word.startswith(bundles) for word in argv):
            return False
    elif root not in argv or program not in programs:
        return False
    return not any(word.decode("ascii", "replace") in live for word in argv)


def sweep(ctx: Context, live: set[str]) -> None:
    """Take away mounts, bundles, exit files and directories that belong to nobody."""
    known = {container.id for container in ctx.registry.all()}
    bundles = str(ctx.paths.bundles) + "/"
    for info in reversed(mounts.mountinfo()):
        if info.target.startswith(bundles):
            container_id = info.target[len(bundles) :].split("/")[0]
            if container_id not in live:
                with suppress(OSError):
                    mounts.unmount(Path(info.target), lazy=True)
    for name in _names(ctx.paths.bundles):
        if name not in live:
            delete_bundle(ctx.paths.bundle(name))
    for name in _names(ctx.paths.exits):
        if name not in live:
            with suppress(OSError):
                (ctx.paths.exits / name).unlink()
    orphans = [ctx.paths.container(n) for n in _names(ctx.paths.containers) if n not in known]
    if orphans:
        delete_later(*orphans)


def _names(directory: Path) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []


async def shutdown(ctx: Context) -> None:
    """pierd stops, containers go on: stop watching, keep every record as it is."""
    ctx.stopping = True
    for container in ctx.registry.all():
        container.cancel_restart()
        health.end(container)
        if container.monitor is not None:
            container.monitor.cancel()
            container.monitor = None
        unwatch_log(container)
        unwatch_oom(container)
    try:
        # Transitions under way are let finish; one that takes longer is for the next start.
        async with asyncio.timeout(SHUTDOWN_S):
            for container in ctx.registry.all():
                async with container.lock:
                    pass
                await cleaned_up(container)
    except TimeoutError:
        log.warning("a container's transition did not end in time")
    if ctx.inotify is not None:
        ctx.inotify.close()
        ctx.inotify = None
