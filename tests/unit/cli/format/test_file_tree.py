from __future__ import annotations

from typing import Any

from pierhead.cli.format.file_tree import file_tree_text, image_tree_text


def entry(path: str, size: int, files: int | None = None, layer: int = 0) -> dict[str, Any]:
    kind = {"Type": "directory", "Files": files} if files is not None else {"Type": "file"}
    return {"Path": path, "Size": size, "Layer": layer, **kind}


FILES = [
    entry("/", 1110, 3, -1),
    entry("/a", 110, 2),
    entry("/a/x", 10),
    entry("/a/y", 100, layer=1),
    entry("/b", 1000),
]
HEAD = "    SIZE    FILES  LAYER  PATH\n"


def test_files() -> None:
    assert file_tree_text(FILES) == HEAD + (
        "  1.11kB        3         /\n"
        "    110B        2      0  ├── a/\n"
        "     10B               0  │   ├── x\n"
        "    100B               1  │   └── y\n"
        "     1kB               0  └── b\n"
    )


def paths(**options: Any) -> list[str]:
    return [line[26:] for line in file_tree_text(FILES, **options).splitlines()[1:]]


def test_order_and_choice() -> None:
    assert paths(by_size=True) == ["/", "├── b", "└── a/", "    ├── y", "    └── x"]
    assert paths(directories=True) == ["/", "└── a/"]
    assert paths(least=100) == ["/", "├── a/", "│   └── y", "└── b"]


def test_a_part() -> None:
    part = [entry("/a/b", 5, 1), entry("/a/b/c", 5)]
    assert file_tree_text(part).splitlines()[1:] == [
        "      5B        1      0  /a/b/",
        "      5B               0  └── c",
    ]


def node(chain: str, parent: str, *names: str, size: int = 1000) -> dict[str, Any]:
    images = [{"Id": "sha256:" + "ab" * 32, "RepoTags": [name] if name else []} for name in names]
    return {
        "ChainId": chain, "Parent": parent, "Layers": 1, "Size": size, "TotalSize": 2 * size,
        "CreatedBy": "RUN  x", "Images": images,
    }  # fmt: skip


def test_images() -> None:
    nodes = [
        node("", "", "empty:1", size=0),
        node("1", ""),
        node("2", "1", "b:1", ""),
        node("3", "2", "c:1"),
        node("4", "1", "d:1"),
    ]
    short = "(abababababab)"
    assert image_tree_text(nodes) == (
        "    SIZE     TOTAL  LAYERS  IMAGES\n"
        f"      0B        0B       1  empty:1 {short}\n"
        "     1kB       2kB       1  [shared] RUN x\n"
        f"     1kB       2kB       1  ├── b:1 {short}; <none> {short}\n"
        f"     1kB       2kB       1  │   └── c:1 {short}\n"
        f"     1kB       2kB       1  └── d:1 {short}\n"
    )
    assert "sha256:abab" in image_tree_text(nodes, trunc=False)
    assert image_tree_text([]) == "    SIZE     TOTAL  LAYERS  IMAGES\n"
