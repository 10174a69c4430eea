from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest

from pierhead.cli.build import receive
from pierhead.cli.errors import CliError


def tar(*names: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for name in names:
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return data.getvalue()


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "f"
    target = receive.target({"type": "tar", "dest": str(path)})()
    target.write(b"ab")
    assert not path.exists()
    target.finish()
    assert path.read_bytes() == b"ab"
    target = receive.target({"type": "tar", "dest": str(tmp_path / "g")})()
    target.abandon()
    assert os.listdir(tmp_path) == ["f"]


def test_a_directory(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    target = receive.target({"type": "local", "dest": str(path)})()
    for byte in tar("x", "y"):
        target.write(bytes((byte,)))
    target.finish()
    assert {one.name: one.read_text() for one in path.iterdir()} == {"x": "x", "y": "y"}


@pytest.mark.parametrize("name", ["../evil", "/../evil"])
def test_nothing_lands_outside(tmp_path: Path, name: str) -> None:
    target = receive.Directory(str(tmp_path / "d"))
    target.write(tar(name))
    with pytest.raises(CliError, match="leaves the target directory"):
        target.finish()
    assert os.listdir(tmp_path) == ["d"]


def test_half_a_tar_is_an_error(tmp_path: Path) -> None:
    target = receive.Directory(str(tmp_path))
    target.write(tar("x" * 90)[:520])
    with pytest.raises(CliError):
        target.finish()


def test_oci_layouts_may_be_directories(tmp_path: Path) -> None:
    make = receive.target({"type": "oci", "dest": str(tmp_path / "d"), "tar": "false"})
    target = make()
    assert isinstance(target, receive.Directory)
    target.abandon()


def test_stdout(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    target = receive.target({"type": "tar", "dest": "-"})()
    target.write(b"x")
    target.finish()
    target.abandon()
    assert capfdbinary.readouterr().out == b"x"


def test_checks(tmp_path: Path) -> None:
    receive.check([{"type": "tar", "dest": str(tmp_path / "f")}, {"type": "image"}])
    with pytest.raises(CliError, match="invalid destination directory"):
        receive.check([{"type": "tar", "dest": str(tmp_path)}])
    receive.check([{"type": "oci", "dest": str(tmp_path), "tar": "false"}])
