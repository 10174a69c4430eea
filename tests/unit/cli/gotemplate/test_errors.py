"""The exception carries what had been written."""

from __future__ import annotations

import pytest

from pierhead.cli.gotemplate import parse
from pierhead.cli.gotemplate.errors import FunctionError, TemplateError


def test_partial_output() -> None:
    with pytest.raises(TemplateError) as caught:
        parse("so far {{.A.B}}").execute({"A": "x"})
    assert caught.value.partial == "so far "


def test_function_errors_do_not_escape() -> None:
    with pytest.raises(TemplateError) as caught:
        parse("{{index . 5}}").execute("x")
    assert isinstance(caught.value.__cause__, FunctionError)
