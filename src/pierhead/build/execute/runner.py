"""One step from its snapshot to its layer: what ``Executor`` imports with the first build."""

from __future__ import annotations

import asyncio
import errno
import os
import secrets
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pierhead import tasks
from pierhead.build.execute import layers, running, shells, spec
from pierhead.build.execute.attachments import Holder
from pierhead.build.execute.kept import KEY_PREFIX
from pierhead.build.execute.model import RunOutcome, RunStep, StepFailed
from pierhead.build.execute.output import Bounded, Pipes
from pierhead.build.execute.setup import Parts, Program, Setup
from pierhead.build.execute.shells import Shell
from pierhead.engine.containers.failures import explain
from pierhead.errors import PierError, Unavailable
from pierhead.linux import cgroups
from pierhead.oci.digest import ChainId
from pierhead.runtime.crun import RuntimeFailed

_FULL: Final = "no space left on device"
_FULL_BYTES: Final = 1 << 20

Keep = Callable[[str, RunStep, StepFailed], str]
"""Keep the failed step with this snapshot key; returns its short id."""


@dataclass(slots=True, kw_only=True)
class _Ended:
    """How a step's process ended."""

    status: int
    out_of_memory: bool
    max_memory_bytes: int
    cpu_ns: int


class Runner:
    """Of one executor. No state of its own."""

    def __init__(self, parts: Parts, keep: Keep) -> None:
        self._parts = parts
        self._keep = keep
        self._snapshots = parts.snapshots
        self._layout = parts.layout

    async def run(
        self,
        base: ChainId | None,
        step: RunStep,
        client: Holder,
        log: Callable[[int, bytes], None],
    ) -> RunOutcome:
        """See ``Executor.run``."""
        spec.check_devices(step.devices)
        try:
            return await self._run(base, step, client, log)
        except (OSError, sqlite3.OperationalError) as error:
            if _is_full(error):
                raise Unavailable(f"can't run {spec.quoted(step.args)}: {_FULL}") from error
            raise

    async def _run(
        self,
        base: ChainId | None,
        step: RunStep,
        client: Holder,
        log: Callable[[int, bytes], None],
    ) -> RunOutcome:
        step_id = KEY_PREFIX + secrets.token_hex(16)
        started_ns = time.time_ns()
        keep = False
        await self._snapshots.prepare(step_id, base)
        try:
            try:
                ended = await self._process(step_id, step, client, log)
                if ended.status:
                    raise self._failed(step, ended)
            except StepFailed as error:
                if step.keep_failed:
                    error.debug_id = self._keep(step_id, step, error)
                    keep = True
                raise
            upper = layers.upper_of(self._snapshots, step_id)
            changed = not layers.is_empty(upper)
            layer = await layers.commit(self._snapshots, base, upper, epoch_s=step.epoch_s)
            return RunOutcome(
                chain_id=layer.chain_id,
                changed=changed,
                size_bytes=layer.size_bytes,
                started_ns=started_ns,
                finished_ns=time.time_ns(),
                max_memory_bytes=ended.max_memory_bytes,
                cpu_ns=ended.cpu_ns,
            )
        finally:
            if not keep:
                await asyncio.shield(self._snapshots.remove(step_id))

    async def _process(
        self, step_id: str, step: RunStep, client: Holder, log: Callable[[int, bytes], None]
    ) -> _Ended:
        """Set up, run, take down; only what the step wrote is left, in its snapshot."""
        setup = Setup(self._parts, step_id, step_id, step)
        ended: _Ended | None = None
        try:
            bundle = await setup.enter(client)
            ended = await self._execute(setup, bundle, step, log)
            return ended
        finally:
            await asyncio.shield(self._take_down(setup, step_id, ended=ended is not None))

    async def _take_down(self, setup: Setup, key: str, *, ended: bool) -> None:
        try:
            await setup.leave(ended=ended)
            setup.undo_mount_points(layers.upper_of(self._snapshots, key))
        finally:
            tasks.spawn(setup.delete(), name=f"clean up {setup.id[:14]}")

    async def _execute(
        self, setup: Setup, bundle: Path, step: RunStep, log: Callable[[int, bytes], None]
    ) -> _Ended:
        bounded = Bounded(log)
        pipes = Pipes(bounded.write)
        started: running.Running | None = None
        try:
            try:
                started = await running.start(
                    self._parts.runtime, setup.id, bundle, bundle / "runtime",
                    stdout=pipes.stdout_fd, stderr=pipes.stderr_fd,
                )  # fmt: skip
            except RuntimeFailed as error:
                raise _not_started(step, error) from error
            pipes.started()
            status = await started.wait()
            pipes.drain()
            memory, cpu_ns = running.used(self._layout, setup.cgroup)
            return _Ended(
                status=status,
                out_of_memory=bool(status) and cgroups.oom_killed(self._layout, setup.cgroup),
                max_memory_bytes=memory,
                cpu_ns=cpu_ns,
            )
        except BaseException:
            # whatever was started must have ended before its file system goes
            await asyncio.shield(running.end(self._layout, setup.cgroup))
            raise
        finally:
            if started is not None:
                started.close()
            pipes.close()
            bounded.close()

    def _failed(self, step: RunStep, ended: _Ended) -> StepFailed:
        code = spec.exit_code(ended.status)
        disk = os.statvfs(self._parts.scratch)
        message = spec.failure(
            step.args,
            code,
            out_of_memory=ended.out_of_memory,
            no_space=disk.f_bavail * disk.f_frsize < _FULL_BYTES or disk.f_favail == 0,
        )
        return StepFailed(message, code)

    async def shell(
        self,
        key: str,
        step: RunStep,
        program: Program,
        client: Holder | None,
        closed: Callable[[], None],
    ) -> Shell:
        """Run ``program`` in the kept step with this snapshot; ``closed`` when all is over."""
        setup = Setup(self._parts, f"{KEY_PREFIX}{secrets.token_hex(16)}", key, step)

        async def ended() -> None:
            try:
                await self._take_down(setup, key, ended=False)
            finally:
                closed()

        try:
            bundle = await setup.enter(client or _Nobody(), program)
            try:
                return await shells.start(
                    self._parts.runtime, setup.id, bundle, tty=program.terminal, ended=ended
                )
            except RuntimeFailed as error:
                raise _not_started(step, error) from error
        except BaseException:
            await asyncio.shield(running.end(self._layout, setup.cgroup))
            await asyncio.shield(ended())
            raise


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    return "disk is full" in str(error)


class _Nobody:
    """The client of a shell that has no build: no secrets, no agents."""

    async def secret(self, secret_id: str) -> bytes | None:
        return None

    async def ssh(self, agent_id: str) -> None:
        return None


def _not_started(step: RunStep, error: RuntimeFailed) -> PierError:
    """The command isn't there, say: then the step has failed, with Docker's exit code."""
    cause, code, _ = explain(error.message, step.args[0] if step.args else "")
    if code not in (126, 127) or not cause.startswith("exec:"):
        return Unavailable(f"can't run {spec.quoted(step.args)}: {cause}")
    message = (
        f"process {spec.quoted(step.args)} did not complete successfully: "
        f"unable to start container process: {cause}"
    )
    return StepFailed(message, code)
