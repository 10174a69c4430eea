from __future__ import annotations

import pytest

from pierhead.cli.format import prompt
from support.fake_cli import run


def test_reports_and_filters() -> None:
    answers = {"POST /volumes/prune": {"VolumesDeleted": ["a", "b"], "SpaceReclaimed": 1500}}
    config = {"pruneFilters": ["label=keep"]}
    result = run("volume prune -f --filter label=x", answers, config=config)
    assert result.out == "Deleted Volumes:\na\nb\n\nTotal reclaimed space: 1.5kB\n"
    assert result.request.query == {"filters": {"label": ["x", "keep"]}}


def test_images_are_untagged_or_deleted() -> None:
    answers = {
        "POST /images/prune": {
            "ImagesDeleted": [{"Untagged": "a:1"}, {"Deleted": "sha256:b"}],
            "SpaceReclaimed": 5,
        }
    }
    result = run("image prune -f -a", answers)
    assert result.out == (
        "Deleted Images:\nuntagged: a:1\ndeleted: sha256:b\n\nTotal reclaimed space: 5B\n"
    )
    assert result.request.query == {"filters": {"dangling": ["false"]}}


def test_a_no_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "read_line", lambda: "n")
    result = run("network prune", {})
    assert result.code == 0
    assert not result.requests
    assert result.out == (
        "WARNING! This will remove all custom networks not used by at least one container.\n"
        "Are you sure you want to continue? [y/N] "
    )
