"""The front door."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pierhead.cli import gotemplate
from pierhead.cli.gotemplate import Function, Template, TemplateError, parse

SRC = Path(__file__).parents[4] / "src"


def test_parse_once_execute_often() -> None:
    template = parse("{{.}}!", name="x")
    assert isinstance(template, Template)
    assert [template.execute(data) for data in (1, "a")] == ["1!", "a!"]


def test_own_functions_and_name() -> None:
    template = parse(
        "{{twice .}}{{upper .}}",
        name="mine",
        functions={"twice": Function(lambda text: text * 2, ("string",))},
    )
    assert template.execute("a") == "aaA"
    with pytest.raises(TemplateError, match=r'^template: mine:1:8: executing "mine" at <.>: wrong'):
        template.execute(1)


def test_names_are_loaded_on_use() -> None:
    with pytest.raises(AttributeError):
        _ = gotemplate.nonsense  # type: ignore[attr-defined]
    script = (
        f"import sys; sys.path.insert(0, {str(SRC)!r}); import pierhead.cli.gotemplate.quoting; "
        "print([name for name in sys.modules if name.startswith('pierhead.cli.gotemplate.')])"
    )
    done = subprocess.run([sys.executable, "-IS", "-c", script], capture_output=True, text=True)
    assert done.stdout == "['pierhead.cli.gotemplate.quoting']\n"
