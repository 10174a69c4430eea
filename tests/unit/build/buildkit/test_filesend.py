"""A tar as fsutil's sender has it."""

from __future__ import annotations

import io
import stat
import tarfile
from typing import Any

import pytest

from pierhead.build.buildkit import messages, wire
from pierhead.build.buildkit.channel import batches
from pierhead.build.buildkit.filesend import TarSender, index_tar
from pierhead.build.buildkit.filesync import ERR, FIN, PACKET, REQ, mode_of_go
from pierhead.errors import InvalidParameter
from support.buildkit import channel_to

SEND = "/moby.filesync.v1.FileSend/DiffCopy"


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
        await TarSender(stream, batches(stream), tar_of(*TAR)).run()
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
            await TarSender(stream, batches(stream), tar_of(*TAR)).run()
