"""Number literals and float texts as strconv has them."""

from __future__ import annotations

import pytest

from pierhead.cli.gotemplate.numbers import float_text, parse_constant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("017", 15),
        ("0o17", 15),
        ("0x_1F", 31),
        ("0b1_0", 2),
        ("1_000", 1000),
        ("9223372036854775807", 2**63 - 1),
        ("1e3", 1000),
        ("0x1p4", 16),
    ],
)
def test_integers(text: str, value: int) -> None:
    assert parse_constant(text, "number").as_int == value


def test_what_fits_where() -> None:
    huge = parse_constant("18446744073709551615", "number")
    assert huge.as_int is None
    assert huge.as_uint == 2**64 - 1
    assert parse_constant("1.5", "number").as_int is None
    assert parse_constant("2i", "number").as_complex == 2j
    assert parse_constant("1+0i", "complex").as_int == 1
    assert parse_constant(r"'\n'", "char").as_int == 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1__0", 'illegal number syntax: "1__0"'),
        ("08", 'integer overflow: "08"'),
        ("18446744073709551616", 'integer overflow: "18446744073709551616"'),
        ("0x", 'illegal number syntax: "0x"'),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=r"number|overflow") as caught:
        parse_constant(text, "number")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("value", "verb", "precision", "text"),
    [
        (1.5, "g", -1, "1.5"),
        (1e6, "g", -1, "1e+06"),
        (123456.0, "g", -1, "123456"),
        (1e-5, "g", -1, "1e-05"),
        (0.0, "g", -1, "0"),
        (-0.25, "f", -1, "-0.25"),
        (1e21, "f", -1, "1000000000000000000000"),
        (3.14159, "f", 2, "3.14"),
        (1234.5678, "e", 3, "1.235e+03"),
        (1.0, "x", -1, "0x1p+00"),
        (1.0, "b", -1, "4503599627370496p-52"),
        (float("inf"), "g", -1, "+Inf"),
        (float("nan"), "g", -1, "NaN"),
    ],
)
def test_float_texts(value: float, verb: str, precision: int, text: str) -> None:
    assert float_text(value, verb, precision) == text
