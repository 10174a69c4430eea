from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pierhead.client.json_fast import dumps, loads, loads_at

SRC = Path(__file__).parents[3] / "src"

VALUES = [None, True, 1, -2.5, 'ü\n"\\', [], {}, {"a": [1, {"b": None}], "ü": ["x"] * 3}]


@pytest.mark.parametrize("value", VALUES)
def test_agrees_with_the_package(value: Any) -> None:
    assert dumps(value) == json.dumps(value, separators=(",", ":"))
    assert loads(f" {json.dumps(value, indent=2)}\n") == value


@pytest.mark.parametrize("text", ["", "{", '{"a":', "[1,", "nul", '"abc', "x"])
def test_broken(text: str) -> None:
    with pytest.raises(ValueError):
        loads(text)


def test_one_value_after_the_other() -> None:
    text = '{"a":1} {"b":2}'
    value, end = loads_at(text, 0)
    assert (value, loads_at(text, end)) == ({"a": 1}, ({"b": 2}, len(text)))


def test_broken_text_is_a_value_error_without_the_package_too() -> None:
    """The C scanner can't raise the package's exception when the package isn't loaded."""
    code = (
        f"import sys; sys.path.insert(0, {str(SRC)!r})\n"
        "from pierhead.client.json_fast import loads\n"
        "try: loads('{')\n"
        "except ValueError as error: print(error)\n"
        "print('json' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-IS", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "unexpected end of JSON input\nFalse\n"
