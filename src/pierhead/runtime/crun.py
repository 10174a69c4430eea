"""The OCI runtime as a command: everything but create and exec, which conmon calls.

Called with ``--root <exec-root>/crun``. Raises ``RuntimeFailed`` with the runtime's own
message.
"""

from __future__ import annotations

from typing import Any

from pierhead.errors import Internal
from pierhead.store.paths import Paths


class RuntimeFailed(Internal):
    """crun (or runc) said no; ``message`` is its text, without timestamps and prefixes."""


class Runtime:
    """crun by default; ``binary`` may name runc or another with the same command line."""

    def __init__(self, paths: Paths, binary: str = "crun") -> None:
        self.paths = paths
        self.binary = binary

    def prepare(self) -> None:
        """Find the binary and put it on a read-only bind mount below the exec root.

        crun copies itself into a memfd at every call unless it lies on a read-only mount
        (CVE-2019-5736's cure); that saves 1.5 ms a call. Raises ``Unavailable`` naming the
        package when there is none.
        """
        raise NotImplementedError

    @property
    def path(self) -> str:
        """The binary to call."""
        raise NotImplementedError

    async def version(self) -> str:
        """ "1.8.1"."""
        raise NotImplementedError

    async def kill(self, container_id: str, signal: int, *, all: bool = False) -> None:
        """Signal the container's init, or everything in it."""
        raise NotImplementedError

    async def delete(self, container_id: str, *, force: bool = False) -> None:
        """Remove the runtime's state and cgroup; fine when there is none. ``force`` kills first."""
        raise NotImplementedError

    async def pause(self, container_id: str) -> None:
        raise NotImplementedError

    async def resume(self, container_id: str) -> None:
        raise NotImplementedError

    async def update(self, container_id: str, resources: dict[str, Any]) -> None:
        """Apply ``linux.resources`` of the runtime spec (``runtime_spec.build_resources``)."""
        raise NotImplementedError

    async def state(self, container_id: str) -> dict[str, Any] | None:
        """The OCI state ({"status": "created"|"running"|"stopped", "pid": ...}).

        None: the runtime does not know it.
        """
        raise NotImplementedError

    async def ps(self, container_id: str) -> list[int]:
        """Process ids inside, host's view."""
        raise NotImplementedError

    async def list_ids(self) -> list[str]:
        """Every container the runtime keeps state of (for recovery)."""
        raise NotImplementedError
