"""fsutil's packets: a client's directory as a ``Listing``.

In both directions the side that has the files sends a STAT for each (path order, parents
first), an empty STAT at the end, and DATA for those that the other side REQuests by number;
empty DATA ends a file. FIN from both ends the transfer. Modes are Go's ``os.FileMode``.
"""

from __future__ import annotations

import asyncio
import stat
from collections import deque
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import quote_plus

from pierhead import tasks
from pierhead.build.buildkit import messages
from pierhead.build.model import FileStat, Wanted
from pierhead.errors import Conflict, InvalidParameter, NotFound, PierError, Unavailable

if TYPE_CHECKING:
    from pierhead.build.buildkit.messages import Message
    from pierhead.build.buildkit.wire import Stream

RAW_HEADER: Final = "pierhead-raw"
"""``wire`` sends escaped metadata as it was."""
STAT, REQ, DATA, FIN, ERR = range(5)
PACKET: Final = "fsutil.types.Packet"

HELD_LIMIT_BYTES: Final = 16 << 20

# os.FileMode's bits (Go) ↔ st_mode's
_GO_DIR, _GO_SYMLINK, _GO_DEVICE = 1 << 31, 1 << 27, 1 << 26
_GO_PIPE, _GO_SOCKET, _GO_CHAR = 1 << 25, 1 << 24, 1 << 21
_GO_SETUID, _GO_SETGID, _GO_STICKY = 1 << 23, 1 << 22, 1 << 20


def mode_of_go(mode: int) -> int:
    """``os.FileMode`` → ``st_mode``."""
    bits = mode & 0o777
    if mode & _GO_SETUID:
        bits |= stat.S_ISUID
    if mode & _GO_SETGID:
        bits |= stat.S_ISGID
    if mode & _GO_STICKY:
        bits |= stat.S_ISVTX
    if mode & _GO_DIR:
        return bits | stat.S_IFDIR
    if mode & _GO_SYMLINK:
        return bits | stat.S_IFLNK
    if mode & _GO_DEVICE:
        return bits | (stat.S_IFCHR if mode & _GO_CHAR else stat.S_IFBLK)
    if mode & _GO_PIPE:
        return bits | stat.S_IFIFO
    if mode & _GO_SOCKET:
        return bits | stat.S_IFSOCK
    return bits | stat.S_IFREG


def mode_to_go(mode: int) -> int:
    """``st_mode`` → ``os.FileMode``."""
    bits = mode & 0o777
    for unix, go in (
        (stat.S_ISUID, _GO_SETUID),
        (stat.S_ISGID, _GO_SETGID),
        (stat.S_ISVTX, _GO_STICKY),
    ):
        if mode & unix:
            bits |= go
    kinds = {
        stat.S_IFDIR: _GO_DIR,
        stat.S_IFLNK: _GO_SYMLINK,
        stat.S_IFCHR: _GO_DEVICE | _GO_CHAR,
        stat.S_IFBLK: _GO_DEVICE,
        stat.S_IFIFO: _GO_PIPE,
        stat.S_IFSOCK: _GO_SOCKET,
    }
    return bits | kinds.get(stat.S_IFMT(mode), 0)


def file_stat(message: Message) -> FileStat:
    """fsutil's ``Stat`` as ours. A regular file with a link is a hard link."""
    mode = mode_of_go(message.mode)
    link = message.linkname
    return FileStat(
        path=message.path.encode("utf-8", "surrogateescape"),
        mode=mode,
        uid=message.uid,
        gid=message.gid,
        size=message.size,
        mtime_ns=message.modTime,
        link=link.encode("utf-8", "surrogateescape"),
        hard_link=bool(link) and not stat.S_ISLNK(mode),
        device=(message.devmajor, message.devminor),
        xattrs=dict(message.xattrs) if message.xattrs else {},
    )


def stat_message(file: FileStat) -> Message:
    """Ours as fsutil's ``Stat``."""
    return messages.get("fsutil.types.Stat")(
        path=file.path.decode("utf-8", "replace"),
        mode=mode_to_go(file.mode),
        uid=file.uid,
        gid=file.gid,
        size=file.size,
        modTime=file.mtime_ns,
        linkname=file.link.decode("utf-8", "replace"),
        devmajor=file.device[0],
        devminor=file.device[1],
        xattrs=dict(file.xattrs),
    )


def metadata_of(name: str, wanted: Wanted, *, raw: bool = False) -> list[tuple[str, str]]:
    """What a client is told of the directory and the files that are wanted.

    Values that aren't plain ASCII are escaped as in a query, with a note (BuildKit's
    ``encodeOpts``). Clients of Docker 20.10 and older don't know that: ``raw`` for them.
    """
    plain: list[tuple[str, Sequence[str]]] = [
        ("dir-name", [name]),
        ("include-patterns", wanted.include),
        ("exclude-patterns", wanted.exclude),
        ("followpaths", wanted.follow),
    ]
    found: list[tuple[str, str]] = []
    for key, values in plain:
        encode = any(not value.isascii() or not value.isprintable() for value in values)
        if encode and not raw:
            found.append((f"{key}-encoded", "1"))
        found += [(key, quote_plus(value) if encode or raw else value) for value in values]
    return [*found, (RAW_HEADER, "1")] if raw else found


class RemoteListing:
    """``build.model.Listing`` on an open DiffCopy stream; ``close`` ends it with FIN."""

    def __init__(self, stream: Stream, batches: AsyncIterator[list[bytes]]) -> None:
        """``batches``: the packets that come on ``stream`` (``wire.batches``)."""
        self._stream = stream
        self._packet = messages.get(PACKET)
        self._batches = batches
        self._come: deque[Message] = deque()
        self._asked = bytearray()
        self._numbers: dict[bytes, int] = {}
        self._queues: dict[int, asyncio.Queue[bytes]] = {}
        self._held = 0
        self._waiting = 0
        self._room = asyncio.Event()
        self._room.set()
        self._finished = asyncio.Event()
        self._failed: PierError | None = None
        self._reader: asyncio.Task[None] | None = None

    async def files(self) -> AsyncIterator[FileStat]:
        number = 0
        async for packet in self._packets():
            if packet.type == ERR:
                raise refusal(packet.data)
            if packet.type != STAT:
                raise InvalidParameter(f"the client sent packet {packet.type} in its list of files")
            if not packet.HasField("stat") or not packet.stat.path:
                self._reader = tasks.spawn(self._read(), name="buildkit-diffcopy")
                return
            file = file_stat(packet.stat)
            if stat.S_ISREG(file.mode) and not file.hard_link:
                self._numbers[file.path] = number
            number += 1
            yield file
        raise Unavailable("the client ended its list of files early")

    async def _packets(self) -> AsyncIterator[Message]:
        """The next packets; may be left and gone on with."""
        while True:
            while self._come:
                yield self._come.popleft()
            batch = await anext(self._batches, None)
            if batch is None:
                return
            self._come.extend(map(self._packet.FromString, batch))

    async def content(self, path: bytes) -> AsyncIterator[bytes]:
        number = self._numbers.get(path)
        if number is None:
            raise NotFound(f"the client did not list {path.decode(errors='replace')}")
        if self._failed is not None:
            raise self._failed
        if number in self._queues:
            raise Conflict(f"{path.decode(errors='replace')} is being read already")
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._queues[number] = queue
        try:
            self._ask(number)
            while data := await self._next(queue):
                yield data
        finally:
            del self._queues[number]
            while not queue.empty():
                self._held -= len(queue.get_nowait())
            self._room.set()

    async def close(self) -> None:
        """Tell the client that nothing more is wanted, and wait for its farewell."""
        if self._reader is None:
            return
        try:
            if self._failed is None:
                # With our end of stream: Go's servers reset a stream that they end first.
                await self._stream.send_message(self._packet(type=FIN), end=True)
                await self._finished.wait()
        finally:
            self._reader.cancel()

    async def _next(self, queue: asyncio.Queue[bytes]) -> bytes:
        if queue.empty() and self._failed is not None:
            raise self._failed
        self._waiting += queue.empty()
        waited = queue.empty()
        if waited:
            self._room.set()  # whoever waits must be served, however much others hold
        try:
            data = await queue.get()
        finally:
            self._waiting -= waited
        self._held -= len(data)
        if not data and self._failed is not None:
            raise self._failed
        if self._held < HELD_LIMIT_BYTES:
            self._room.set()
        return data

    def _ask(self, number: int) -> None:
        """Request a file; those that are asked for at the same time go out together."""
        if not self._asked:
            tasks.spawn(self._send_asked(), name="buildkit-ask")
        packet = self._packet(type=REQ, ID=number).SerializeToString()
        self._asked += b"\0" + len(packet).to_bytes(4, "big") + packet

    async def _send_asked(self) -> None:
        asked, self._asked = bytes(self._asked), bytearray()
        try:
            with self._stream._wrapper:
                await self._stream._stream.send_data(asked)
        except Exception as error:
            self._fail(Unavailable(f"the client's files: {error or type(error).__name__}"))

    async def _read(self) -> None:
        """Hand out DATA; pause while others hold much and nobody waits for more."""
        try:
            async for packet in self._packets():
                if packet.type == FIN:
                    return
                if packet.type == ERR:
                    self._fail(refusal(packet.data))
                    return
                if packet.type != DATA:
                    continue
                queue = self._queues.get(packet.ID)
                if queue is None:
                    continue  # nobody wants the rest of it
                data = packet.data
                self._held += len(data)
                queue.put_nowait(data)
                while self._held >= HELD_LIMIT_BYTES and not self._waiting:
                    self._room.clear()
                    await self._room.wait()
        except Exception as error:
            self._fail(Unavailable(f"the client's files: {error or type(error).__name__}"))
        finally:
            if self._failed is None and self._queues:
                self._fail(Unavailable("the client ended the transfer of its files early"))
            self._finished.set()

    def _fail(self, error: PierError) -> None:
        self._failed = error
        for queue in self._queues.values():
            queue.put_nowait(b"")


def refusal(data: bytes) -> PierError:
    return InvalidParameter(f"the client's files: {data.decode(errors='replace')}")
