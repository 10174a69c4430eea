from __future__ import annotations

import json
import os
from typing import Any

import pytest

from pierhead.engine.images.explore_worker import explore
from pierhead.errors import NotFound
from support.layers import MTIME, directory, item, layer_tar, memory_file, packed, plain

LAYERS = (
    (
        directory("etc"),
        item("etc/passwd", data="root"),
        item("big", data=b"b" * 1000),
        item("again", "hardlink", link="big"),
        item("cache/a", data=b"c" * 100),
        item("cache/b", data=b"c" * 50),
    ),
    (item(".wh.cache"), item("etc/passwd", data="root\nann\n")),
)


def report(form: Any = plain, **options: Any) -> dict[str, Any]:
    fd = memory_file(b"")
    arguments: dict[str, Any] = {
        "layers": [list(form(layer_tar(*members))) for members in LAYERS],
        "head": {"Id": "sha256:1"},
        "steps": [{"CreatedBy": "one"}, {"CreatedBy": "two"}],
        "files": False,
        "tree": False,
        "only_layer": None,
        "path": "",
        "depth": None,
        "limit": 20,
    }
    explore(**arguments | options, out_fd=fd)
    parsed: dict[str, Any] = json.loads(os.pread(fd, 1 << 20, 0))
    return parsed


@pytest.mark.parametrize("form", [plain, packed])
def test_the_sums(form: Any) -> None:
    found = report(form)
    assert {key: found[key] for key in found if key not in ("Layers", "Wasted", "Largest")} == {
        "Id": "sha256:1",
        "Size": 1163,
        "VisibleSize": 1009,
        "WastedSize": 154,
        "Efficiency": round(1009 / 1163, 6),
        "Files": 3,
        "Directories": 1,
        "WastedPaths": 2,
    }
    assert found["Layers"] == [
        {
            "Index": 0, "CreatedBy": "one", "Size": 1154, "Files": 5, "Added": 5, "Changed": 0,
            "Removed": 0, "HiddenSize": 0, "WastedSize": 154,
        },
        {
            "Index": 1, "CreatedBy": "two", "Size": 9, "Files": 1, "Added": 0, "Changed": 1,
            "Removed": 2, "HiddenSize": 154, "WastedSize": 0,
        },
    ]  # fmt: skip
    assert found["Wasted"] == [
        {"Path": "/cache", "Reason": "removed", "Size": 150, "Files": 2, "Layers": [0],
         "HiddenBy": [1]},
        {"Path": "/etc/passwd", "Reason": "replaced", "Size": 4, "Files": 1, "Layers": [0],
         "HiddenBy": [1]},
    ]  # fmt: skip
    assert [(item["Size"], item["Layer"]) for item in found["Largest"]] == [(1000, 0), (9, 1)]


def test_the_limit() -> None:
    found = report(limit=1)
    assert (len(found["Wasted"]), len(found["Largest"]), found["WastedPaths"]) == (1, 1, 2)
    found = report(limit=0)
    assert (found["Wasted"], found["Largest"]) == ([], [])


def test_files() -> None:
    found = report(files=True)
    assert [(entry["Path"], entry["Change"]) for entry in found["Layers"][1]["Entries"]] == [
        ("/cache", "removed"),
        ("/etc/passwd", "changed"),
    ]
    assert found["Layers"][0]["Entries"][1] == {
        "Path": "/etc/passwd", "Type": "file", "Mode": "0644", "Uid": 0, "Gid": 0, "Size": 4,
        "Modified": MTIME, "Change": "added",
    }  # fmt: skip
    one = report(files=True, only_layer=1, path="/etc/")
    assert "Entries" not in one["Layers"][0]
    assert [entry["Path"] for entry in one["Layers"][1]["Entries"]] == ["/etc/passwd"]


def test_the_tree() -> None:
    found = report(tree=True)
    assert [
        (entry["Path"], entry["Size"], entry.get("Files"), entry["Layer"])
        for entry in found["Tree"]
    ] == [
        ("/", 1009, 3, -1),
        ("/again", 1000, None, 0),
        ("/big", 1000, None, 0),
        ("/etc", 9, 1, 0),
        ("/etc/passwd", 9, None, 1),
    ]
    assert found["Tree"][1]["Links"] == 2
    assert [entry["Path"] for entry in report(tree=True, depth=1)["Tree"]] == [
        "/", "/again", "/big", "/etc",
    ]  # fmt: skip
    below = report(tree=True, path="etc")["Tree"]
    assert [entry["Path"] for entry in below] == ["/etc", "/etc/passwd"]


def test_no_such_path() -> None:
    with pytest.raises(NotFound, match="no such path in the image: /nowhere"):
        report(tree=True, path="/nowhere")
