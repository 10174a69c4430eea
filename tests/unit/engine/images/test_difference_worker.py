from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pytest

from pierhead.engine.images.difference_worker import difference
from support.layers import directory, item, layer_tar, memory_file, packed, plain

BASE = (directory("etc"), item("etc/same", data="same"), item("etc/x", data="old!"))
Layer = Sequence[tuple[Any, ...]]


def report(
    a: Sequence[Layer], b: Sequence[Layer], form: Any = plain, **options: Any
) -> dict[str, Any]:
    tars = [layer_tar(*members) for members in (*a, *b)]
    known = list(dict.fromkeys(tars))
    fd = memory_file(b"")
    arguments: dict[str, Any] = {
        "layers": [list(form(data)) for data in known],
        "a": [known.index(data) for data in tars[: len(a)]],
        "b": [known.index(data) for data in tars[len(a) :]],
        "head": {"Head": 1},
        "path": "",
        "times": False,
        "content": True,
        "files": True,
        "with_packages": True,
    }
    difference(**arguments | options, out_fd=fd)
    parsed: dict[str, Any] = json.loads(os.pread(fd, 1 << 20, 0))
    return parsed


def changes(*args: Any, **options: Any) -> list[tuple[str, str, list[str]]]:
    entries = report(*args, **options)["Files"]["Entries"]
    return [(entry["Path"], entry["Change"], entry.get("What", [])) for entry in entries]


def test_equal() -> None:
    found = report([BASE], [BASE])
    assert found["Head"] == 1
    assert found["Files"]["Entries"] == []
    assert found["Packages"] == {}


@pytest.mark.parametrize("form", [plain, packed])
def test_the_same_files_in_other_layers(form: Any) -> None:
    assert changes([BASE], [BASE[:2], BASE[2:]], form) == []
    assert changes([BASE], [[item("etc/x", data="tmp!")], BASE], form) == []


@pytest.mark.parametrize("form", [plain, packed])
def test_equal_size_other_content(form: Any) -> None:
    other = [*BASE[:2], item("etc/x", data="new!")]
    assert changes([BASE], [other], form) == [("/etc/x", "changed", ["content"])]
    assert changes([BASE], [other], form, content=False) == []
    later = [*BASE[:2], item("etc/x", data="new!", mtime=1)]
    assert changes([BASE], [later], form, content=False) == [("/etc/x", "changed", ["content"])]


def test_every_kind() -> None:
    a = [
        directory("d"), item("d/one", data="1"), item("mode"), item("owner"), item("size"),
        item("kind"), item("link", "symlink", link="a"), item("gone"), item("time"),
        item("null", "char", device=(1, 3)), directory("dir"),
    ]  # fmt: skip
    b = [
        directory("d", mode=0o700), item("d/one", data="1"), item("mode", mode=0o600),
        item("owner", owner=(1, 1)), item("size", data="12"), directory("kind"),
        item("kind/inside"), item("link", "symlink", link="b"), item("time", mtime=5),
        item("null", "char", device=(1, 5)), item("new/x", data="33"), item("dir"),
    ]  # fmt: skip
    assert changes([a], [b]) == [
        ("/d", "changed", ["mode"]),
        ("/dir", "changed", ["type"]),
        ("/gone", "removed", []),
        ("/kind", "changed", ["type"]),
        ("/kind/inside", "added", []),
        ("/link", "changed", ["link"]),
        ("/mode", "changed", ["mode"]),
        ("/new", "added", []),
        ("/new/x", "added", []),
        ("/null", "changed", ["device"]),
        ("/owner", "changed", ["owner"]),
        ("/size", "changed", ["size"]),
    ]
    assert ("/time", "changed", ["time"]) in changes([a], [b], times=True)


def test_the_sums_and_sides() -> None:
    found = report([BASE], [[*BASE[:2], item("etc/x", data="longer"), item("y", data="12")]])
    files = found["Files"]
    entries = files.pop("Entries")
    assert files == {
        "Added": 1, "AddedSize": 2, "Removed": 0, "RemovedSize": 0,
        "Changed": 1, "ChangedSizeA": 4, "ChangedSizeB": 6,
    }  # fmt: skip
    assert entries[0]["A"]["Size"] == 4 and entries[0]["B"]["Size"] == 6
    assert entries[1]["Size"] == 2 and entries[1]["Type"] == "file"


def test_below_a_path_only() -> None:
    b = [*BASE, item("etc/y"), item("z")]
    assert changes([BASE], [b], path="/etc") == [("/etc/y", "added", [])]
    assert changes([BASE], [b], path="/none") == []


def test_packages_of_what_is_seen() -> None:
    def status(version: str) -> Layer:
        text = f"Package: a\nStatus: install ok installed\nVersion: {version}\n"
        return [item("var/lib/dpkg/status", data=text)]

    found = report([status("1")], [status("0"), status("2")])
    assert found["Packages"] == {
        "dpkg": {
            "Added": [], "Removed": [], "Changed": [{"Name": "a", "A": ["1"], "B": ["2"]}],
        }
    }  # fmt: skip
    assert "Packages" not in report([BASE], [BASE], with_packages=False)
    assert "Files" not in report([BASE], [BASE], files=False)


def test_python_packages_by_their_folders() -> None:
    a = [directory("usr/lib/python3/dist-packages/foo-1.dist-info")]
    b = [item("usr/lib/python3/dist-packages/foo-2.dist-info/METADATA")]
    changed = report([a], [b])["Packages"]["pip"]["Changed"]
    assert changed == [{"Name": "foo", "A": ["1"], "B": ["2"]}]
