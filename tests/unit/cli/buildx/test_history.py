from __future__ import annotations

import json
from typing import Any

import pytest

from pierhead.cli.buildx.history import pretty, replay, trace_events
from support.fake_cli import run

SECOND = 10**9


def step(name: str, start: float, end: float, **fields: Any) -> dict[str, Any]:
    return {
        "id": name,
        "name": name,
        "started_ns": int(start * SECOND) + SECOND,
        "finished_ns": int(end * SECOND) + SECOND,
        "cached": False,
        "miss": "",
        "error": "",
        "canceled": False,
        "lines": [0, 0],
        "inputs": [],
        **fields,
    }


RECORD: dict[str, Any] = {
    "ref": "abc",
    "name": "app:1",
    "status": "error",
    "error": "no\nmore",
    "started_ns": SECOND,
    "finished_ns": 4 * SECOND,
    "dockerfile": "FROM a\nRUN b",
    "dockerfile_name": "Dockerfile",
    "context": "context",
    "build_args": {"A": "1"},
    "materials": [{"uri": "pkg:docker/a", "digest": "sha256:1"}],
    "images": [{"platform": "linux/amd64", "id": "sha256:2"}],
    "debug_id": "d1",
    "steps": [
        step("[1/2] FROM a", 0, 0, cached=True),
        step("[2/2] RUN b", 0, 3, miss="its files changed", error="no", lines=[2, 2]),
    ],
}
SHORT = {
    **{key: value for key, value in RECORD.items() if key not in ("steps", "materials")},
    "total_steps": 2,
    "completed_steps": 2,
    "cached_steps": 1,
}
ANSWERS = {
    "GET /pierhead/build/history": [SHORT],
    "GET /pierhead/build/history/abc": RECORD,
    "GET /pierhead/build/history/abc/logs": [{"step": "[2/2] RUN b", "data": "hi\n"}],
    "DELETE /pierhead/build/history/abc": {},
    "DELETE /pierhead/build/history": {},
}


def test_the_list() -> None:
    lines = run("build history ls", ANSWERS).out.splitlines()
    assert lines[0].split() == [
        "BUILD",
        "ID",
        "NAME",
        "STATUS",
        "CREATED",
        "AT",
        "DURATION",
        "CACHED",
    ]
    assert lines[1].split()[:3] == ["abc", "app:1", "Error"] and lines[1].endswith("3.0s       1/2")
    assert run("build history ls -q", ANSWERS).out == "abc\n"
    assert run("buildx history ls --filter status=running", ANSWERS).out.count("\n") == 1
    assert run("build history ls --format '{{.Ref}} {{.Status}}'", ANSWERS).out == "abc Error\n"
    found = json.loads(run("build history ls --format json", ANSWERS).out)
    assert found["ref"] == "default/default/abc" and found["cached_steps"] == 1


def test_one_build() -> None:
    text = run("build history inspect", ANSWERS).out
    assert "Name:       app:1\nRef:        abc\n" in text
    assert "Build Steps: 2/2 (50% cached)" in text
    assert "0.0s   hit      [1/2] FROM a\n" in text
    assert "3.0s   failed   [2/2] RUN b\n" in text and "not cached: its files changed" in text
    assert "   2 | >>> RUN b" in text and "pier build debug d1" in text
    assert "BUILD ARG   VALUE\nA           1\n" in text and "pkg:docker/a" in text
    assert "Ref:" not in run("build history inspect ab", ANSWERS).out
    assert json.loads(run("build history inspect --format json", ANSWERS).out) == RECORD
    assert (
        run("build history inspect --format '{{.Name}} {{.DebugId}}'", ANSWERS).out == "app:1 d1\n"
    )


def test_states_of_steps() -> None:
    running = {
        **RECORD,
        "finished_ns": 0,
        "status": "canceled",
        "error": "",
        "steps": [step("a", 0, 1, canceled=True), step("b", 0, 1, miss="new")],
    }
    text = pretty(running, named=False)
    assert "(running)" in text and "canceled" in text and "miss" in text


def test_logs(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    run("build history logs abc", ANSWERS)
    out = capfdbinary.readouterr().out
    assert b"#1 [1/2] FROM a\n#1 CACHED\n" in out
    assert b"#2 0.000 hi\n#2 ERROR: no\n" in out
    assert "unknown progress mode: x" in run("build history logs --progress x", ANSWERS).err


def test_events_of_old_builds() -> None:
    kinds = [event["type"] for event in replay(RECORD, [{"step": "[2/2] RUN b", "data": "x"}])]
    assert kinds == ["started", "done", "started", "log", "done"]


def test_removing() -> None:
    assert run("build history rm abc", ANSWERS).out == "abc\n"
    assert run("build history rm --all", ANSWERS).code == 0
    assert run("build history rm zz", ANSWERS).code == 1
    assert run("build history rm", ANSWERS).code == 1
    assert run("build history rm --all abc", ANSWERS).code == 1


def test_traces() -> None:
    record = {"steps": [step("a", 0, 2), step("b", 1, 3), step("c", 2, 4)]}
    events = trace_events(record)["traceEvents"]
    assert [(one["name"], one["tid"], one["dur"]) for one in events] == [
        ("a", 1, 2_000_000),
        ("b", 2, 2_000_000),
        ("c", 1, 2_000_000),
    ]
    assert json.loads(run("build history trace", ANSWERS).out)["displayTimeUnit"] == "ms"
