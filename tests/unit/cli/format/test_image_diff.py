from __future__ import annotations

from typing import Any

from pierhead.cli.format.image_diff import diff_text, differs


def side(letter: str) -> dict[str, Any]:
    return {
        "Id": "sha256:" + letter * 64, "RepoTags": [f"{letter}:1"], "RepoDigests": [],
        "Platform": "linux/amd64", "Created": "", "Size": 1000, "Layers": 1,
    }  # fmt: skip


def file(path: str, change: str, kind: str = "file", size: int = 0) -> dict[str, Any]:
    return {"Path": path, "Change": change, "Type": kind, "Mode": "0644", "Uid": 0, "Gid": 0,
            "Size": size}  # fmt: skip


BOTH = {"Type": "file", "Mode": "0644", "Uid": 0, "Gid": 0, "Size": 10}
REPORT: dict[str, Any] = {
    "A": side("a"),
    "B": side("b"),
    "Config": [
        {"Field": "Cmd", "A": ["sh"], "B": None},
        {"Field": "ExposedPorts.80/tcp", "A": None, "B": True},
    ],
    "Layers": {
        "Shared": 2, "SharedSize": 5000, "A": [],
        "B": [{"Size": 7, "CreatedBy": "RUN  x", "Comment": ""}],
    },
    "Packages": {
        "dpkg": {
            "Added": [{"Name": "new", "Versions": ["1"]}],
            "Removed": [{"Name": "gone", "Versions": ["2"]}],
            "Changed": [{"Name": "up", "A": ["1"], "B": ["2"]}],
        },
        "pip": {"Added": [], "Removed": [], "Changed": []},
    },
    "Files": {
        "Added": 2, "AddedSize": 12, "Removed": 0, "RemovedSize": 0, "Changed": 2,
        "ChangedSizeA": 20, "ChangedSizeB": 15,
        "Entries": [
            file("/d", "added", "directory"),
            file("/d/x", "added", size=5),
            file("/d/y", "added", size=7),
            {"Path": "/e", "Change": "changed", "What": ["size", "mode", "owner"],
             "A": BOTH, "B": BOTH | {"Size": 5, "Mode": "0600", "Uid": 1}},
            {"Path": "/f", "Change": "changed", "What": ["content"], "A": BOTH, "B": BOTH},
            {"Path": "/g", "Change": "changed", "What": ["type"],
             "A": BOTH, "B": BOTH | {"Type": "directory"}},
            file("/h", "removed", size=3),
        ],
    },
}  # fmt: skip


def test_all() -> None:
    assert diff_text(REPORT) == (
        "A  a:1  aaaaaaaaaaaa  linux/amd64  1kB in 1 layer\n"
        "B  b:1  bbbbbbbbbbbb  linux/amd64  1kB in 1 layer\n"
        "\n"
        "Configuration: 2 differences\n"
        "  Cmd\n"
        '    A  ["sh"]\n'
        "    B  (not set)\n"
        "  ExposedPorts.80/tcp\n"
        "    A  (not set)\n"
        "    B  set\n"
        "\n"
        "Layers: 2 shared (5kB), 0 in A only, 1 in B only\n"
        "  B        7B  RUN x\n"
        "\n"
        "Packages (dpkg): 1 added, 1 removed, 1 changed\n"
        "  D gone  2\n"
        "  A new   1\n"
        "  C up    1 -> 2\n"
        "\n"
        "Packages (pip): the same\n"
        "\n"
        "Files: 2 added (12B), 0 removed (0B), 2 changed (-5B)\n"
        "  A /d/  (2 files, 12B)\n"
        "  C /e  (10B -> 5B, -rw-r--r-- -> -rw-------, 0:0 -> 1:0)\n"
        "  C /f  (content)\n"
        "  C /g/  (file -> directory)\n"
        "  D /h  (3B)\n"
    )


def test_parts() -> None:
    text = diff_text(REPORT, ["files"], every=True)
    assert "Configuration" not in text and "Packages" not in text
    assert "  A /d/x  (5B)\n  A /d/y  (7B)\n" in text


def test_nothing_differs() -> None:
    same = REPORT | {"B": REPORT["A"]}
    assert diff_text(same).endswith("\nThe same image\n")
    nothing = REPORT | {"Config": [], "Packages": {}, "Files": {"Entries": []}}
    assert "Configuration: the same\n" in diff_text(nothing)
    assert "Files: the same\n" in diff_text(nothing)
    assert not differs(nothing)
    assert differs(REPORT)
    assert differs(nothing | {"Packages": REPORT["Packages"]})
