"""Values under verbs and flags, compared with Go's fmt."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.gotemplate.printing import sprintf
from pierhead.cli.gotemplate.values import Duration, GoInt, GoList, GoMap, GoStruct, NilPointer

INNER = GoStruct("a.In", {"X": 1}, pointer=True)
STRUCT = GoStruct("a.B", {"N": "x", "P": INNER, "Z": NilPointer("a.In")})


@pytest.mark.parametrize(
    ("template", "value", "out"),
    [
        ("%v", STRUCT, "{x 0xc000012345 <nil>}"),
        ("%+v", INNER, "&{X:1}"),
        ("%#v", GoStruct("a.In", {"X": 1}), "a.In{X:1}"),
        ("%#v", GoMap({"a": "b"}), 'map[string]string{"a":"b"}'),
        ("%#v", GoList(["a"], "[]string"), '[]string{"a"}'),
        ("%v", Duration(1_500_000_000), "1.5s"),
        ("%d", Duration(5), "5"),
        ("%#v", GoInt(255, "uint8"), "0xff"),
        ("%6.2f|", 3.14159, "  3.14|"),
        ("%-6d|", 42, "42    |"),
        ("%+06d", 42, "+00042"),
        ("%#o %O", 8, "010 %!O(MISSING)"),
        ("%#x", "hi", "0x6869"),
        ("% x", "hi", "68 69"),
        ("%c%c", 0x20AC, "€%!c(MISSING)"),
        ("%#U", 0x20AC, "U+20AC '€'"),
        ("%q", 65, "'A'"),
        ("%#q", "a", "`a`"),
        ("%t", "x", "%!t(string=x)"),
        ("%d", None, "%!d(<nil>)"),
        ("%v", None, "<nil>"),
        ("%s", [1, None], "[%!s(int=1) <nil>]"),
        ("%#.3g", 1.0, "1.00"),
        ("%g", float("inf"), "+Inf"),
        ("%010.2f", -3.14159, "-000003.14"),
        ("%v", 1 + 2j, "(1+2i)"),
    ],
)
def test_verbs(template: str, value: Any, out: str) -> None:
    assert sprintf(template, [value]) == out
