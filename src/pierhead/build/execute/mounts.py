"""Cache mounts: directories that RUN steps share and that no layer has.

::

    <data-root>/builds/mounts/<32 hex digits>/data    what the step sees

Each has a row in ``build_mounts``. Its id is what a step asks for: the mount's ``id`` (its
target, if it names none), and, as in BuildKit, whatever else decides how it begins: another
``uid``, ``gid``, ``mode`` or ``from`` is another directory. ``sharing=private`` gives a
second one (``#2``) while the first is in use.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pierhead import tasks
from pierhead.build.execute.model import Sharing, StepMount
from pierhead.engine.images.feed import out_of_pipe, through_pipe
from pierhead.errors import Conflict, NotFound
from pierhead.linux import worker
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots.trash import Trash

log = logging.getLogger(__name__)

DEFAULT_MODE: Final = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheMount:
    """One kept directory. Times are nanoseconds since 1970."""

    id: str
    """What it is listed, exported and pruned by."""
    name: str
    """``--mount``'s id, for people: ``/root/.cache/pip``."""
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int
    in_use: bool
    shared: bool
    """Steps of several builds may use it."""


@dataclass(slots=True, kw_only=True)
class _Kept:
    id: str
    name: str
    size_bytes: int = 0
    created_ns: int
    used_ns: int
    uses: int = 0
    measured_ns: int = 0
    users: int = 0
    exclusive: bool = False

    def record(self) -> bytes:
        return json.dumps({"name": self.name, "measured_ns": self.measured_ns}).encode()


@dataclass(slots=True)
class Held:
    """A cache mount that a step has: ``path`` until ``release``."""

    id: str
    path: Path
    _release: Callable[[str], None] = field(repr=False)

    def release(self) -> None:
        self._release(self.id)


Fill = Callable[[Path], Awaitable[None]]


def cache_id(mount: StepMount) -> str:
    """The id of what a step's mount asks for. Pure."""
    parts = [mount.id or mount.target]
    if mount.uid or mount.gid:
        parts.append(f"owner={mount.uid}:{mount.gid}")
    if mount.mode is not None and mount.mode != DEFAULT_MODE:
        parts.append(f"mode={mount.mode:o}")
    if mount.source is not None:
        origin = mount.source.identity or mount.source.chain_id or mount.source.name
        parts.append(f"from={origin}{mount.source_path}")
    return ";".join(parts)


class CacheMounts:
    """All cache mounts of this daemon. Use from the event loop's thread."""

    def __init__(self, paths: Paths, db: Database) -> None:
        self._db = db
        self._paths = paths
        self._top = paths.data_root / "builds" / "mounts"
        self._changed = asyncio.Condition()
        trash = paths.data_root / "builds" / "mounts-trash"
        for directory in (self._top, trash):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._trash = Trash(trash)
        self._kept: dict[str, _Kept] = {}
        for row_id, size_bytes, created_ns, used_ns, uses, record in db.rows(
            "SELECT id, size_bytes, created_ns, used_ns, uses, record FROM build_mounts"
        ):
            more = json.loads(record)
            self._kept[row_id] = _Kept(
                id=row_id, name=more["name"], size_bytes=size_bytes, created_ns=created_ns,
                used_ns=used_ns, uses=uses, measured_ns=more.get("measured_ns", 0),
            )  # fmt: skip

    def _directory(self, id: str) -> Path:
        return self._top / hashlib.sha256(id.encode()).hexdigest()[:32]

    # For steps

    async def acquire(self, mount: StepMount, fill: Fill | None = None) -> Held:
        """Have the directory that ``mount`` asks for, waiting where its sharing says so.

        ``fill`` puts into a new one what stands there at first. To be released.
        """
        wanted = cache_id(mount)
        exclusive = mount.sharing is not Sharing.SHARED
        async with self._changed:
            if mount.sharing is Sharing.PRIVATE:
                wanted = self._free_id(wanted)
            else:
                await self._changed.wait_for(lambda: self._may_have(wanted, exclusive))
            kept = self._kept.get(wanted)
            new = kept is None
            if kept is None:
                now_ns = time.time_ns()
                kept = _Kept(
                    id=wanted, name=mount.id or mount.target, created_ns=now_ns, used_ns=now_ns
                )
                self._kept[wanted] = kept
            kept.users += 1
            kept.exclusive = exclusive or new  # nobody else while it is being filled
        try:
            path = self._directory(wanted) / "data"
            if new or not path.is_dir():
                await self._make(path, mount, fill)
            if new:
                self._save(kept)
                async with self._changed:
                    kept.exclusive = exclusive
                    self._changed.notify_all()
        except BaseException:
            kept.users -= 1
            kept.exclusive = False
            if new and not kept.users:
                del self._kept[wanted]
                self._trash.throw(self._directory(wanted))
            await self._tell()
            raise
        return Held(wanted, path, self._release)

    def _may_have(self, id: str, exclusive: bool) -> bool:
        kept = self._kept.get(id)
        return kept is None or kept.users == 0 or not (exclusive or kept.exclusive)

    def _free_id(self, id: str) -> str:
        number = 1
        while True:
            name = id if number == 1 else f"{id}#{number}"
            kept = self._kept.get(name)
            if kept is None or kept.users == 0:
                return name
            number += 1

    async def _make(self, path: Path, mount: StepMount, fill: Fill | None) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        if fill is not None:
            await fill(path)
        os.chown(path, mount.uid, mount.gid)
        if fill is None or mount.mode is not None:
            os.chmod(path, DEFAULT_MODE if mount.mode is None else mount.mode)

    def _release(self, id: str) -> None:
        kept = self._kept.get(id)
        if kept is None:
            return
        kept.users -= 1
        if not kept.users:
            kept.exclusive = False
        kept.uses += 1
        kept.used_ns = time.time_ns()
        self._save(kept)
        tasks.spawn(self._tell(), name="cache mount released")

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    def _save(self, kept: _Kept) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO build_mounts "
            "(id, size_bytes, created_ns, used_ns, uses, record) VALUES (?, ?, ?, ?, ?, ?)",
            (
                kept.id, kept.size_bytes, kept.created_ns, kept.used_ns, kept.uses,
                kept.record(),
            ),
        )  # fmt: skip

    # For people

    def list(self) -> Sequence[CacheMount]:
        """Every one, longest unused first. In memory; sizes are those of ``measure``."""
        return [
            CacheMount(
                id=kept.id, name=kept.name, size_bytes=kept.size_bytes,
                created_ns=kept.created_ns, used_ns=kept.used_ns, uses=kept.uses,
                in_use=kept.users > 0, shared="#" not in kept.id,
            )
            for kept in sorted(self._kept.values(), key=lambda one: one.used_ns)
        ]  # fmt: skip

    async def measure(self) -> None:
        """Bring ``size_bytes`` up to date: a walk, in a worker, of those used since the last."""
        stale = [
            kept for kept in self._kept.values() if kept.users or kept.measured_ns <= kept.used_ns
        ]
        if not stale:
            return
        now_ns = time.time_ns()
        roots = {kept.id: f"/{self._directory(kept.id).name}/data" for kept in stale}
        sizes: dict[str, int] = await worker.call(
            "store.trees:disk_usage", {"roots": roots}, jail=self._top
        )
        for kept in stale:
            if kept.id in self._kept:
                kept.size_bytes = sizes.get(kept.id, 0)
                kept.measured_ns = now_ns
                self._save(kept)

    async def remove(self, ids: Sequence[str]) -> int:
        """Remove these as far as no step uses them; the bytes set free (after ``measure``)."""
        freed = 0
        for id in ids:
            kept = self._kept.get(id)
            if kept is None or kept.users:
                continue
            self._db.execute("DELETE FROM build_mounts WHERE id = ?", (id,))
            del self._kept[id]
            self._trash.throw(self._directory(id))
            freed += kept.size_bytes
        return freed

    def export(self, id: str) -> AsyncIterator[bytes]:
        """A tar of what is in it, as it is now: it waits for no step. ``NotFound``."""
        if id not in self._kept:
            raise NotFound(f"no such cache mount: {id}")
        directory = self._directory(id) / "data"
        return out_of_pipe(
            lambda fd: worker.call(
                "store.pack:pack_tree", {}, stdout=fd, jail=directory, site_packages=True
            )
        )

    async def import_(
        self, id: str, name: str, tar: AsyncIterator[bytes], *, replace: bool = False
    ) -> bool:
        """Fill the cache mount ``id`` from a tar; False if there is one (unless ``replace``).

        Raises ``Conflict`` while a step uses it, ``InvalidParameter`` for a hostile tar.
        """
        kept = self._kept.get(id)
        if kept is not None and not replace:
            return False
        if kept is not None and kept.users:
            raise Conflict(f"the cache mount {id} is in use")
        directory = self._directory(id).with_suffix(".new")
        self._trash.throw(directory)
        (directory / "data").mkdir(parents=True)
        try:
            await through_pipe(
                tar,
                lambda fd: worker.call(
                    "store.unpack:unpack",
                    {"lower_fds": []},
                    stdin=fd,
                    jail=directory / "data",
                    site_packages=True,
                ),
            )
            mode, uid, gid = _beginning(id)
            os.chown(directory / "data", uid, gid)
            os.chmod(directory / "data", mode)
        except BaseException:
            self._trash.throw(directory)
            raise
        self._trash.throw(self._directory(id))
        os.rename(directory, self._directory(id))
        now_ns = time.time_ns()
        kept = _Kept(id=id, name=name, created_ns=now_ns, used_ns=now_ns)
        self._kept[id] = kept
        self._save(kept)
        return True

    async def recover(self) -> None:
        """Forget directories without a row and rows without a directory; empty the trash."""
        wanted = {self._directory(id).name: id for id in self._kept}
        present = set(os.listdir(self._top))
        for name in present - wanted.keys():
            self._trash.throw(self._top / name)
        for name in wanted.keys() - present:
            del self._kept[wanted[name]]
            self._db.execute("DELETE FROM build_mounts WHERE id = ?", (wanted[name],))
        self._trash.sweep()

    async def close(self) -> None:
        await self._trash.close()


def _beginning(id: str) -> tuple[int, int, int]:
    """(mode, uid, gid) that ``cache_id`` put into an id."""
    mode, uid, gid = DEFAULT_MODE, 0, 0
    for part in id.partition("#")[0].split(";")[1:]:
        key, _, value = part.partition("=")
        if key == "mode":
            mode = int(value, 8)
        elif key == "owner":
            uid, gid = map(int, value.split(":"))
    return mode, uid, gid
