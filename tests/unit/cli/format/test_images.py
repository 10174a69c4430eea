from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.format.images import HEADERS, ImageRow, image_format, image_rows, is_dangling
from pierhead.cli.format.listing import render

DIGEST = "sha256:" + "a" * 64


def rows(summary: dict[str, Any], *, digest: bool = False, source: str = "") -> list[str]:
    made = image_rows([summary], trunc=True, digest=digest, source=source)
    return render("{{.Repository}} {{.Tag}} {{.Digest}}", made, HEADERS).splitlines()


def test_a_row_for_each_tag() -> None:
    summary = {"RepoTags": ["a:1", "b:2", "a:3"], "RepoDigests": [f"a@{DIGEST}"]}
    assert rows(summary) == ["a 1 <none>", "a 3 <none>", "b 2 <none>"]
    assert rows(summary, digest=True) == [f"a 1 {DIGEST}", f"a 3 {DIGEST}", "b 2 <none>"]
    assert rows(summary, source="x{{.Digest}}")[0] == f"a 1 {DIGEST}"


def test_digests_without_a_tag() -> None:
    assert rows({"RepoTags": [], "RepoDigests": [f"a@{DIGEST}"]}) == ["a <none> "]
    assert rows({"RepoDigests": [f"a@{DIGEST}"]}, digest=True) == [f"a <none> {DIGEST}"]


def test_dangling() -> None:
    assert rows({"RepoTags": None, "RepoDigests": []}) == ["<none> <none> <none>"]
    assert is_dangling({"RepoTags": ["<none>:<none>"], "RepoDigests": ["<none>@<none>"]})
    assert not is_dangling({"RepoTags": ["a:1"]})


@pytest.mark.parametrize(
    ("source", "out"),
    [
        ("{{.ID}}", "cca326174f74"),
        ("{{.Size}} {{.VirtualSize}} {{.SharedSize}} {{.UniqueSize}}", "1.98MB 1.982MB N/A N/A"),
        ("{{.Containers}}", "N/A"),
    ],
)
def test_fields(source: str, out: str) -> None:
    summary = {"Id": "sha256:cca326174f7454", "Size": 1982263, "SharedSize": -1, "Containers": -1}
    row = ImageRow(summary, "a", "b", "c", trunc=True)
    assert render(source, [row], HEADERS) == out + "\n"


def test_formats() -> None:
    assert image_format("table", quiet=True, digest=False) == "{{.ID}}"
    assert "{{.Digest}}" in image_format("table", quiet=False, digest=True)
    assert image_format("raw", quiet=True, digest=False) == "image_id: {{.ID}}"
    assert "digest: " in image_format("raw", quiet=False, digest=True)
    assert image_format("table {{.ID}}", quiet=False, digest=True) == "table {{.ID}}\t{{.Digest}}"
    assert image_format("{{.ID}}", quiet=True, digest=True) == "{{.ID}}"
