from __future__ import annotations

import pytest

from support.fake_cli import run

FILES = {"Tree": [{"Path": "/", "Type": "directory", "Size": 1, "Files": 1, "Layer": 0}]}
EXPLORE = "GET /pierhead/images/a%3A1/explore"


def test_files() -> None:
    result = run("image tree a:1 /etc", {EXPLORE: FILES})
    assert result.request.query == {"tree": True, "limit": 0, "path": "/etc", "depth": 2}
    assert result.out.endswith("      1B        1      0  /\n")
    result = run("image tree -L -1 --platform arm64 a:1", {EXPLORE: FILES})
    assert result.request.query == {"tree": True, "limit": 0, "platform": "arm64"}


def test_images() -> None:
    result = run("image tree", {"GET /pierhead/images/tree": []})
    assert (result.code, result.out) == (0, "    SIZE     TOTAL  LAYERS  IMAGES\n")


@pytest.mark.parametrize("words", ["-L 1", "-d", "--sort size", "--min-size 1m"])
def test_flags_that_need_an_image(words: str) -> None:
    result = run(f"image tree {words}", {})
    assert (result.code, "needs an image" in result.err) == (1, True)


def test_an_order_that_is_none() -> None:
    assert run("image tree --sort time a:1", {}).code == 125
