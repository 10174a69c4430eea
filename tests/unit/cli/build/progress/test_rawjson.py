from __future__ import annotations

import base64
import json
from typing import Any

from pierhead.cli.build.progress.rawjson import RawJson, timestamp
from support.build_events import at, done, log, moved, started, warning

STAMP = "2023-11-14T22:13:20"


def fed(raw: RawJson, *events: dict[str, Any]) -> Any:
    data = raw.feed(events)
    return json.loads(data) if data else None


def test_vertexes_name_all_of_themselves_each_time() -> None:
    raw = RawJson()
    assert fed(raw, started("a", "RUN x", inputs=["i"])) == {
        "vertexes": [{"digest": "a", "inputs": ["i"], "name": "RUN x", "started": STAMP + "Z"}]
    }
    [vertex] = fed(raw, done("a", 1.5, error="no"))["vertexes"]
    assert vertex["name"] == "RUN x" and vertex["error"] == "no"
    assert vertex["completed"] == "2023-11-14T22:13:21.5Z"


def test_logs_and_transfers() -> None:
    raw = RawJson()
    status = fed(raw, started("a", "x"), log("a", "\udcff\n"), moved("a", "t", 1, 2, finished=True))
    assert base64.b64decode(status["logs"][0]["data"]) == b"\xff\n"
    [transfer] = status["statuses"]
    assert (transfer["id"], transfer["current"], transfer["total"]) == ("t", 1, 2)
    assert transfer["completed"] == STAMP + ".5Z"
    assert fed(raw, moved("a", "", 0)) is None


def test_findings() -> None:
    raw = RawJson()
    fed(raw, started("d", "[internal] load build definition from Dockerfile"))
    [found] = fed(raw, warning("R", "t", url="https://x", description="more"))["warnings"]
    assert found["vertex"] == "d" and found["url"] == "https://x"
    assert base64.b64decode(found["short"]) == b"R: t (line 1)"
    assert base64.b64decode(found["detail"][0]) == b"more"
    assert found["range"] == [{"start": {"line": 1}, "end": {"line": 1}}]
    assert found["sourceInfo"]["filename"] == "Dockerfile"


def test_times() -> None:
    assert timestamp(at(0)) == STAMP + "Z"
    assert timestamp(at(0) + 1) == STAMP + ".000000001Z"
