from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.format.entries import count, entry_line, mode_text, name_text, percent, printable


@pytest.mark.parametrize(
    ("kind", "mode", "text"),
    [
        ("file", "0644", "-rw-r--r--"),
        ("directory", "1777", "drwxrwxrwt"),
        ("file", "4755", "-rwsr-xr-x"),
        ("file", "6644", "-rwSr-Sr--"),
        ("symlink", "0777", "lrwxrwxrwx"),
        ("char", "1000", "c--------T"),
    ],
)
def test_modes(kind: str, mode: str, text: str) -> None:
    assert mode_text(kind, mode) == text


def test_names_do_nothing_to_the_terminal() -> None:
    assert printable("a b/é") == "a b/é"
    assert printable("a\x1b[2J\n\udcff\u202e") == "a\\x1b[2J\\x0a\\xff\\u202e"


def test_names() -> None:
    assert name_text({"Type": "directory"}, "/a") == "/a/"
    assert name_text({"Type": "directory"}, "/") == "/"
    assert name_text({"Type": "symlink", "Link": "b"}, "/a") == "/a -> b"
    assert name_text({"Type": "char", "Device": "1:3"}, "/null") == "/null (1:3)"


def test_lines() -> None:
    entry: dict[str, Any] = {
        "Path": "/etc/x", "Type": "file", "Mode": "0640", "Uid": 1, "Gid": 20, "Size": 1234,
        "Change": "added",
    }  # fmt: skip
    assert entry_line(entry) == "A -rw-r-----      1:20   1.23kB  /etc/x\n"
    entry |= {"Type": "directory", "Change": ""}
    assert entry_line(entry).startswith("  drw-r-----") and "kB" not in entry_line(entry)


def test_numbers() -> None:
    assert [percent(part) for part in (1, 0.99999, 0.5, 0)] == ["100%", "99.9%", "50.0%", "0.0%"]
    assert [count(1, "file"), count(2, "file"), count(0, "directory", "directories")] == [
        "1 file",
        "2 files",
        "0 directories",
    ]
