from __future__ import annotations

import pytest

from pierhead.cli.format import prompt
from support.fake_cli import run


@pytest.mark.parametrize(
    ("line", "asked"),
    [
        ("image prune", "all dangling images."),
        ("image prune -a", "all images without at least one container associated to them."),
    ],
)
def test_question(line: str, asked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "read_line", lambda: "y")
    result = run(line, {"POST /images/prune": {"ImagesDeleted": None, "SpaceReclaimed": 0}})
    assert result.out == (
        f"WARNING! This will remove {asked}\nAre you sure you want to continue? [y/N] "
        "Total reclaimed space: 0B\n"
    )


def test_filters() -> None:
    result = run("image prune -f --filter until=1h", {"POST /images/prune": {}})
    assert result.request.query == {"filters": {"until": ["1h"], "dangling": ["true"]}}
