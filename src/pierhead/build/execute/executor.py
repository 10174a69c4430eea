"""RUN: one command on a writable snapshot of a chain, its changes packed as a layer.

``Executor.run`` is the whole of it: ``prepare`` → ``mount`` → spec → crun (no conmon) →
``diff`` → ``apply``. Nothing of a step outlives it but its layer, its cache mounts, and,
where a failed step is kept for ``debug_shell``, that step's snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pierhead.build.execute.model import RunOutcome, RunStep
from pierhead.build.model import Client, Duplex
from pierhead.engine.networks.service import NetworkService
from pierhead.engine.settings import Settings
from pierhead.errors import NotImplementedYet
from pierhead.linux.cgroups import Layout
from pierhead.oci.digest import ChainId
from pierhead.runtime.crun import Runtime
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.execute.mounts import CacheMounts
    from pierhead.build.files.service import FileService


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A failed step that can be looked at. Times are nanoseconds since 1970."""

    id: str
    build_ref: str
    name: str
    exit_code: int
    failed_ns: int
    expires_ns: int


class Shell(Duplex):
    """A process in a kept step. ``read`` gives its output; ``exit_code`` is known at its end.

    Without a tty both outputs come mixed, as they are written.
    """

    exit_code: int | None

    async def resize(self, height: int, width: int) -> None:
        """The client's terminal has this size now; nothing happens without a tty."""
        raise NotImplementedError

    async def close_stdin(self) -> None:
        """No more input comes."""
        raise NotImplementedError

    async def wait(self) -> int:
        """The exit code, 128 + number for a signal."""
        raise NotImplementedError


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
        layout: Layout,
    ) -> None:
        self.mounts: CacheMounts
        """What ``RUN --mount=type=cache`` keeps: list, prune, export, import."""

    async def run(
        self,
        base: ChainId | None,
        step: RunStep,
        client: Client,
        log: Callable[[int, bytes], None],
    ) -> RunOutcome:
        """Run ``step`` on ``base``; ``log`` is called with 1 or 2 and what was written there.

        Raises ``StepFailed`` when the command ends with another status than 0;
        ``InvalidParameter`` for what can't be (an unknown user, a mount's source that isn't
        there, a required secret); ``Unavailable`` for a full disk. Cancelled, it kills the
        step and leaves nothing behind. The caller holds ``base`` and takes the result's chain
        into its own lease before anything collects.
        """
        raise NotImplementedYet("RUN comes next")

    async def recover(self) -> None:
        """At start: remove what steps that a kill ended left. Kept failed steps stay."""

    async def close(self) -> None:
        """Nothing runs any more: give back ready namespaces."""

    # failed steps

    def kept(self) -> Sequence[Kept]:
        """Failed steps that are kept, newest first."""
        return []

    async def debug_shell(
        self,
        debug_id: str,
        argv: Sequence[str] = (),
        *,
        tty: bool = False,
        size: tuple[int, int] = (0, 0),
    ) -> Shell:
        """Run ``argv`` (default: a shell) in the kept step: its files, mounts, variables, user.

        ``debug_id``: a kept step's id, its unique prefix, or the build's ref. ``size`` is
        (height, width). ``NotFound`` if nothing is kept under that name.
        """
        raise NotImplementedYet("debugging failed steps comes later")

    async def forget(self, debug_id: str) -> None:
        """Remove a kept step. ``NotFound``."""
        raise NotImplementedYet("debugging failed steps comes later")
