"""One live container: its record and status and what watches it in this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pierhead.engine.containers.model import ContainerRecord, ContainerStatus, Phase

if TYPE_CHECKING:
    from pierhead.engine.containers.attach import AttachSession
    from pierhead.engine.containers.exec import Exec
    from pierhead.engine.containers.wait import Waiter
    from pierhead.linux.inotify import Watch


class Container:
    """What the verbs pass around. Fields change only under ``lock`` (or at once, no await)."""

    __slots__ = (
        "attached",
        "cleanup",
        "execs",
        "exited",
        "health",
        "lock",
        "log_watch",
        "monitor",
        "oom_watch",
        "pending_attaches",
        "record",
        "removing",
        "restart_backoff_s",
        "restart_timer",
        "status",
        "summary",
        "waiters",
    )

    def __init__(self, record: ContainerRecord, status: ContainerStatus) -> None:
        self.record = record
        self.status = status
        self.lock = asyncio.Lock()
        self.exited = asyncio.Event()  # set while no process runs (between exit and start)
        if status.phase not in (Phase.RUNNING, Phase.PAUSED):
            self.exited.set()
        self.cleanup: asyncio.Task[None] | None = None  # of the last start's remains
        self.monitor: asyncio.Task[None] | None = None
        self.health: asyncio.Task[None] | None = None
        self.restart_timer: asyncio.TimerHandle | None = None
        self.restart_backoff_s = 0.0
        self.removing = False
        self.log_watch: Watch | None = None
        self.oom_watch: Watch | None = None
        self.waiters: list[Waiter] = []
        self.pending_attaches: list[AttachSession] = []
        self.attached: set[AttachSession] = set()
        self.execs: dict[str, Exec] = {}
        # the list entry: (image name shown, API form, JSON up to the status text)
        self.summary: tuple[str, int, bytes] | None = None

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def name(self) -> str:
        return self.record.name

    @property
    def running(self) -> bool:
        """A process of this container exists (running or paused)."""
        return self.status.phase in (Phase.RUNNING, Phase.PAUSED)

    @property
    def active(self) -> bool:
        """Docker's ``State.Running``: running, paused or between two tries of a restart policy."""
        return self.status.phase in (Phase.RUNNING, Phase.PAUSED, Phase.RESTARTING)

    @property
    def tty(self) -> bool:
        return self.record.config.tty

    def cancel_restart(self) -> None:
        """Forget a restart that the policy has scheduled."""
        if self.restart_timer is not None:
            self.restart_timer.cancel()
            self.restart_timer = None

    def execs_ended(self) -> None:
        """The container's end is that of every exec in it."""
        for running in self.execs.values():
            running.container_gone()

    def __repr__(self) -> str:
        return f"<Container {self.id[:12]} {self.name} {self.status.phase}>"
