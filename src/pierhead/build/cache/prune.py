"""Which cache records go: by age, by size, by filters. Deciding is pure, then they are dropped."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pierhead.build.cache.store import CacheStore, Record
from pierhead.build.cache.usage import Item
from pierhead.engine.filters import Filters
from pierhead.engine.images.clock import parse_timestamp
from pierhead.errors import InvalidParameter

if TYPE_CHECKING:
    from pierhead.build.execute.mounts import CacheMounts
    from pierhead.build.files.service import FileService

FILTERS: Final = frozenset(
    {
        "until", "unused-for", "id", "parent", "type", "description", "inuse", "shared",
        "private", "mutable", "immutable", "label", "label!",
    }
)  # fmt: skip


def matches(item: Item, filters: Filters | None, *, now_ns: int) -> bool:
    """Whether ``filters`` mean this one. ``InvalidParameter`` for a bad filter."""
    if not filters:
        return True
    filters.validate(FILTERS)
    if "label" in filters:
        return False  # ``system prune`` hands its filters on, and no record has labels
    for key in ("until", "unused-for"):
        if values := filters.get(key):
            if len(values) > 1:
                raise InvalidParameter(f"{key} filter only supports one value")
            if item.used_ns > parse_timestamp(values[0], now_ns or time.time_ns()):
                return False
    if not filters.match_prefix("id", item.id) or not filters.match(
        "description", item.description
    ):
        return False
    if not filters.match_exact("type", item.kind):
        return False
    if (parents := filters.get("parent")) and not any(
        parent.startswith(wanted) for parent in item.parents for wanted in parents
    ):
        return False
    flags = {
        "inuse": item.in_use,
        "shared": item.shared,
        "private": not item.shared,
        "mutable": item.mount != "",
        "immutable": item.mount == "",
    }
    return all(_flag(filters, key, value) for key, value in flags.items())


def _flag(filters: Filters, key: str, value: bool) -> bool:
    if key not in filters:
        return True
    wanted = filters.get(key)
    return any(text.lower() in ("", "1", "true") for text in wanted) is value


def choose(
    items: Sequence[Item],
    filters: Filters | None,
    *,
    all: bool,
    keep_bytes: int,
    free_needed_bytes: int = 0,
    now_ns: int,
) -> list[Item]:
    """What goes, longest unused first.

    Without ``all`` what images need stays: dropping it would free nothing now. With
    ``keep_bytes`` or ``free_needed_bytes`` only as many go as have to.
    """
    if filters:
        filters.validate(FILTERS)  # also where there is nothing to prune
    can_go = [
        item
        for item in items
        if not item.in_use and (all or not item.shared) and matches(item, filters, now_ns=now_ns)
    ]
    if not keep_bytes and not free_needed_bytes:
        return can_go
    left = sum(item.size_bytes for item in items if not item.shared)
    freed = 0
    chosen = []
    for item in can_go:
        enough = left <= keep_bytes if keep_bytes else True
        if enough and freed >= free_needed_bytes:
            break
        chosen.append(item)
        if not item.shared:
            left -= item.size_bytes
            freed += item.size_bytes
    return chosen


async def prune(
    items: Sequence[Item],
    cache: CacheStore,
    mounts: CacheMounts,
    files: FileService,
    filters: Filters | None,
    *,
    all: bool,
    keep_bytes: int,
    min_free_bytes: int,
    data_root: Path,
) -> tuple[list[str], int]:
    """Drop what ``choose`` says: (ids, bytes set free)."""
    needed = 0
    if min_free_bytes:
        disk = os.statvfs(data_root)
        needed = max(min_free_bytes - disk.f_bavail * disk.f_frsize, 0)
        if not needed and not keep_bytes:
            return [], 0
    gone = choose(
        items,
        filters,
        all=all,
        keep_bytes=keep_bytes,
        free_needed_bytes=needed,
        now_ns=time.time_ns(),
    )
    freed = await drop(gone, cache, mounts, files)
    if all and not filters and not keep_bytes and not min_free_bytes:
        cache.drop(cache.hidden())
    return [item.id for item in gone], freed


def overdue(items: Sequence[Item], *, before_ns: int) -> list[Item]:
    """What was not used since ``before_ns``."""
    return [item for item in items if not item.in_use and item.used_ns < before_ns]


async def drop(
    gone: Sequence[Item], cache: CacheStore, mounts: CacheMounts, files: FileService
) -> int:
    """Forget these; the bytes set free."""
    freed = sum(item.size_bytes for item in gone if item.record is not None and not item.shared)
    cache.drop(_with_aliases(cache, [item.record for item in gone if item.record is not None]))
    if ids := [item.mount for item in gone if item.mount]:
        freed += await mounts.remove(ids)
    if ids := [item.source for item in gone if item.source]:
        freed += await files.drop(ids)
    return freed


def _with_aliases(cache: CacheStore, records: Iterable[Record]) -> list[Record]:
    """Records with those that lead to the same chain by another key."""
    gone = list(records)
    chains = {record.chain_id for record in gone}
    known = {record.key for record in gone}
    gone += [
        record for record in cache.hidden() if record.key not in known and record.chain_id in chains
    ]
    return gone
