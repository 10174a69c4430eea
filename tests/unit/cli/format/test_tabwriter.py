from __future__ import annotations

import pytest

from pierhead.cli.format.tabwriter import tabbed, tabwriter


@pytest.mark.parametrize(
    ("text", "out"),
    [
        ("", ""),
        ("a", "a"),
        ("A\tB\n1\t2\n", "A         B\n1         2\n"),
        ("LONGER HEADER\tB\n1\t2\n", "LONGER HEADER   B\n1               2\n"),
        ("a\t\tc\n", "a                   c\n"),
        ("a\tb\nplain\nlonger than ten\tb\n", "a         b\nplain\nlonger than ten   b\n"),
        ("a\tb\tc\nlonger than ten\tx\n", "a                 b         c\nlonger than ten   x\n"),
        ("日本\tb\n1\t2\n", "日本      b\n1         2\n"),
        ("a\t\nb\t\n", "a         \nb         \n"),
    ],
)
def test_columns(text: str, out: str) -> None:
    assert tabwriter(text) == out


def test_version_columns() -> None:
    assert tabwriter(" Version:\t1\n", 20, 1) == " Version:           1\n"


def test_tab_stops() -> None:
    assert tabbed([["a", "b"], ["12345678", "c"]]) == "a\t\tb\n12345678\tc\n"
