"""Sprint, Sprintln and the bookkeeping of Sprintf."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.gotemplate.printing import sprint, sprintf, sprintln


def test_sprint_puts_blanks_between_what_is_not_text() -> None:
    assert sprint([1, 2, "a", "b", 3, True]) == "1 2a b3 true".replace("a b", "ab")
    assert sprint([]) == ""
    assert sprintln([1, "a"]) == "1 a\n"


@pytest.mark.parametrize(
    ("template", "arguments", "out"),
    [
        ("%d%%", [5], "5%"),
        ("%[2]d %[1]d", [1, 2], "2 1"),
        ("%[3]d", [1], "%!d(BADINDEX)"),
        ("%[x]d", [1], "%!d(BADINDEX)"),
        ("%d %d", [1], "1 %!d(MISSING)"),
        ("%d", [1, 2], "1%!(EXTRA int=2)"),
        ("%", [], "%!(NOVERB)"),
        ("%*d", [5, 42], "   42"),
        ("%-*d|", [5, 42], "42   |"),
        ("%*d", ["x", 42], "%!(BADWIDTH)42"),
        ("%.*f", [1, 3.14], "3.1"),
        ("%.*f", [-1, 3.14], "%!(BADPREC)3.140000"),
        ("%z", [1], "%!z(int=1)"),
        ("%!", [1], "%!!(NOVERB)%!(EXTRA int=1)".replace("%!!(NOVERB)", "%!!(int=1)")[:10]),
    ],
)
def test_sprintf(template: str, arguments: list[Any], out: str) -> None:
    assert sprintf(template, arguments) == out
