"""Health checks: probes by exec, a small state machine, the newest five results kept.

Interval, timeout, start period and start interval as in the API's HealthConfig, ns there;
a probe runs, then the interval passes, then the next. During the start period failures
don't count, and the first success ends it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass
from typing import Final

from pierhead import tasks
from pierhead.engine.config import HealthConfig
from pierhead.engine.containers.container import Container
from pierhead.engine.containers.context import Context
from pierhead.engine.containers.events import emit
from pierhead.engine.containers.model import ExecConfig, HealthResult, HealthStatus
from pierhead.errors import PierError

log = logging.getLogger(__name__)

KEPT_RESULTS: Final = 5
MAX_OUTPUT_BYTES: Final = 4096
DEFAULT_INTERVAL_S: Final = 30.0
DEFAULT_TIMEOUT_S: Final = 30.0
DEFAULT_START_INTERVAL_S: Final = 5.0
DEFAULT_RETRIES: Final = 3
_KILL_GRACE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Probe:
    """A health check with its defaults filled in; times in seconds."""

    command: list[str]
    interval_s: float
    timeout_s: float
    start_period_s: float
    start_interval_s: float
    retries: int


def probe_of(config: HealthConfig | None, shell: list[str] | None) -> Probe | None:
    """None when there is nothing to check. Pure."""
    if config is None or not config.test or config.test[0] in ("NONE", ""):
        return None
    kind, *words = config.test
    if kind == "CMD-SHELL":
        words = [*(shell or ["/bin/sh", "-c"]), *words]
    if not words:
        return None
    return Probe(
        command=words,
        interval_s=config.interval / 1e9 or DEFAULT_INTERVAL_S,
        timeout_s=config.timeout / 1e9 or DEFAULT_TIMEOUT_S,
        start_period_s=config.start_period / 1e9,
        start_interval_s=config.start_interval / 1e9 or DEFAULT_START_INTERVAL_S,
        retries=config.retries or DEFAULT_RETRIES,
    )


def record_result(
    health: HealthStatus, result: HealthResult, *, retries: int, in_start_period: bool
) -> None:
    """The state machine: one more result. Pure."""
    health.log = [*health.log, result][-KEPT_RESULTS:]
    if result.exit_code == 0:
        health.failing_streak = 0
        health.status = "healthy"
        return
    if in_start_period and health.status == "starting":
        return
    health.failing_streak += 1
    if health.failing_streak >= retries:
        health.status = "unhealthy"


def reset(container: Container) -> None:
    """At start: health begins anew; None if there is no check."""
    probe = probe_of(container.record.config.healthcheck, container.record.config.shell)
    container.status.health = None if probe is None else HealthStatus(status="starting")


def begin(ctx: Context, container: Container) -> None:
    """Probe in the background while the container runs."""
    probe = probe_of(container.record.config.healthcheck, container.record.config.shell)
    if probe is not None and container.health is None:
        container.health = tasks.spawn(
            _monitor(ctx, container, probe), name=f"health {container.id[:12]}"
        )


def end(container: Container) -> None:
    """The container has ended or pauses."""
    if container.health is not None:
        container.health.cancel()
        container.health = None


async def _monitor(ctx: Context, container: Container, probe: Probe) -> None:
    started_ns = container.status.started_ns
    while True:
        health = container.status.health
        if health is None:
            return
        in_start = time.time_ns() - started_ns < probe.start_period_s * 1e9
        starting = in_start and health.status == "starting"
        await asyncio.sleep(probe.start_interval_s if starting else probe.interval_s)
        result = await _probe(ctx, container, probe)
        health = container.status.health
        if health is None or not container.running:
            return
        before = health.status
        in_start = result.start_ns - started_ns < probe.start_period_s * 1e9
        record_result(health, result, retries=probe.retries, in_start_period=in_start)
        ctx.registry.save_status(container)
        if health.status != before:
            emit(ctx, container, f"health_status: {health.status}")


async def _probe(ctx: Context, container: Container, probe: Probe) -> HealthResult:
    from pierhead.engine.containers.exec import exec_create, prepare_exec

    start_ns = time.time_ns()
    config = ExecConfig(cmd=probe.command, attach_stdout=True, attach_stderr=True)
    output = bytearray()
    exit_code = -1
    exec_id = ""
    try:
        exec_id = await exec_create(ctx, container, config)
        session = prepare_exec(ctx, exec_id, detach=False, tty=False, console_size=None)
        process = await session.run_captured()
        instance = ctx.execs.get(exec_id)
        try:
            async with asyncio.timeout(probe.timeout_s):
                while (packet := await process.read()) is not None:
                    output += packet[1]
                    del output[MAX_OUTPUT_BYTES + 1 :]
                await instance.done.wait()
            exit_code = instance.exit_code if instance.exit_code is not None else -1
        except TimeoutError:
            _kill(instance.pid)
            text = f"Health check exceeded timeout ({_duration(probe.timeout_s)})"
            if output:
                text += f": {output[:MAX_OUTPUT_BYTES].decode('utf-8', 'replace')}"
            output = bytearray(text.encode())
        finally:
            process.close()
    except PierError as error:
        output = bytearray(error.message.encode())
    finally:
        if exec_id:
            # Probes come for ever: nobody inspects an old one.
            ctx.execs.forget(exec_id)
    text = output[:MAX_OUTPUT_BYTES].decode("utf-8", "replace")
    if len(output) > MAX_OUTPUT_BYTES:
        text += "..."
    return HealthResult(start_ns=start_ns, end_ns=time.time_ns(), exit_code=exit_code, output=text)


def _kill(pid: int) -> None:
    import os
    import signal

    if pid:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def _duration(seconds: float) -> str:
    """As Go prints it, for the whole seconds and ms that are used here."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes)}m{rest:g}s" if minutes else f"{rest:g}s"
