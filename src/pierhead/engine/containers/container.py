"""One live container: its record and status and what watches it in this process."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pierhead.engine.containers.model import ContainerRecord, ContainerStatus, Phase

if TYPE_CHECKING:
    from pierhead.engine.containers.attach import AttachSession
    from pierhead.engine.containers.exec import Exec
    from pierhead.engine.containers.health import HealthMonitor
    from pierhead.engine.containers.wait import Waiter


class Container:
    """What the verbs pass around. Fields change only under ``lock`` (or at once, no await)."""

    __slots__ = (
        "attached",
        "execs",
        "exited",
        "health",
        "lock",
        "monitor",
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
        self.monitor: asyncio.Task[None] | None = None
        self.health: HealthMonitor | None = None
        self.restart_timer: asyncio.TimerHandle | None = None
        self.restart_backoff_s = 0.0
        self.removing = False
        self.waiters: list[Waiter] = []
        self.pending_attaches: list[AttachSession] = []
        self.attached: set[AttachSession] = set()
        self.execs: dict[str, Exec] = {}
        self.summary: bytes | None = None  # encoded constant part of the list entry

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

    def __repr__(self) -> str:
        return f"<Container {self.id[:12]} {self.name} {self.status.phase}>"
