from __future__ import annotations

import pytest

from pierhead.cli.format import prompt
from pierhead.cli.system.prune import question
from support.fake_cli import run

ANSWERS = {
    "POST /containers/prune": {"ContainersDeleted": ["c"], "SpaceReclaimed": 10},
    "POST /networks/prune": {"NetworksDeleted": ["n"]},
    "POST /volumes/prune": {"VolumesDeleted": ["v"], "SpaceReclaimed": 5},
    "POST /images/prune": {"ImagesDeleted": None, "SpaceReclaimed": 0},
    "POST /build/prune": {"CachesDeleted": ["b"], "SpaceReclaimed": 1},
}


def test_everything_in_order() -> None:
    result = run("system prune -f --volumes --filter label=x", ANSWERS)
    assert result.out == (
        "Deleted Containers:\nc\n\nDeleted Networks:\nn\n\nDeleted Volumes:\nv\n\n"
        "Total reclaimed space: 15B\n"
    )
    assert [request.path for request in result.requests] == [
        "/containers/prune",
        "/networks/prune",
        "/volumes/prune",
        "/images/prune",
    ]
    assert result.requests[0].query == {"filters": {"label": ["x"]}}
    assert result.requests[3].query == {"filters": {"label": ["x"], "dangling": ["true"]}}
    assert len(run("system prune -f", ANSWERS).requests) == 4


def test_the_build_cache() -> None:
    result = run("system prune -f -a --filter until=1h", ANSWERS)
    assert result.out.endswith("Deleted build cache objects:\nb\n\nTotal reclaimed space: 11B\n")
    assert result.requests[-1].query == {"all": True, "filters": {"until": ["1h"]}}
    old = run("system prune -f", ANSWERS, version="1.30")
    assert old.requests[-1].path == "/images/prune"


def test_question() -> None:
    assert question({}, everything=False, volumes=False) == (
        "WARNING! This will remove:\n  - all stopped containers\n"
        "  - all networks not used by at least one container\n  - all dangling images\n"
        "  - unused build cache\n\nAre you sure you want to continue?"
    )
    assert question({"until": ["1h"], "label": ["x"]}, everything=True, volumes=True).endswith(
        "  - all build cache\n\n  Items to be pruned will be filtered with:\n"
        "  - label=x\n  - until=1h\n\nAre you sure you want to continue?"
    )


def test_no_and_conflicts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prompt, "read_line", lambda: "")
    assert run("system prune", ANSWERS).requests == []
    result = run("system prune --volumes --filter until=1h", ANSWERS)
    assert result.err == 'ERROR: The "until" filter is not supported with "--volumes"\n'
