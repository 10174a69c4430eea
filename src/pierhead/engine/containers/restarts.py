"""Restart policies: whether and when a container that ended starts again.

Back-off: 100 ms, doubled each time up to a minute; a run of ten seconds or more resets it.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from pierhead import tasks
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.model import Phase
from pierhead.errors import PierError

log = logging.getLogger(__name__)

FIRST_S: Final = 0.1
LONGEST_S: Final = 60.0
RESET_AFTER_NS: Final = 10_000_000_000


def next_backoff_s(previous_s: float, ran_ns: int) -> float:
    """How long to wait before the next try; ``previous_s`` 0 for the first. Pure."""
    if previous_s == 0 or ran_ns >= RESET_AFTER_NS:
        return FIRST_S
    return min(previous_s * 2, LONGEST_S)


def policy_says(
    name: str, maximum: int, *, exit_code: int, restart_count: int, manually_stopped: bool
) -> bool:
    """Whether a container that has just ended is to start again. Pure."""
    if manually_stopped:
        return False
    if name in ("always", "unless-stopped"):
        return True
    if name == "on-failure":
        return exit_code != 0 and (maximum == 0 or restart_count < maximum)
    return False


def after_daemon_start(name: str, *, manually_stopped: bool, was_running: bool) -> bool:
    """Whether a container that doesn't run is to start when pierd starts. Pure.

    ``was_running``: it ran when pierd or the host went away, and ended unseen.
    """
    if name == "always":
        return True
    if name == "unless-stopped":
        return not manually_stopped
    return name == "on-failure" and was_running and not manually_stopped


def decide(container: Container, ran_ns: int) -> bool:
    """Apply the policy to an exit that is recorded in the status; sets the back-off."""
    policy = container.record.host_config.restart_policy
    status = container.status
    container.restart_backoff_s = next_backoff_s(container.restart_backoff_s, ran_ns)
    return policy_says(
        policy.name,
        policy.maximum_retry_count,
        exit_code=status.exit_code,
        restart_count=status.restart_count,
        manually_stopped=status.manually_stopped,
    )


def schedule(ctx: Context, container: Container) -> None:
    """Start the container again after its back-off."""

    def fire() -> None:
        container.restart_timer = None
        tasks.spawn(_restart(ctx, container), name=f"restart {container.id[:12]}")

    loop = asyncio.get_running_loop()
    container.restart_timer = loop.call_later(container.restart_backoff_s, fire)


async def _restart(ctx: Context, container: Container) -> None:
    from pierhead.engine.containers.start import launch

    async with container.lock:
        if container.status.phase is not Phase.RESTARTING or ctx.stopping:
            return
        try:
            await launch(ctx, container, by_policy=True)
        except PierError as error:
            log.warning("restart failed: %s", error.message, extra={"container": container.id})
