from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.cli.errors import CliError
from pierhead.cli.output_file import OutputFile, check_output


def test_the_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "x.tar"
    with OutputFile(str(target)) as file:
        file.write(b"one")
        assert not target.exists()
        file.write(b"two")
    assert target.read_bytes() == b"onetwo"


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "x.tar"
    target.write_bytes(b"old")
    with pytest.raises(RuntimeError), OutputFile(str(target)) as file:
        file.write(b"new")
        raise RuntimeError
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["x.tar"]


def test_special_files_are_written_directly() -> None:
    with OutputFile("/dev/null") as file:
        file.write(b"x")


def test_paths_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"^p: invalid output path: stat /nonexistent: no such file"):
        check_output("/nonexistent/x", "p: ")
    with pytest.raises(CliError, match="cannot write to a directory"):
        check_output(str(tmp_path), "")
    with pytest.raises(CliError, match="got a device"):
        check_output("/dev/zero", "")
    check_output("x.tar", "")
