"""Go string literals, both ways."""

from __future__ import annotations

import pytest

from pierhead.cli.gotemplate.quoting import can_backquote, quote, quote_rune, unquote


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("plain", '"plain"'),
        ('a"b\\c', '"a\\"b\\\\c"'),
        ("\n\t\a\x00\x7f", '"\\n\\t\\a\\x00\\x7f"'),
        ("ü€", '"ü€"'),
        ("\u200b", '"\\u200b"'),
        ("\udcff", '"\\xff"'),
    ],
)
def test_quote_and_back(text: str, literal: str) -> None:
    assert quote(text) == literal
    assert unquote(literal) == text


def test_ascii_only() -> None:
    assert quote("ü😀", ascii_only=True) == '"\\u00fc\\U0001f600"'


def test_runes() -> None:
    assert quote_rune(0x41) == "'A'"
    assert quote_rune(0x27) == "'\\''"
    assert quote_rune(0x110000) == "'\ufffd'"


@pytest.mark.parametrize("literal", ['"a', '"\\q"', '"\\x4"', '"\\u12"', '"\n"', "`a`b`", '"\\\'"'])
def test_malformed(literal: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        unquote(literal)


def test_escapes() -> None:
    assert unquote('"\\x41\\101\\u00fc\\U0001f600"') == "AAü😀"
    assert unquote("`a\\n\r`") == "a\\n"


def test_backquotes() -> None:
    assert can_backquote("a\tb")
    assert not can_backquote("a\nb")
    assert not can_backquote("`")
