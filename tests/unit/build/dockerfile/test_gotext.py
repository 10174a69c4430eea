from __future__ import annotations

import pytest

from pierhead.build.dockerfile import gotext


def test_quote_is_gos() -> None:
    assert gotext.quote('a"b\\c\n\t\x00é\u200b') == '"a\\"b\\\\c\\n\\t\\x00é\\u200b"'
    assert gotext.quote("\udcff\U000e0001") == '"\\xff\\U000e0001"'
    assert gotext.quote_list(["a", "b c"]) == '["a" "b c"]'


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("0", 0),
        ("5s", 5_000_000_000),
        ("1h30m", 5_400_000_000_000),
        ("1.5ms", 1_500_000),
        (".5s", 500_000_000),
        ("-3us", -3_000),
        ("1µs", 1_000),
    ],
)
def test_durations(text: str, ns: int) -> None:
    assert gotext.duration_ns(text) == ns


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("x", 'time: invalid duration "x"'),
        ("5", 'time: missing unit in duration "5"'),
        ("5d", 'time: unknown unit "d" in duration "5d"'),
        ("9" * 30 + "s", "time: invalid duration"),
        ("9999999h", "time: invalid duration"),
    ],
)
def test_bad_durations(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        gotext.duration_ns(text)


def test_csv() -> None:
    assert gotext.csv_fields('a=b,"c=d,e","f""g",') == ["a=b", "c=d,e", 'f"g', ""]
    for bad in ("", 'a"b', '"a', '"a"b'):
        with pytest.raises(ValueError):
            gotext.csv_fields(bad)


def test_blanks_and_truth() -> None:
    assert gotext.trim(" \u00a0\x1cx\u2003") == "\x1cx"
    assert gotext.parse_bool("T") is True
    assert gotext.parse_bool("false") is False
    assert gotext.parse_bool("yes") is None
