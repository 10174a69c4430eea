"""Prune reports as one object or as a stream."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from support.api import fake_engine, serving


async def prune(filters: Any) -> Any:
    return ["a", "b"], 5


async def test_stream_since_156(tmp_path: Path) -> None:
    engine = fake_engine(tmp_path, volumes=SimpleNamespace(prune=prune))
    report = {"VolumesDeleted": ["a", "b"], "SpaceReclaimed": 5}
    async with serving(engine, tmp_path) as ask:
        assert (await ask("POST", "/v1.55/volumes/prune?stream=1")).json() == report
        answer = await ask("POST", "/v1.56/volumes/prune?stream=1")
        assert answer.headers["content-type"] == "application/jsonl"
        lines = [json.loads(line) for line in answer.body.splitlines()]
        assert [line.get("id") for line in lines] == ["a", "b", None]
        assert lines[-1] == {"aux": report}
