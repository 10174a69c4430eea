from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.buildx.cache import fits, summary
from pierhead.cli.errors import CliError
from pierhead.cli.format import prompt
from support.fake_cli import run


def record(identifier: str, size: int, **fields: Any) -> dict[str, Any]:
    return {
        "ID": identifier,
        "Type": "regular",
        "Description": "RUN x",
        "InUse": False,
        "Shared": False,
        "Size": size,
        "CreatedAt": "2024-01-01T00:00:00Z",
        "LastUsedAt": "2024-01-01T00:00:00Z",
        "UsageCount": 2,
        **fields,
    }


RECORDS = [
    record("a", 1000),
    record("b", 2000, InUse=True, Shared=True),
    record("c", 500, Type="exec.cachemount", LastUsedAt=None, Parents=["a"]),
]
ANSWERS = {"GET /system/df": {"BuildCache": RECORDS}}
REPORT = {"POST /build/prune": {"CachesDeleted": ["a"], "SpaceReclaimed": 1000}}


def test_du() -> None:
    lines = run("buildx du", ANSWERS).out.splitlines()
    assert lines[0].split() == ["ID", "RECLAIMABLE", "SIZE", "LAST", "ACCESSED"]
    assert lines[1].split()[:3] == ["a", "true", "1kB"]
    assert lines[2].split()[:3] == ["b", "false", "2kB*"]
    assert lines[3].split() == ["c*", "true", "500B"]
    assert lines[-1] == "Total:\t\t3.5kB"
    assert "Total" not in run("buildx du --filter id=a", ANSWERS).out
    assert run("buildx du --format '{{.ID}}'", ANSWERS).out == "a\nb\nc\n"
    text = run("buildx du --verbose", ANSWERS).out
    assert "ID:           c\nParents:\n - a\n" in text and "Type:         exec.cachemount" in text
    assert run("buildx du --verbose --format x", ANSWERS).code == 1


def test_sums() -> None:
    assert summary(RECORDS) == (
        "Shared:\t\t2kB\nPrivate:\t1.5kB\nReclaimable:\t1.5kB\nTotal:\t\t3.5kB\n"
    )


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, "abc"),
        ({"id": ["a"]}, "a"),
        ({"inuse": [""]}, "b"),
        ({"inuse": ["false"]}, "ac"),
        ({"shared": ["true"]}, "b"),
        ({"private": ["1"]}, "ac"),
        ({"type": ["exec.cachemount"]}, "c"),
        ({"mutable": [""]}, "c"),
        ({"parent": ["a"]}, "c"),
        ({"until": ["1h"]}, "abc"),
    ],
)
def test_filters(filters: dict[str, list[str]], found: str) -> None:
    assert "".join(one["ID"] for one in RECORDS if fits(one, filters)) == found


def test_unknown_filters() -> None:
    with pytest.raises(CliError, match="invalid filter foo"):
        fits(RECORDS[0], {"foo": ["1"]})


def test_prune(monkeypatch: pytest.MonkeyPatch) -> None:
    result = run("buildx prune -f -a --reserved-space 1g --max-used-space 2g", REPORT)
    assert result.out == "ID\na\nTotal:\t1kB\n"
    assert result.request.query == {
        "all": True,
        "reserved-space": 1 << 30,
        "max-used-space": 2 << 30,
    }
    monkeypatch.setattr(prompt, "read_line", lambda: "n")
    refused = run("buildx prune", REPORT)
    assert not refused.requests and "all dangling build cache" in refused.out
    assert not run("builder prune", REPORT).requests


def test_builder_prune() -> None:
    result = run("builder prune -f --filter until=1h --keep-storage 1g", REPORT)
    assert result.out == "Deleted build cache objects:\na\n\nTotal reclaimed space: 1kB\n"
    assert result.request.query == {"filters": {"until": ["1h"]}, "keep-storage": 1 << 30}
