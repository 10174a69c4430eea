"""Where a build failed, for clients that draw the lines."""

from __future__ import annotations

import base64
import json

from pierhead.build.buildkit.faults import SOURCE_URL, details_of
from pierhead.build.dockerfile.model import Range, SourceText


def test_lines_of_the_dockerfile() -> None:
    source = SourceText("Dockerfile", b"FROM x\nRUN false\n")
    ((url, value),) = details_of(Range(2, 2), source)
    assert url == SOURCE_URL
    told = json.loads(value)
    assert told["info"]["filename"] == "Dockerfile"
    assert base64.b64decode(told["info"]["data"]) == b"FROM x\nRUN false\n"
    assert told["ranges"] == [{"start": {"line": 2}, "end": {"line": 2}}]


def test_nothing_known() -> None:
    assert details_of(None, None) == []
    assert details_of(Range(1, 1), None) == []
