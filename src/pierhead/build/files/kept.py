"""What is kept of clients' sources, so that only changed files are asked for.

::

    packs/<32 hex digits>/     one source of one client: digest of its shared key and name
      index                    what is known: paths, stats, digests, and where contents lie
      <number>                 a segment: contents that came with one transfer

A segment never changes once its transfer has ended; the index names the segments that
still count, others are deleted. Contents that haven't reached the disk surely when the
machine stops are forgotten (``Index.boot``, ``Index.synced``).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from pierhead.build.files.entries import Entry

VERSION: Final = 1
SEGMENTS_LIMIT: Final = 24
_WASTE_BYTES: Final = 64 << 20


class Index(msgspec.Struct, array_like=True):
    version: int = VERSION
    boot: str = ""
    """Which run of the machine wrote it."""
    segments: dict[int, int] = {}
    """Number → bytes."""
    synced: list[int] = []
    """Segments that are on the disk for sure."""
    entries: list[Entry] = []


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Index).decode


def key_of(name: str, shared_key: str) -> str:
    return hashlib.sha256(f"{name}\0{shared_key}".encode()).hexdigest()[:32]


@lru_cache(maxsize=1)
def boot_id() -> str:
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


@dataclass(slots=True)
class Known:
    """An index in memory."""

    segments: dict[int, int] = field(default_factory=dict)
    synced: set[int] = field(default_factory=set)
    files: dict[bytes, Entry] = field(default_factory=dict)


def load(directory: Path) -> Known:
    """What is known; nothing where the index is missing, broken or can't be trusted."""
    try:
        index = _decode((directory / "index").read_bytes())
    except (OSError, msgspec.DecodeError):
        return Known()
    if index.version != VERSION:
        return Known()
    trusted = set(index.segments) if index.boot == boot_id() else set(index.synced)
    segments = {number: size for number, size in index.segments.items() if number in trusted}
    return Known(
        segments,
        trusted & set(index.synced),
        {e.path: e for e in index.entries if e.pack in segments or not e.is_file or not e.size},
    )


def save(directory: Path, known: Known, *, all_files: bool = False) -> None:
    """Write the index; segments that nothing lies in any more are dropped from it.

    ``all_files``: it is the whole tree, directories and all, and no segment is dropped.
    """
    if not all_files:
        used = {entry.pack for entry in known.files.values()}
        known.segments = {n: size for n, size in known.segments.items() if n in used}
        known.synced &= used
    index = Index(
        VERSION, boot_id(), known.segments, sorted(known.synced), list(known.files.values())
    )
    temporary = directory / "index.new"
    temporary.write_bytes(_encode(index))
    temporary.rename(directory / "index")


def sweep(directory: Path, keep: Iterable[int], *, before: int) -> None:
    """Delete segments below ``before`` but ``keep``; who has them open reads on."""
    kept = set(keep)
    for path in directory.iterdir():
        if path.name.isdigit() and int(path.name) < before and int(path.name) not in kept:
            path.unlink(missing_ok=True)


def same(known: Entry, now: Entry) -> bool:
    """Whether a file is as it was, as far as its stat tells."""
    return (
        known.size == now.size
        and known.mtime_ns == now.mtime_ns
        and known.mode == now.mode
        and known.link == now.link
    )


def merge(known: Known, listed: Iterable[Entry], segment: int, size: int, *, whole: bool) -> None:
    """Add what a transfer brought. ``whole``: what wasn't listed isn't there any more."""
    files = {entry.path: entry for entry in listed if entry.is_file and entry.digest}
    if not whole:
        files = known.files | files
    known.files = files
    if size:
        known.segments[segment] = size


def wasteful(known: Known) -> bool:
    """Whether the segments hold much that nobody needs, or are too many to open at once."""
    if len(known.segments) > SEGMENTS_LIMIT:
        return True
    live = sum({(e.pack, e.offset): e.size for e in known.files.values()}.values())
    total = sum(known.segments.values())
    return total - live > max(live, _WASTE_BYTES)


def compact(directory: Path, known: Known, number: int) -> Known:
    """Copy all that counts into the new segment ``number``; the index is written by ``save``."""
    old = {n: os.open(directory / str(n), os.O_RDONLY | os.O_CLOEXEC) for n in known.segments}
    new = os.open(
        directory / str(number), os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600
    )
    files: dict[bytes, Entry] = {}
    moved: dict[tuple[int, int], int] = {}
    end = 0
    try:
        for entry in sorted(known.files.values(), key=lambda e: (e.pack, e.offset)):
            place = (entry.pack, entry.offset)
            if place not in moved:
                moved[place] = end
                _copy(old[entry.pack], entry.offset, new, entry.size)
                end += entry.size
            entry = entry.moved(entry.path)
            entry.offset, entry.pack = moved[place], number
            files[entry.path] = entry
        os.fsync(new)
    finally:
        os.close(new)
        for fd in old.values():
            os.close(fd)
    return Known({number: end}, {number}, files)


def _copy(source: int, offset: int, target: int, size: int) -> None:
    while size:
        sent = os.sendfile(target, source, offset, min(size, 1 << 30))
        if not sent:
            raise OSError(5, "a segment is cut short")
        offset += sent
        size -= sent


def remove(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
