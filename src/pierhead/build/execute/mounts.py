"""Cache mounts: directories that RUN steps share and that no layer has.

Each has an id (``/ns/…``-free: ``--mount``'s ``id``, else the target), lies in
``<data-root>/build/mounts/<hash>/data`` and has a row in ``build_mounts``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from pierhead.errors import NotImplementedYet


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheMount:
    """One kept directory. Times are nanoseconds since 1970."""

    id: str
    """The key it is listed, exported and pruned by (of ``private`` ones: id and a number)."""
    name: str
    """``--mount``'s id, for people: ``/root/.cache/pip``."""
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int
    in_use: bool
    shared: bool


class CacheMounts:
    """All cache mounts of this daemon."""

    def list(self) -> Sequence[CacheMount]:
        """Every one, oldest use first. In memory."""
        return []

    async def measure(self) -> None:
        """Bring ``size_bytes`` up to date (a walk in a worker for each that was used since)."""

    async def remove(self, ids: Sequence[str]) -> int:
        """Remove these as far as no step uses them; return the bytes set free."""
        raise NotImplementedYet("cache mounts come later")

    def export(self, id: str) -> AsyncIterator[bytes]:
        """A tar of what is in it; waits for no step. ``NotFound``."""
        raise NotImplementedYet("cache mounts come later")

    async def import_(self, name: str, tar: AsyncIterator[bytes], *, replace: bool = False) -> None:
        """Fill the cache mount ``name`` from a tar, if there is none (or with ``replace``)."""
        raise NotImplementedYet("cache mounts come later")
