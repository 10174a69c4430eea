from __future__ import annotations

from typing import Any

import pytest

from support.fake_cli import run

ANSWERS = {"POST /commit": {"Id": "sha256:1"}}


@pytest.mark.parametrize(
    ("line", "query"),
    [
        ("commit c", {"changes": []}),
        ("commit c i", {"changes": [], "repo": "i", "tag": "latest"}),
        (
            "commit --no-pause c r:5/i:t",
            {"changes": [], "pause": False, "repo": "r:5/i", "tag": "t"},
        ),
        ("commit -p=false c", {"changes": [], "pause": False}),
        (
            "commit -a me -m why -c X -c Y c",
            {"author": "me", "comment": "why", "changes": ["X", "Y"]},
        ),
    ],
)
def test_commit(line: str, query: dict[str, Any]) -> None:
    result = run(line, ANSWERS)
    assert result.out == "sha256:1\n"
    assert result.request.query == {"container": "c", **query}


def test_names_that_are_none() -> None:
    assert run("commit c a:b:c").err == "invalid reference format\n"
    assert "must be lowercase" in run("commit c A").err
    assert run("commit c", {"POST /commit": (404, "gone")}).code == 1
