from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pierhead.linux import worker


def layer(*members: tuple[str, Any]) -> bytes:
    """Names with bytes (a file), ``None`` (a directory), or a str (``->x`` symlink, else link)."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, what in members:
            info = tarfile.TarInfo(name)
            info.mode = 0o755 if what is None else 0o644
            if what is None:
                info.type = tarfile.DIRTYPE
            elif isinstance(what, str):
                info.type = tarfile.SYMTYPE if what.startswith("->") else tarfile.LNKTYPE
                info.linkname = what.removeprefix("->")
            else:
                info.size = len(what)
            archive.addfile(info, io.BytesIO(what) if isinstance(what, bytes) else None)
    return buffer.getvalue()


async def squash(tmp_path: Path, below: int, *layers: bytes) -> dict[str, Any]:
    fds = []
    for number, data in enumerate(layers):
        (tmp_path / str(number)).write_bytes(data)
        fds.append(os.open(tmp_path / str(number), os.O_RDONLY))
    out = os.open(tmp_path / "out", os.O_RDWR | os.O_CREAT | os.O_TRUNC)
    try:
        await worker.call(
            "build.export.squash_worker:squash",
            {
                "layers": [(fd, 0, len(data)) for fd, data in zip(fds, layers, strict=True)],
                "below": below,
            },
            stdout=out,
            pass_fds=tuple(fds),
        )
    finally:
        for fd in (*fds, out):
            os.close(fd)
    with tarfile.open(tmp_path / "out") as archive:
        return {
            member.name: (
                archive.extractfile(member).read()  # type: ignore[union-attr]
                if member.isfile()
                else None
                if member.isdir()
                else f"->{member.linkname}"
                if member.issym()
                else member.linkname
            )
            for member in archive
        }


async def test_what_is_hidden_is_gone_and_the_base_is_whited_out(tmp_path: Path) -> None:
    base = layer(("etc", None), ("etc/a", b"a"), ("etc/b", b"b"), ("bin", None), ("bin/x", b"x"))
    one = layer(("etc", None), ("etc/a", b"A" * 2000), ("tmp", None), ("tmp/big", b"z" * 9000))
    two = layer(("etc/.wh.b", b""), ("tmp/.wh.big", b""), ("tmp/s", "->/etc/a"))
    found = await squash(tmp_path, 1, base, one, two)
    assert found == {
        "etc": None,
        "etc/.wh.b": b"",
        "etc/a": b"A" * 2000,
        "tmp": None,
        "tmp/s": "->/etc/a",
    }


async def test_hard_links_stay_together(tmp_path: Path) -> None:
    one = layer(("x", b"data"), ("y", "x"), ("z", "x"))
    two = layer((".wh.x", b""))
    assert await squash(tmp_path, 0, one, two) == {"y": b"data", "z": "y"}
    assert await squash(tmp_path, 0, one) == {"x": b"data", "y": "x", "z": "x"}


async def test_a_file_in_the_place_of_a_directory(tmp_path: Path) -> None:
    base = layer(("d", None), ("d/f", b"f"))
    assert await squash(tmp_path, 1, base, layer(("d", b"now a file"))) == {"d": b"now a file"}
    assert await squash(
        tmp_path, 1, base, layer((".wh.d", b"")), layer(("d", None), ("d/g", b"g"))
    ) == {"d": None, "d/.wh.f": b"", "d/g": b"g"}


@pytest.mark.parametrize("below", [0, 1])
async def test_nothing_changed_is_an_empty_tar(tmp_path: Path, below: int) -> None:
    layers = [layer(("a", b"a"))] * below
    assert await squash(tmp_path, below, *layers) == {}
