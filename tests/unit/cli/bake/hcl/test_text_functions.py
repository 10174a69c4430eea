"""Values were compared with docker-buildx 0.29's, where it knows the function."""

from __future__ import annotations

import re
from typing import Any

import pytest

from pierhead.cli.bake.hcl.text_functions import TEXTS
from pierhead.cli.bake.hcl.values import ValueProblem


@pytest.mark.parametrize(
    ("name", "arguments", "found"),
    [
        ("base64encode", ("x y",), "eCB5"),
        ("base64decode", ("eCB5",), "x y"),
        ("basename", ("/a/b/c.txt",), "c.txt"),
        ("basename", ("/",), "/"),
        ("dirname", ("/a/b",), "/a"),
        ("dirname", ("a",), "."),
        ("chomp", ("x\r\n\n",), "x"),
        ("indent", (2, "a\nb"), "a\n  b"),
        ("md5", ("x",), "9dd4e461268c8034f5c8564e155c67a6"),
        ("sha1", ("x",), "11f6ad8ec52a2984abaafd7c3b516503785c2072"),
        ("regex", (r"(\d+)-(\d+)", "a 12-34"), ["12", "34"]),
        ("regex", (r"(?P<a>\d+)", "x1"), {"a": "1"}),
        ("regex", ("b+", "abbc"), "bb"),
        ("regexall", ("[a-z]", "a1b"), ["a", "b"]),
        ("regex_replace", ("hello world", "(o) (w)", "$2-$1"), "hellw-oorld"),
        ("replace", ("aXbX", "X", "-"), "a-b-"),
        ("reverse", ("abc",), "cba"),
        ("sanitize", ("a.b/c-d_e",), "a_b_c-d_e"),
        ("strlen", ("é",), 1),
        ("byteslen", ("é",), 2),
        ("bytesslice", ("hello", 1, 2), "el"),
        ("substr", ("hello", 1, 3), "ell"),
        ("substr", ("hello", -3, 2), "ll"),
        ("substr", ("hello", 2, -1), "llo"),
        ("title", ("hello wORLD",), "Hello WORLD"),
        ("trim", ("xxaxx", "x"), "a"),
        ("trimprefix", ("abc", "a"), "bc"),
        ("trimsuffix", ("abc", "c"), "ab"),
        ("trimspace", (" a ",), "a"),
        ("urlencode", ("a b&c",), "a+b%26c"),
        ("uuidv5", ("dns", "example.com"), "cfbff0d1-9375-5685-968c-48ce8b15ae17"),
        ("format", ("%s-%03d-%q-%v", "a", 7, "q", [1, "b"]), 'a-007-"q"-[1,"b"]'),
        (
            "format",
            ("%5.2f|%x|%t|%%|%-3s|%+d", 3.14159, 255, True, "a", 1),
            " 3.14|ff|true|%|a  |+1",
        ),
        ("format", ("%[2]s%[1]s", "a", "b"), "ba"),
        ("formatlist", ("%s!%s", ["a", "b"], "x"), ["a!x", "b!x"]),
        (
            "formatdate",
            ("YYYY-MM-DD'T'hh:mm:ss Z EEE MMM H AA", "2024-02-03T14:05:06Z"),
            "2024-02-03T14:05:06 Z Sat Feb 2 PM",
        ),
        (
            "formatdate",
            ("D 'it''s' ZZZZZ ZZZZ", "2024-02-03T14:05:06+02:00"),
            "3 it's +02:00 +0200",
        ),
        ("formattimestamp", ("X", "2024-02-03T04:05:06Z"), "1706933106"),
        ("formattimestamp", ("YYYY", 1700000000), "2023"),
        ("timeadd", ("2024-01-01T00:00:00Z", "1h30m"), "2024-01-01T01:30:00Z"),
    ],
)
def test_functions(name: str, arguments: tuple[Any, ...], found: Any) -> None:
    assert TEXTS[name](*arguments) == found


def test_moments() -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", TEXTS["timestamp"]())
    assert TEXTS["uuidv4"]() != TEXTS["uuidv4"]()
    parsed = TEXTS["unixtimestampparse"](1700000000)
    assert parsed["rfc3339"] == "2023-11-14T22:13:20Z" and parsed["weekday_name"] == "Tuesday"
    assert TEXTS["homedir"]().startswith("/")


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("base64decode", ("%",), "failed to decode base64"),
        ("regex", ("(", "x"), "invalid regexp pattern"),
        ("regex", ("a", "x"), "did not match"),
        ("format", ("%s",), "not enough arguments"),
        ("format", ("x", 1), "too many arguments"),
        ("format", ("%t", 1), "bool required"),
        ("format", ("%z", 1), "unsupported format verb"),
        ("formatlist", ("%s%s", ["a"], ["b", "c"]), "different lengths"),
        ("formatdate", ("Q", "2024-01-01T00:00:00Z"), "invalid date format verb"),
        ("formatdate", ("'x", "2024-01-01T00:00:00Z"), "unterminated literal"),
        ("formatdate", ("Y", "yesterday"), "not a valid RFC3339 timestamp"),
        ("timeadd", ("2024-01-01T00:00:00Z", "soon"), "invalid duration"),
        ("uuidv5", ("x", "y"), "doesn't support namespace"),
        ("bcrypt", ("x",), "not part of Pierhead"),
    ],
)
def test_refusals(name: str, arguments: tuple[Any, ...], told: str) -> None:
    with pytest.raises(ValueProblem, match=told):
        TEXTS[name](*arguments)
