"""Telling of an out-of-memory kill when it happens, not only when the container ends.

conmon writes an empty file ``oom`` into the bundle when the kernel has killed something in
the container's cgroup. Only containers with a memory limit are watched.
"""

from __future__ import annotations

import logging

from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.logfiles import inotify
from pierhead.linux.inotify import IN_CREATE

log = logging.getLogger(__name__)


def watch_oom(ctx: Context, container: Container) -> None:
    """Until ``unwatch_oom``; does nothing for a container without a limit."""
    if not container.record.host_config.memory or container.oom_watch is not None:
        return

    def created(_mask: int, name: str) -> None:
        if name == "oom":
            tell_oom(ctx, container)

    try:
        container.oom_watch = inotify(ctx).watch(ctx.paths.bundle(container.id), IN_CREATE, created)
    except OSError as error:
        log.warning("can't watch for oom: %s", error, extra={"container": container.id})


def tell_oom(ctx: Context, container: Container) -> None:
    """Record and tell, once a run."""
    if container.status.oom_killed:
        return
    container.status.oom_killed = True
    ctx.registry.save_status(container)
    emit(ctx, container, "oom")


def unwatch_oom(container: Container) -> None:
    if container.oom_watch is not None:
        container.oom_watch.close()
        container.oom_watch = None
