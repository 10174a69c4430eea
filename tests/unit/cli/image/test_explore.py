from __future__ import annotations

from typing import Any

import pytest

from support.fake_cli import run

PATH = "GET /pierhead/images/a/b%3A1/explore"
REPORT: dict[str, Any] = {
    "Id": "sha256:1", "RepoTags": ["a/b:1"], "Platform": "linux/amd64", "Created": "",
    "Size": 100, "VisibleSize": 80, "WastedSize": 20, "Efficiency": 0.8, "Files": 1,
    "Directories": 0, "Layers": [], "WastedPaths": 0, "Wasted": [], "Largest": [],
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("", {"limit": 20}),
        ("--files -n 5", {"limit": 5, "files": True}),
        ("-l 2 --path /etc", {"limit": 20, "files": True, "layer": 2, "path": "/etc"}),
        ("--platform arm64", {"limit": 20, "platform": "arm64"}),
    ],
)
def test_requests(words: str, query: dict[str, Any]) -> None:
    result = run(f"image explore {words} a/b:1", {PATH: REPORT})
    assert (result.code, result.request.query) == (0, query)
    assert result.out.startswith("a/b:1  1  linux/amd64\n")


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ("--min-efficiency 80%", ""),
        ("--min-efficiency 0.9", "efficiency is 80.0%, less than 90.0%\n"),
        ("--max-wasted 20", ""),
        ("--max-wasted 10", "20B are wasted, more than 10B\n"),
        (
            "--max-wasted 1 --min-efficiency 1",
            "efficiency is 80.0%, less than 100%\n20B are wasted, more than 1B\n",
        ),
    ],
)
def test_limits_for_pipelines(words: str, complaint: str) -> None:
    result = run(f"image explore {words} a/b:1", {PATH: REPORT})
    assert (result.code, result.err) == (1 if complaint else 0, complaint)
    result = run(f"image explore --format json {words} a/b:1", {PATH: REPORT})
    assert (result.code, result.err) == (1 if complaint else 0, complaint)
    assert result.out.startswith('{"Id":"sha256:1"')


def test_a_ratio_that_is_none() -> None:
    for text in ("2", "x", "101%"):
        assert run(f"image explore --min-efficiency {text} a", {}).code == 125
