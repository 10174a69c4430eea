from __future__ import annotations

import pytest

from pierhead.cli.bake.hcl.cursor import Cursor
from pierhead.cli.bake.hcl.nodes import HclError, Source


def cursor(text: str) -> Cursor:
    return Cursor(Source("f", text))


def test_space_and_comments() -> None:
    at = cursor(" # x\n\t/* y\n */ // z\na")
    at.space()
    assert at.peek("\n")
    at.space(lines=True)
    assert at.take("a") and not at.take("a")
    flat = cursor("\n\n a")
    flat.flat = 1
    flat.space()
    assert flat.peek("a")


@pytest.mark.parametrize(
    ("text", "name"), [("a-b_1 c", "a-b_1"), ("1a", ""), ("-a", ""), ("é=", "é"), ("", "")]
)
def test_names(text: str, name: str) -> None:
    assert cursor(text).identifier() == name


def test_what_is_wrong_has_a_place() -> None:
    at = cursor("ab\ncd")
    at.at = 4
    with pytest.raises(HclError, match="f:2,2-3: S; d"):
        at.fail("S", "d")
    with pytest.raises(HclError, match="Invalid expression; missing"):
        at.expect("x", "missing")
    with pytest.raises(HclError, match="Unterminated comment"):
        cursor("/* x").space()
