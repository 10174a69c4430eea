"""fsutil's packets in both directions."""

from __future__ import annotations

import asyncio
import io
import stat
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pierhead.build.buildkit import messages, wire
from pierhead.build.buildkit.filesync import (
    DATA,
    ERR,
    FIN,
    PACKET,
    REQ,
    STAT,
    RemoteListing,
    file_stat,
    index_tar,
    metadata_of,
    mode_of_go,
    mode_to_go,
    send_tar,
    stat_message,
)
from pierhead.build.model import FileStat, Wanted
from pierhead.errors import InvalidParameter, NotFound, PierError
from support.buildkit import Shared, channel_to

PATH = "/moby.filesync.v1.FileSync/DiffCopy"
SEND = "/moby.filesync.v1.FileSend/DiffCopy"


@pytest.mark.parametrize(
    "mode",
    [
        stat.S_IFREG | 0o644,
        stat.S_IFREG | stat.S_ISUID | stat.S_ISGID | 0o755,
        stat.S_IFDIR | stat.S_ISVTX | 0o777,
        stat.S_IFLNK | 0o777,
        stat.S_IFCHR | 0o600,
        stat.S_IFBLK | 0o600,
        stat.S_IFIFO | 0o600,
        stat.S_IFSOCK | 0o600,
    ],
)
def test_modes_go_there_and_back(mode: int) -> None:
    assert mode_of_go(mode_to_go(mode)) == mode


def test_go_modes() -> None:
    assert mode_to_go(stat.S_IFDIR | 0o755) == 1 << 31 | 0o755
    assert mode_of_go(1 << 27 | 0o777) == stat.S_IFLNK | 0o777


def test_stats_go_there_and_back() -> None:
    file = FileStat(
        path="ä/b".encode(),
        mode=stat.S_IFREG | 0o640,
        uid=1,
        gid=2,
        size=3,
        mtime_ns=4,
        link=b"a",
        hard_link=True,
        xattrs={"user.x": b"\0"},
    )
    assert file_stat(stat_message(file)) == file
    link = FileStat(path=b"l", mode=stat.S_IFLNK | 0o777, link=b"../x")
    assert file_stat(stat_message(link)) == link


def test_what_a_client_is_told() -> None:
    wanted = Wanted(include=["a b"], exclude=["é", "x"], follow=["f"])
    assert metadata_of("ctx", wanted) == [
        ("dir-name", "ctx"),
        ("include-patterns", "a b"),
        ("exclude-patterns-encoded", "1"),
        ("exclude-patterns", "%C3%A9"),
        ("exclude-patterns", "x"),
        ("followpaths", "f"),
    ]


@asynccontextmanager
async def listing_of(channel: wire.Channel) -> AsyncIterator[RemoteListing]:
    async with channel.open(PATH, PACKET, PACKET) as stream:
        listing = RemoteListing(stream, wire.batches(stream))
        try:
            yield listing
        finally:
            await listing.close()


async def content(listing: RemoteListing, path: bytes) -> bytes:
    return b"".join([part async for part in listing.content(path)])


async def test_a_listing_and_its_contents() -> None:
    shared = Shared({"a": b"", "b": b"b" * 100_000, "c": b"c"})
    async with channel_to(shared.mapping()) as channel, listing_of(channel) as listing:
        assert [file.path async for file in listing.files()] == [b"a", b"b", b"c"]
        found = await asyncio.gather(
            *(content(listing, name) for name in (b"c", b"b", b"a", b"b")[:3])
        )
        assert [len(data) for data in found] == [1, 100_000, 0]
        assert await content(listing, b"b") == b"b" * 100_000  # once more
        with pytest.raises(NotFound):
            await content(listing, b"nope")


async def test_contents_that_nobody_reads_to_the_end() -> None:
    shared = Shared({"big": b"x" * (1 << 20), "small": b"s"})
    async with channel_to(shared.mapping()) as channel, listing_of(channel) as listing:
        assert [file.size async for file in listing.files()] == [1 << 20, 1]
        parts = listing.content(b"big")
        assert await anext(parts)
        await parts.aclose()
        assert await content(listing, b"small") == b"s"


async def play(packets: list[Any]) -> PierError:
    """What comes of a client that sends these."""

    async def serve(stream: Any) -> None:
        for packet in packets:
            await stream.send_message(packet)

    mapping = {PATH: wire.handler(serve, wire.BOTH_STREAM, PACKET, PACKET)}
    with pytest.raises(PierError) as caught:
        async with channel_to(mapping) as channel, listing_of(channel) as listing:
            async for file in listing.files():
                assert file
            await content(listing, b"a")
    return caught.value


async def test_clients_that_break_the_rules() -> None:
    packet = messages.get(PACKET)
    file = packet(type=STAT, stat=stat_message(FileStat(path=b"a", mode=0o100644, size=5)))
    assert "no such dir" in (await play([packet(type=ERR, data=b"no such dir")])).message
    assert "ended its list" in (await play([file])).message
    assert "packet 2" in (await play([file, packet(type=DATA)])).message
    assert "ended the transfer" in (await play([file, packet(type=STAT)])).message
    half = packet(type=DATA, ID=0, data=b"ab")
    assert "ended the transfer" in (await play([file, packet(type=STAT), half])).message


def tar_of(*members: tuple[str, bytes | str | None, str]) -> io.BytesIO:
    """(name, data or target, kind) each."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data, kind in members:
            info = tarfile.TarInfo(name)
            info.mtime = 7
            info.type = {
                "file": tarfile.REGTYPE,
                "dir": tarfile.DIRTYPE,
                "link": tarfile.SYMTYPE,
                "hard": tarfile.LNKTYPE,
            }[kind]
            if isinstance(data, str):
                info.linkname = data
            body = data if isinstance(data, bytes) else b""
            info.size = len(body)
            tar.addfile(info, io.BytesIO(body))
    return out


TAR = (
    ("./z", b"zz", "file"),
    ("sub/deep/f", b"x" * 70_000, "file"),
    ("a-link", "z", "link"),
    ("hard", "z", "hard"),
    ("sub-", b"", "file"),
)


def test_the_order_is_fsutils() -> None:
    """By components, parents first and made where they are missing; hard links point back."""
    members = index_tar(tar_of(*TAR))
    assert [(member.file.path, member.file.link) for member in members] == [
        (b"a-link", b"z"),
        (b"hard", b""),
        (b"sub", b""),
        (b"sub/deep", b""),
        (b"sub/deep/f", b""),
        (b"sub-", b""),
        (b"z", b"hard"),
    ]
    assert members[1].file.size == 2
    assert members[6].file.hard_link
    assert stat.S_ISDIR(members[2].file.mode)
    assert members[0].file.mtime_ns == 7_000_000_000


async def test_a_tar_sent_as_a_directory() -> None:
    received: dict[str, bytes] = {}

    async def receive(stream: Any) -> None:
        """fsutil's receiver: everything is asked for, then FIN."""
        packet = messages.get(PACKET)
        files: list[Any] = []
        while (message := await stream.recv_message()) and message.stat.path:
            files.append(message.stat)
        for number, file in enumerate(files):
            if stat.S_ISREG(mode_of_go(file.mode)) and not file.linkname:
                await stream.send_message(packet(type=REQ, ID=number))
                parts = []
                while data := (await stream.recv_message()).data:
                    parts.append(data)
                received[file.path] = b"".join(parts)
        await stream.send_message(packet(type=FIN))
        assert (await stream.recv_message()).type == FIN

    mapping = {SEND: wire.handler(receive, wire.BOTH_STREAM, PACKET, PACKET)}
    async with (
        channel_to(mapping) as channel,
        channel.open(SEND, PACKET, PACKET) as stream,
    ):
        await send_tar(stream, tar_of(*TAR))
    assert received == {"hard": b"zz", "sub/deep/f": b"x" * 70_000, "sub-": b""}


async def test_a_receiver_that_refuses() -> None:
    async def receive(stream: Any) -> None:
        await stream.send_message(messages.get(PACKET)(type=ERR, data=b"disk full"))
        await stream.recv_message()

    mapping = {SEND: wire.handler(receive, wire.BOTH_STREAM, PACKET, PACKET)}
    with pytest.raises(InvalidParameter, match="disk full"):
        async with (
            channel_to(mapping) as channel,
            channel.open(SEND, PACKET, PACKET) as stream,
        ):
            await send_tar(stream, tar_of(*TAR))


async def test_old_clients_get_plain_utf8() -> None:
    """Docker 20.10 doesn't know the escaped form."""
    shared = Shared({"a": b""})
    wanted = Wanted(follow=["ü +%", "b"])
    async with (
        channel_to(shared.mapping()) as channel,
        channel.open(PATH, PACKET, PACKET, metadata=metadata_of("c", wanted, raw=True)) as stream,
    ):
        listing = RemoteListing(stream, wire.batches(stream))
        assert [file.path async for file in listing.files()] == [b"a"]
        await listing.close()
    (asked,) = shared.asked
    assert asked["followpaths"] == ["ü +%", "b"]
    assert "followpaths-encoded" not in asked
    assert "pierhead-raw" not in asked
