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
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from pierhead import tasks
from pierhead.errors import Conflict
from pierhead.linux import cgroups, mounts
from pierhead.oci.digest import ChainId

if TYPE_CHECKING:
    from pathlib import Path

    from pierhead.build.execute.attachments import Holder
    from pierhead.build.execute.kept import Kept, KeptSteps
    from pierhead.build.execute.model import RunOutcome, RunStep, StepFailed
    from pierhead.build.execute.mounts import CacheMounts
    from pierhead.build.execute.network import NetworkPool
    from pierhead.build.execute.runner import Runner
    from pierhead.build.execute.shells import Shell
    from pierhead.build.files.service import FileService
    from pierhead.engine.networks.service import NetworkService
    from pierhead.engine.settings import Settings
    from pierhead.runtime.crun import Runtime
    from pierhead.store.database import Database
    from pierhead.store.paths import Paths
    from pierhead.store.snapshots import Snapshotter

log = logging.getLogger(__name__)

_EXPIRY_S: Final = 3600.0


class Executor:
    """Runs steps. Any number at a time: who schedules them limits that.

    Most of it is imported with the first step: an idle pierd need not have it in memory.
    """

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
        for directory in (self._steps, self._scratch):
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
        self._networks, self._failed = state / "networks", builds / "failed"
        self._paths = paths
        self._db = db
        self._snapshots = snapshots
        self._files = files
        self._networking = networks
        self._runtime = runtime
        self._settings = settings
        self._layout = layout
        self._looked_at: set[str] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._shells: set[Shell] = set()

    @cached_property
    def mounts(self) -> CacheMounts:
        """What ``RUN --mount=type=cache`` keeps: list, prune, export, import."""
        from pierhead.build.execute.mounts import CacheMounts

        return CacheMounts(self._paths, self._db)

    @cached_property
    def _kept(self) -> KeptSteps:
        from pierhead.build.execute.kept import KeptSteps

        return KeptSteps(self._failed)

    @cached_property
    def _pool(self) -> NetworkPool:
        from pierhead.build.execute.network import NetworkPool

        return NetworkPool(self._networking, self._networks)

    @cached_property
    def _runner(self) -> Runner:
        from pierhead.build.execute.runner import Runner
        from pierhead.build.execute.setup import Parts
        from pierhead.linux.seccomp import SeccompCache

        memory = self._layout.paths.get("memory")
        parts = Parts(
            snapshots=self._snapshots,
            files=self._files,
            networks=self._networking,
            runtime=self._runtime,
            settings=self._settings,
            layout=self._layout,
            pool=self._pool,
            caches=self.mounts,
            seccomp=SeccompCache(self._paths.data_root / "seccomp"),
            steps=self._steps,
            scratch=self._scratch,
            swap_accounting=self._layout.version == "v2"
            or (memory is not None and (memory / "memory.memsw.limit_in_bytes").exists()),
        )
        return Runner(parts, self._keep)

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
        self._runtime.warm_up()
        return await self._runner.run(base, step, client, log)

    # Start and end

    def live_keys(self) -> set[str]:
        """Snapshots that ``snapshots.recover`` has to leave alone: those of kept steps."""
        return {kept.id for kept in self._kept.all()} if _has_entries(self._failed) else set()

    async def recover(self) -> None:
        """At start: remove what steps that a kill ended left. Kept failed steps stay."""
        for name in os.listdir(self._steps):
            log.info("cleaning up after a build step", extra={"step": name})
            await asyncio.to_thread(self._stop, self._steps / name)
        for directory in (self._steps, self._scratch, self._networks):
            if _has_entries(directory):
                from pierhead.build.execute.running import delete_tree

                for name in os.listdir(directory):
                    await delete_tree(directory / name)
        if _has_entries(self._paths.data_root / "builds" / "mounts"):
            await self.mounts.recover()
        if _has_entries(self._failed):
            self._expire()

    def _stop(self, directory: Path) -> None:
        """End what runs in a step of an earlier pierd, and unmount all of it."""
        try:
            cgroups.remove(self._layout, (directory / "cgroup").read_text())
        except OSError:
            pass  # it had not come so far
        mounts.unmount_below(directory)

    async def close(self) -> None:
        """No step runs any more: end shells, give back ready namespaces."""
        if self._expiry is not None:
            self._expiry.cancel()
        for shell in list(self._shells):
            await shell.close()
        made = vars(self)  # what no step has needed isn't made to be closed
        if "_pool" in made:
            await self._pool.close()
        if "mounts" in made:
            await self.mounts.close()

    # Failed steps

    def _keep(self, key: str, step: RunStep, error: StepFailed) -> str:
        from pierhead.build.execute import kept

        now_ns = time.time_ns()
        self._kept.add(
            kept.Kept(
                id=key,
                build_ref=step.build_ref,
                name=step.name,
                exit_code=error.exit_code,
                failed_ns=now_ns,
                expires_ns=now_ns + kept.KEEP_NS,
                step=step,
            )
        )
        self._expire()
        return key.removeprefix(kept.KEY_PREFIX)[:12]

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
        from pierhead.build.execute.kept import optional, shell_of
        from pierhead.build.execute.setup import Program

        kept = self._kept.find(debug_id)
        if kept.id in self._looked_at:
            raise Conflict(f"another shell is open in the failed step {kept.name}: end it first")
        self._looked_at.add(kept.id)
        step = optional(replace(kept.step, args=list(argv) or shell_of(kept.step)))
        shell = await self._runner.shell(
            kept.id,
            step,
            Program(args=step.args, terminal=tty, size=size),
            client,
            lambda: self._looked_at.discard(kept.id),
        )
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


def _has_entries(directory: Path) -> bool:
    try:
        with os.scandir(directory) as entries:
            return next(entries, None) is not None
    except FileNotFoundError:
        return False
