from __future__ import annotations

import os
from pathlib import Path

import pytest

from pierhead.cli.container.keyvalue import environment, labels, read_pairs, to_map


def test_environment_files(tmp_path: Path) -> None:
    file = tmp_path / "env"
    file.write_bytes(
        b"\xef\xbb\xbfA=1\r\n# comment\n\n  B=x  \nPATH\nPIERHEAD_NOT_SET\nC=a=b\nD=\n"
    )
    assert environment([str(file)], ["Z"]) == [
        "A=1",
        "B=x  ",
        f"PATH={os.environ['PATH']}",
        "C=a=b",
        "D=",
        "Z",
    ]


def test_labels(tmp_path: Path) -> None:
    file = tmp_path / "labels"
    file.write_text("a=1\nPATH\n")
    assert labels([str(file)], ["a=2", "b"]) == {"a": "2", "PATH": "", "b": ""}
    assert to_map(["a=b=c"]) == {"a": "b=c"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"=x\n", "no variable name on line '=x'"),
        (b"A B=1\n", "variable 'A B' contains whitespaces"),
        (b"A=1\nB=\xff\n", "invalid utf8 bytes at line 2"),
    ],
)
def test_broken_files(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "env"
    file.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        read_pairs(str(file), lookup=True)
    assert str(caught.value).startswith(f"invalid env file ({file}): {message}")


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^open /nonexistent: no such file or directory$"):
        read_pairs("/nonexistent", lookup=True)
    with pytest.raises(ValueError, match="is a directory"):
        read_pairs(str(tmp_path), lookup=True)
