from __future__ import annotations

from support.fake_cli import run


def test_show() -> None:
    assert run("context show").out == "default\n"
