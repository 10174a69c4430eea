"""A tar sent as a directory: fsutil's other side, which has the files (``filesync``)."""

from __future__ import annotations

import asyncio
import stat
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, Final

from pierhead import tasks
from pierhead.build.buildkit import messages
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


async def send_tar(stream: Stream, spool: IO[bytes]) -> None:
    """Play the sender of a directory whose files lie in a spooled tar."""
    members = await asyncio.to_thread(index_tar, spool)
    packet = messages.get(PACKET)
    sender = tasks.spawn(_send_stats(stream, members, packet), name="buildkit-send-stats")
    try:
        while True:
            request = await stream.recv_message()
            if request is None:
                raise Unavailable("the client left while files were sent")
            if request.type == ERR:
                raise refusal(request.data)
            if request.type == FIN:
                await sender
                await stream.send_message(packet(type=FIN), end=True)
                return
            if request.type == REQ:
                await _send_file(stream, spool, members, request.ID, packet)
    finally:
        sender.cancel()


async def _send_stats(stream: Stream, members: list[_Member], packet: Any) -> None:
    for member in members:
        await stream.send_message(packet(type=STAT, stat=stat_message(member.file)))
    await stream.send_message(packet(type=STAT))


async def _send_file(
    stream: Stream, spool: IO[bytes], members: list[_Member], number: int, packet: Any
) -> None:
    if number >= len(members):
        raise InvalidParameter(f"the client asked for file {number} of {len(members)}")
    member = members[number]
    at, end = member.offset, member.offset + member.file.size
    while at < end:
        data = await asyncio.to_thread(_read_at, spool, at, min(CHUNK_BYTES, end - at))
        if not data:
            raise Unavailable("an output is shorter than its headers say")
        at += len(data)
        await stream.send_message(packet(type=DATA, ID=number, data=data))
    await stream.send_message(packet(type=DATA, ID=number))


def _read_at(spool: IO[bytes], offset: int, count: int) -> bytes:
    spool.seek(offset)
    return spool.read(count)
