"""fsutil's packets in both directions."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from pierhead.build.buildkit import messages, wire
from pierhead.build.buildkit.channel import Channel, batches
from pierhead.build.buildkit.filesync import (
    DATA,
    ERR,
    PACKET,
    STAT,
    RemoteListing,
    file_stat,
    metadata_of,
    mode_of_go,
    mode_to_go,
    stat_message,
)
from pierhead.build.model import FileStat, Wanted
from pierhead.errors import NotFound, PierError
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
async def listing_of(channel: Channel) -> AsyncIterator[RemoteListing]:
    async with channel.open(PATH, PACKET, PACKET) as stream:
        listing = RemoteListing(stream, batches(stream))
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


async def test_old_clients_get_plain_utf8() -> None:
    """Docker 20.10 doesn't know the escaped form."""
    shared = Shared({"a": b""})
    wanted = Wanted(follow=["ü +%", "b"])
    async with (
        channel_to(shared.mapping()) as channel,
        channel.open(PATH, PACKET, PACKET, metadata=metadata_of("c", wanted, raw=True)) as stream,
    ):
        listing = RemoteListing(stream, batches(stream))
        assert [file.path async for file in listing.files()] == [b"a"]
        await listing.close()
    (asked,) = shared.asked
    assert asked["followpaths"] == ["ü +%", "b"]
    assert "followpaths-encoded" not in asked
    assert "pierhead-raw" not in asked
