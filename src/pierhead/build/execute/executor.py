"""RUN: one command on a writable snapshot of a chain, its changes packed as a layer.

::

    <exec-root>/build/steps/<id>/   one step that runs: see ``setup.py``
    <exec-root>/build/networks/     files of ready network namespaces that nobody reads
    <data-root>/builds/steps/<id>/  what is written to bind mounts, thrown away
    <data-root>/builds/mounts/      cache mounts: see ``mounts.py``
    <data-root>/builds/failed/      kept failed steps: see ``kept.py``

``Executor.run`` is the whole of it: ``prepare`` → ``mount`` → spec → crun (no conmon) →
pack the upper directory → ``stage`` and ``commit``. Nothing of a step outlives it but its
layer, its cache mounts, and, where a failed step is kept for ``debug_shell``, that step's
snapshot.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pierhead import tasks
from pierhead.build.execute import layers, running, shells, spec
from pierhead.build.execute.attachments import Holder
from pierhead.build.execute.kept import KEEP_NS, Kept, KeptSteps, optional, shell_of
from pierhead.build.execute.model import RunOutcome, RunStep, StepFailed
from pierhead.build.execute.mounts import CacheMounts
from pierhead.build.execute.network import NetworkPool
from pierhead.build.execute.output import Bounded, Pipes
from pierhead.build.execute.setup import Parts, Program, Setup
from pierhead.build.execute.shells import Shell
from pierhead.engine.containers.failures import explain
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.errors import Conflict, PierError, Unavailable
from pierhead.linux import cgroups, mounts
from pierhead.linux.seccomp import SeccompCache
from pierhead.oci.digest import ChainId
from pierhead.runtime.crun import Runtime, RuntimeFailed
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.files.service import FileService

log = logging.getLogger(__name__)

KEY_PREFIX: Final = "build-"
"""Of the keys of steps' snapshots."""
_FULL: Final = "no space left on device"
_FULL_BYTES: Final = 1 << 20
_EXPIRY_S: Final = 3600.0


@dataclass(slots=True, kw_only=True)
class _Ended:
    """How a step's process ended."""

    status: int
    out_of_memory: bool
    max_memory_bytes: int
    cpu_ns: int


class Executor:
    """Runs steps. Any number at a time: who schedules them limits that."""

    def __init__(
        self,
        *,
        paths: Paths,
        db: Database,
        snapshots: Snapshotter,
        files: FileService,
        networks: NetworkService,
        runtime: Runtime,
        settings: Settings,
        layout: cgroups.Layout,
    ) -> None:
        builds, state = paths.data_root / "builds", paths.exec_root / "build"
        self._steps, self._scratch = state / "steps", builds / "steps"
        self._networks = state / "networks"
        for directory in (self._steps, self._scratch):
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        memory = layout.paths.get("memory")
        self.mounts = CacheMounts(paths, db)
        """What ``RUN --mount=type=cache`` keeps: list, prune, export, import."""
        self._kept = KeptSteps(builds / "failed")
        self._looked_at: set[str] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._shells: set[Shell] = set()
        self._data_root = paths.data_root
        self._snapshots = snapshots
        self._runtime = runtime
        self._layout = layout
        self._parts = Parts(
            snapshots=snapshots,
            files=files,
            networks=networks,
            runtime=runtime,
            settings=settings,
            layout=layout,
            pool=NetworkPool(networks, self._networks),
            caches=self.mounts,
            seccomp=SeccompCache(paths.data_root / "seccomp"),
            steps=self._steps,
            scratch=self._scratch,
            swap_accounting=layout.version == "v2"
            or (memory is not None and (memory / "memory.memsw.limit_in_bytes").exists()),
        )

    async def run(
        self,
        base: ChainId | None,
        step: RunStep,
        client: Holder,
        log: Callable[[int, bytes], None],
    ) -> RunOutcome:
        """Run ``step`` on ``base``; ``log`` is called with 1 or 2 and what was written there.

        Raises ``StepFailed`` when the command ends with another status than 0;
        ``InvalidParameter`` for what can't be (an unknown user, a mount's source that isn't
        there), ``NotFound`` for a required secret, ``Unavailable`` for a full disk. Cancelled,
        it kills the step and leaves nothing behind. The caller holds ``base`` and takes the
        result's chain into its own lease before anything collects.
        """
        spec.check_devices(step.devices)
        self._runtime.warm_up()
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
        await setup.leave(ended=ended)
        setup.undo_mount_points(layers.upper_of(self._snapshots, key))
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
                    self._runtime, setup.id, bundle, bundle / "runtime",
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
        disk = os.statvfs(self._data_root)
        message = spec.failure(
            step.args,
            code,
            out_of_memory=ended.out_of_memory,
            no_space=disk.f_bavail * disk.f_frsize < _FULL_BYTES or disk.f_favail == 0,
        )
        return StepFailed(message, code)

    # Start and end

    def live_keys(self) -> set[str]:
        """Snapshots that ``snapshots.recover`` has to leave alone: those of kept steps."""
        return {kept.id for kept in self._kept.all()}

    async def recover(self) -> None:
        """At start: remove what steps that a kill ended left. Kept failed steps stay."""
        for name in os.listdir(self._steps):
            log.info("cleaning up after a build step", extra={"step": name})
            await asyncio.to_thread(self._clean, self._steps / name)
        await asyncio.to_thread(shutil.rmtree, self._networks, ignore_errors=True)
        for name in os.listdir(self._scratch):
            await asyncio.to_thread(shutil.rmtree, self._scratch / name, ignore_errors=True)
        await self.mounts.recover()
        self._expire()

    def _clean(self, directory: Path) -> None:
        try:
            cgroups.remove(self._layout, (directory / "cgroup").read_text())
        except OSError:
            pass  # it had not come so far
        mounts.unmount_below(directory)
        shutil.rmtree(directory, ignore_errors=True)

    async def close(self) -> None:
        """No step runs any more: end shells, give back ready namespaces."""
        if self._expiry is not None:
            self._expiry.cancel()
        for shell in list(self._shells):
            await shell.close()
        await self._parts.pool.close()
        await self.mounts.close()

    # Failed steps

    def _keep(self, key: str, step: RunStep, error: StepFailed) -> str:
        now_ns = time.time_ns()
        self._kept.add(
            Kept(
                id=key,
                build_ref=step.build_ref,
                name=step.name,
                exit_code=error.exit_code,
                failed_ns=now_ns,
                expires_ns=now_ns + KEEP_NS,
                step=step,
            )
        )
        self._expire()
        return key.removeprefix(KEY_PREFIX)[:12]

    def _expire(self) -> None:
        """Let those go whose time is over; again in an hour, as long as there are any."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        for kept in self._kept.expired(time.time_ns()):
            if kept.id not in self._looked_at:
                tasks.spawn(self._forget(kept), name="expire a kept step")
        if self._kept.all():
            self._expiry = asyncio.get_running_loop().call_later(_EXPIRY_S, self._expire)

    def kept(self) -> Sequence[Kept]:
        """Failed steps that are kept, newest first."""
        return self._kept.all()

    async def debug_shell(
        self,
        debug_id: str,
        argv: Sequence[str] = (),
        *,
        tty: bool = False,
        size: tuple[int, int] = (0, 0),
        client: Holder | None = None,
    ) -> Shell:
        """Run ``argv`` (default: the step's shell) in the kept step: its files, mounts,
        variables, user. What is written there stays, for the next shell.

        ``debug_id``: a kept step's id, its unique prefix, or the build's ref. ``size`` is
        (height, width). ``client`` may have secrets and agents; without, they are missing.
        Raises ``NotFound`` if nothing is kept under that name, ``Conflict`` while another
        shell is open in it, ``InvalidParameter`` if ``argv`` can't be run.
        """
        kept = self._kept.find(debug_id)
        if kept.id in self._looked_at:
            raise Conflict(f"another shell is open in the failed step {kept.name}: end it first")
        self._looked_at.add(kept.id)
        step = optional(replace(kept.step, args=list(argv) or shell_of(kept.step)))
        setup = Setup(self._parts, f"{KEY_PREFIX}{secrets.token_hex(16)}", kept.id, step)

        async def ended() -> None:
            try:
                await self._take_down(setup, kept.id, ended=False)
            finally:
                self._looked_at.discard(kept.id)

        try:
            program = Program(args=step.args, terminal=tty, size=size)
            bundle = await setup.enter(client or _Nobody(), program)
            try:
                shell = await shells.start(self._runtime, setup.id, bundle, tty=tty, ended=ended)
            except RuntimeFailed as error:
                raise _not_started(step, error) from error
        except BaseException:
            await asyncio.shield(running.end(self._layout, setup.cgroup))
            await asyncio.shield(ended())
            raise
        self._shells.add(shell)
        shell.on_end(self._shells.discard)
        return shell

    async def forget(self, debug_id: str) -> None:
        """Remove a kept step. ``NotFound``; ``Conflict`` while a shell is open in it."""
        kept = self._kept.find(debug_id)
        if kept.id in self._looked_at:
            raise Conflict(f"a shell is open in the failed step {kept.name}: end it first")
        await self._forget(kept)

    async def _forget(self, kept: Kept) -> None:
        self._kept.drop(kept.id)
        await self._snapshots.remove(kept.id)


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
