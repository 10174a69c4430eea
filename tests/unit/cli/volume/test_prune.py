from __future__ import annotations

import pytest

from pierhead.cli.format import prompt
from support.fake_cli import run


@pytest.mark.parametrize(
    ("line", "version", "what", "query"),
    [
        ("volume prune", "1.56", "anonymous local volumes", {}),
        ("volume prune -a", "1.56", "all local volumes", {"filters": {"all": ["true"]}}),
        ("volume prune", "1.41", "all local volumes", {}),
    ],
)
def test_question(
    line: str, version: str, what: str, query: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prompt, "read_line", lambda: "y")
    result = run(line, {"POST /volumes/prune": {"VolumesDeleted": []}}, version=version)
    assert result.out.startswith(f"WARNING! This will remove {what} not used by at least one")
    assert result.out.endswith("[y/N] Total reclaimed space: 0B\n")
    assert result.request.query == query


def test_refused() -> None:
    assert "conflicting options" in run("volume prune -a --filter all=1", {}).err
    assert "requires API version 1.42" in run("volume prune -a", {}, version="1.41").err
