"""The daemon's log lines."""

from __future__ import annotations

import json
import logging

from pierhead.daemon.logs import JsonFormatter, TextFormatter


def record(**extra: object) -> logging.LogRecord:
    made = logging.LogRecord("pierhead.x", logging.WARNING, "f", 1, "a %s", ("b",), None)
    vars(made).update(extra)
    return made


def test_json() -> None:
    line = json.loads(JsonFormatter().format(record(container="abc", path=object)))
    assert (line["level"], line["msg"], line["container"]) == ("warning", "a b", "abc")
    assert line["time"].endswith("Z") and line["logger"] == "pierhead.x"


def test_text() -> None:
    line = TextFormatter().format(record(container="abc", note='say "x"'))
    assert 'level=warning msg="a b" container=abc note="say \\"x\\""' in line


def test_tracebacks() -> None:
    made = record()
    try:
        raise ValueError("ouch")
    except ValueError as error:
        made.exc_info = (ValueError, error, error.__traceback__)
    assert "ValueError: ouch" in json.loads(JsonFormatter().format(made))["traceback"]
    assert "\nTraceback" in TextFormatter().format(made)
