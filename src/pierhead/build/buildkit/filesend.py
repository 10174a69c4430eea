"""A tar sent as a directory: fsutil's other side, which has the files (``filesync``)."""

from __future__ import annotations

import asyncio
import stat
import tarfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Final, NamedTuple

from pierhead import tasks
from pierhead.build.buildkit import messages
from pierhead.build.buildkit.channel import framed, send_framed
from pierhead.build.buildkit.filesync import (
    DATA,
    ERR,
    FIN,
    PACKET,
    REQ,
    STAT,
    refusal,
    stat_message,
)
from pierhead.build.model import FileStat
from pierhead.errors import InvalidParameter, Unavailable

if TYPE_CHECKING:
    from pierhead.build.buildkit.wire import Stream

CHUNK_BYTES: Final = 32 << 10
READ_BYTES: Final = 2 << 20
STATS_AT_A_TIME: Final = 500


@dataclass(slots=True)
class _Member:
    file: FileStat
    offset: int


def index_tar(spool: IO[bytes]) -> list[_Member]:
    """A tar's members in fsutil's order; directories that it leaves out are made. Blocks."""
    members: dict[bytes, _Member] = {}
    spool.seek(0)
    with tarfile.open(fileobj=spool, mode="r:", errorlevel=1) as archive:
        for info in archive:
            path = info.name.strip("/").removeprefix("./")
            if path in {"", "."}:
                continue
            raw = path.encode("utf-8", "surrogateescape")
            members[raw] = _Member(_stat_of(info, raw), info.offset_data)
    for known in list(members):
        for parent in _parents(known):
            members.setdefault(parent, _Member(FileStat(path=parent, mode=0o40755), 0))
    ordered = [members[path] for path in sorted(members, key=lambda path: path.split(b"/"))]
    return _first_names_first(ordered, members)


def _first_names_first(ordered: list[_Member], members: dict[bytes, _Member]) -> list[_Member]:
    """A hard link may only name what was sent before: the first name gets the content."""
    first: dict[bytes, bytes] = {}
    found: list[_Member] = []
    for member in ordered:
        target = member.file.link if member.file.hard_link else member.file.path
        origin = members.get(target)
        if origin is None or not stat.S_ISREG(member.file.mode):
            found.append(member)
        elif target in first:
            link = replace(
                origin.file, path=member.file.path, size=0, link=first[target], hard_link=True
            )
            found.append(_Member(link, 0))
        else:
            first[target] = member.file.path
            file = replace(origin.file, path=member.file.path)
            found.append(_Member(file, origin.offset))
    return found


def _parents(path: bytes) -> Iterator[bytes]:
    parts = path.split(b"/")[:-1]
    for count in range(1, len(parts) + 1):
        yield b"/".join(parts[:count])


def _stat_of(info: tarfile.TarInfo, path: bytes) -> FileStat:
    kinds = {
        tarfile.DIRTYPE: stat.S_IFDIR,
        tarfile.SYMTYPE: stat.S_IFLNK,
        tarfile.CHRTYPE: stat.S_IFCHR,
        tarfile.BLKTYPE: stat.S_IFBLK,
        tarfile.FIFOTYPE: stat.S_IFIFO,
    }
    link = info.linkname.encode("utf-8", "surrogateescape") if info.linkname else b""
    if info.islnk():
        link = link.strip(b"/").removeprefix(b"./")
    return FileStat(
        path=path,
        mode=info.mode | kinds.get(info.type, stat.S_IFREG),
        uid=info.uid,
        gid=info.gid,
        size=info.size if info.isreg() else 0,
        mtime_ns=int(float(info.mtime) * 1_000_000_000),
        link=link,
        hard_link=info.islnk(),
        device=(info.devmajor, info.devminor),
        xattrs={
            key.removeprefix("SCHILY.xattr."): value.encode("utf-8", "surrogateescape")
            for key, value in info.pax_headers.items()
            if key.startswith("SCHILY.xattr.")
        },
    )


class TarSender:
    """Plays the sender of a directory whose files lie in a spooled tar."""

    def __init__(
        self, stream: Stream, requests: AsyncIterator[list[bytes]], spool: IO[bytes]
    ) -> None:
        """``requests``: the packets that come on ``stream`` (``channel.batches``)."""
        self._stream = stream
        self._requests = requests
        self._spool = spool
        self._packet = messages.get(PACKET)
        self._lock = asyncio.Lock()
        self._members: list[_Member] = []

    async def run(self) -> None:
        """Until the receiver has all that it wants."""
        self._members = await asyncio.to_thread(index_tar, self._spool)
        stats = tasks.spawn(self._send_stats(), name="buildkit-send-stats")
        try:
            async for batch in self._requests:
                numbers: list[int] = []
                for request in map(self._packet.FromString, batch):
                    if request.type == ERR:
                        raise refusal(request.data)
                    if request.type == REQ:
                        numbers.append(request.ID)
                    elif request.type == FIN:
                        await stats
                        await self._stream.send_message(self._packet(type=FIN), end=True)
                        return
                await self._send_files(numbers)
            raise Unavailable("the client left while files were sent")
        finally:
            stats.cancel()

    async def _send_stats(self) -> None:
        for start in range(0, len(self._members), STATS_AT_A_TIME):
            part = self._members[start : start + STATS_AT_A_TIME]
            packets = [self._packet(type=STAT, stat=stat_message(each.file)) for each in part]
            await self._send(b"".join(map(framed, packets)))
        await self._send(framed(self._packet(type=STAT)))

    async def _send_files(self, numbers: list[int]) -> None:
        """Contents, read and framed a few megabytes at a time."""
        pieces: list[_Piece] = []
        size = 0
        for piece in self._pieces(numbers):
            pieces.append(piece)
            size += piece.size
            if size >= READ_BYTES:
                await self._send(await asyncio.to_thread(self._read, pieces))
                pieces, size = [], 0
        if pieces:
            await self._send(await asyncio.to_thread(self._read, pieces))

    def _pieces(self, numbers: list[int]) -> Iterator[_Piece]:
        for number in numbers:
            if number >= len(self._members):
                raise InvalidParameter(
                    f"the client asked for file {number} of {len(self._members)}"
                )
            member = self._members[number]
            for at in range(0, member.file.size, CHUNK_BYTES):
                size = min(CHUNK_BYTES, member.file.size - at)
                yield _Piece(number, member.offset + at, size)
            yield _Piece(number, 0, 0)

    def _read(self, pieces: list[_Piece]) -> bytes:
        """Blocks."""
        found: list[bytes] = []
        for piece in pieces:
            self._spool.seek(piece.offset)
            data = self._spool.read(piece.size)
            if len(data) != piece.size:
                raise Unavailable("an output is shorter than its headers say")
            found.append(framed(self._packet(type=DATA, ID=piece.number, data=data)))
        return b"".join(found)

    async def _send(self, data: bytes) -> None:
        async with self._lock:
            await send_framed(self._stream, data)


class _Piece(NamedTuple):
    """Of a file's content; of 0 bytes at its end."""

    number: int
    offset: int
    size: int
