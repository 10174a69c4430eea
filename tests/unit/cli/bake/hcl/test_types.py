from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.bake.hcl.nodes import HclError
from pierhead.cli.bake.hcl.parser import parse
from pierhead.cli.bake.hcl.types import constraint


def of(text: str) -> Any:
    return constraint(parse("f", f"a = {text}").attributes["a"].expression)


def test_types() -> None:
    assert of("string") == "string" and of("any") == "any"
    assert of("list(map(number))") == ("list", ("map", "number"))
    assert of("tuple([string, bool])") == ("tuple", ["string", "bool"])
    assert of("object({a = string, b = set(bool)})") == (
        "object",
        {"a": "string", "b": ("set", "bool")},
    )


@pytest.mark.parametrize("text", ["list", "foo", "list(foo)", "1", "tuple(string)", "map()"])
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(HclError, match="Invalid type specification"):
        of(text)
