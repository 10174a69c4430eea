"""The layout was compared with docker 28's, on terminals of many widths."""

from __future__ import annotations

from typing import Any

from pierhead.cli.format.platform_tree import tree_text

HEAD = (
    "WARNING: This is an experimental feature. "
    "The output may change and shouldn't be depended on.\n"
)


def manifest(platform: str, **fields: Any) -> dict[str, Any]:
    names = ("os", "architecture", "variant")
    return {
        "ID": "sha256:" + "cd" * 32,
        "Available": True,
        "Kind": "image",
        "Size": {"Content": 2_000_000, "Total": 5_000_000},
        "ImageData": {
            "Platform": dict(zip(names, platform.split("/"), strict=False)),
            "Containers": fields.pop("containers", []),
        },
    } | fields


def image(*names: str, created: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "Id": "sha256:" + "ab" * 32, "RepoTags": list(names), "RepoDigests": ["x@y"],
        "Created": created, "Size": 7_000_000, "Containers": 0,
    } | fields  # fmt: skip


def draw(*images: dict[str, Any], width: int = 0, terminal: bool = False) -> list[str]:
    text = tree_text(images, width, everything=False, terminal=terminal)
    assert terminal or text.startswith(HEAD)
    return text.replace("\x1b[39m\x1b[1m", "").replace("\x1b[0m", "").split("\n")[1:]


def test_flat() -> None:
    lines = draw(image("old:1"), image("new:1", "newer-name:2", created=2))
    assert lines == [
        " " * 61 + " Info ->  U In Use ",
        "",
        "IMAGE          ID             DISK USAGE   CONTENT SIZE   EXTRA",
        "newer-name:2",
        "new:1          abababababab          7MB             0B        ",
        "old:1          abababababab          7MB             0B        ",
        "",
    ]


def test_platforms() -> None:
    multi = image(
        "a:1",
        Manifests=[
            manifest("linux/amd64", containers=["x"]),
            manifest("linux/arm/v7", Available=False),
            {"Kind": "attestation", "Size": {"Content": 500_000}},
        ],
    )
    assert draw(multi)[3:] == [
        "a:1                   abababababab          7MB          4.5MB   U    ",
        "├─ linux/amd64        cdcdcdcdcdcd          5MB            2MB   U    ",
        "└─ linux/arm/v7       cdcdcdcdcdcd          5MB            2MB        ",
        "",
        "",
    ]


def test_untagged_and_dangling() -> None:
    assert draw(image(), image("a-long-name:1"))[3].startswith("<untagged>")
    assert draw(image())[3].startswith("<unt…")  # docker makes no room for it
    gone = image(RepoDigests=[])
    assert draw(gone)[3:] == [""]
    text = tree_text([gone], 0, everything=True, terminal=False)
    assert "<unt…" in text


def test_narrow() -> None:
    lines = draw(image("a:1"), width=35)
    assert lines[2] == "IMAGE   ID          "  # no room for sizes beside a name
    line = draw(image("x" * 40 + ":1"), width=30)[3]
    assert line.startswith("x" * 14 + "…")


def test_colours() -> None:
    lines = draw(image("a:1"), width=80, terminal=True)
    assert "\x1b[34m\x1b[1ma:1" in lines[3]
