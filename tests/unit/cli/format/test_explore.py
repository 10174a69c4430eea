from __future__ import annotations

from typing import Any

from pierhead.cli.format.explore import explore_text, layer_range, title

LAYER: dict[str, Any] = {
    "Index": 0, "Size": 1_000_000, "Files": 3, "Added": 3, "Changed": 0, "Removed": 0,
    "WastedSize": 1000, "CreatedBy": "/bin/sh -c #(nop)  CMD [\"sh\"]", "Comment": "",
}  # fmt: skip
REPORT: dict[str, Any] = {
    "Id": "sha256:" + "ab" * 32, "RepoTags": ["x:1", "x:2"], "RepoDigests": [],
    "Platform": "linux/amd64", "Created": "0001-01-01T00:00:00Z", "Size": 1_000_000,
    "VisibleSize": 999_000, "WastedSize": 1000, "Efficiency": 0.999, "Files": 2,
    "Directories": 1, "Layers": [LAYER], "WastedPaths": 2,
    "Wasted": [
        {"Path": "/a\n", "Reason": "metadata", "Size": 900, "Files": 1, "Layers": [0, 1, 2],
         "HiddenBy": [5]},
    ],
    "Largest": [{"Path": "/big", "Size": 900_000, "Layer": 0}],
}  # fmt: skip


def test_all() -> None:
    assert explore_text(REPORT) == (
        "x:1, x:2  abababababab  linux/amd64\n\n"
        "1MB in 1 layer, of which a container sees 999kB in 2 files and 1 directory\n"
        "1kB wasted in 2 paths, efficiency 99.9%\n\n"
        "LAYER     SIZE      FILES     ADDED     CHANGED   REMOVED   WASTED    CREATED BY\n"
        '0         1MB       3         3         0         0         1kB       CMD ["sh"]\n\n'
        "WASTED    FILES     IN LAYER   BY LAYER   REASON                       PATH\n"
        "900B      1         0-2        5          only mode or owner changed   /a\\x0a\n"
        "and 1 more path\n\n"
        "LARGEST   LAYER     PATH\n"
        "900kB     0         /big\n"
    )


def test_entries_instead() -> None:
    entry = {"Path": "/a", "Type": "file", "Mode": "0644", "Uid": 0, "Gid": 0, "Size": 1,
             "Change": "removed"}  # fmt: skip
    text = explore_text(REPORT | {"Layers": [LAYER | {"Entries": [entry]}, LAYER]}, listing=True)
    assert text.endswith('\n\nLayer 0: CMD ["sh"]\nD -rw-r--r--       0:0       1B  /a\n')


def test_an_empty_image() -> None:
    empty = REPORT | {"Layers": [], "Wasted": [], "Largest": [], "WastedPaths": 0}
    assert explore_text(empty).endswith("efficiency 99.9%\n")


def test_ranges_and_titles() -> None:
    assert layer_range([0, 1, 2, 5, 7, 8]) == "0-2,5,7-8"
    assert layer_range([]) == ""
    assert title(REPORT | {"RepoTags": [], "Created": "rubbish"}) == "abababababab  linux/amd64"
    assert title(REPORT | {"Created": "2000-01-01T00:00:00Z"}).endswith("years ago")
