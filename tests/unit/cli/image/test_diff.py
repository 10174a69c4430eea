from __future__ import annotations

from typing import Any

import pytest

from support.fake_cli import run

PATH = "GET /pierhead/images/diff"
SIDE = {"Id": "1", "RepoTags": [], "Platform": "p", "Created": "", "Size": 1, "Layers": 1}
SAME: dict[str, Any] = {
    "A": SIDE, "B": SIDE | {"Id": "2"}, "Config": [], "Packages": {},
    "Layers": {"Shared": 1, "SharedSize": 1, "A": [], "B": []}, "Files": {"Entries": []},
}  # fmt: skip
OTHER = SAME | {"Config": [{"Field": "User", "A": None, "B": "x"}]}


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ("", {}),
        ("--only config,layers", {"files": False, "packages": False}),
        ("--only files --path /etc --times", {"packages": False, "path": "/etc", "times": True}),
        ("--fast --platform arm64", {"content": False, "platform": "arm64"}),
    ],
)
def test_requests(words: str, query: dict[str, Any]) -> None:
    result = run(f"image diff {words} a:1 b:2", {PATH: SAME})
    assert (result.code, result.request.query) == (0, {"a": "a:1", "b": "b:2", **query})


def test_the_exit_code() -> None:
    assert run("image diff a b", {PATH: OTHER}).code == 0
    for words in ("", "--format json "):
        assert run(f"image diff {words}--exit-code a b", {PATH: SAME}).code == 0
        assert run(f"image diff {words}--exit-code a b", {PATH: OTHER}).code == 1


def test_an_unknown_section() -> None:
    assert run("image diff --only colours a b", {}).code == 125
