"""Go types and truth."""

from __future__ import annotations

from typing import Any

import pytest

from pierhead.cli.gotemplate.values import (
    Duration,
    GoInt,
    GoList,
    GoMap,
    GoStruct,
    GoTime,
    HeaderMap,
    Interface,
    NilPointer,
    Number,
    byte_length,
    duration_text,
    is_true,
    type_name,
)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (True, "bool"),
        (1, "int"),
        (GoInt(1, "int64"), "int64"),
        (Duration(1), "time.Duration"),
        (1.5, "float64"),
        (1j, "complex128"),
        ("s", "string"),
        (Number("1"), "json.Number"),
        ([], "[]interface {}"),
        (GoList([], "[]string"), "[]string"),
        ({}, "map[string]interface {}"),
        (GoMap(), "map[string]string"),
        (GoStruct("a.B", {}), "a.B"),
        (GoStruct("a.B", {}, pointer=True), "*a.B"),
        (NilPointer("a.B"), "*a.B"),
        (Interface(1), "interface {}"),
        (GoTime("x"), "time.Time"),
    ],
)
def test_type_names(value: Any, name: str) -> None:
    assert type_name(value) == name


@pytest.mark.parametrize("value", [None, False, 0, 0.0, "", [], {}, NilPointer("x"), Interface(0)])
def test_false(value: Any) -> None:
    assert not is_true(value)


@pytest.mark.parametrize("value", [True, 1, "x", [0], {"a": 0}, GoStruct("x", {}), Interface("x")])
def test_true(value: Any) -> None:
    assert is_true(value)


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"),
        (1, "1ns"),
        (1500, "1.5µs"),
        (2_000_000, "2ms"),
        (1_500_000_000, "1.5s"),
        (90_000_000_000, "1m30s"),
        (3_600_000_000_000, "1h0m0s"),
        (-30_000_000_000, "-30s"),
    ],
)
def test_durations(nanoseconds: int, text: str) -> None:
    assert duration_text(nanoseconds) == text


def test_lengths_are_bytes() -> None:
    assert byte_length("ü€") == 5


def test_promoted_fields() -> None:
    inner = GoStruct("a.In", {"X": 1})
    outer = GoStruct("a.Out", {"In": inner, "Y": 2}, inline=("In",))
    assert outer.get("X") == (True, 1)
    assert outer.get("Z") == (False, None)


def test_labels_as_column_titles() -> None:
    label = HeaderMap({}).go_method("Label")
    assert label is not None
    assert label("com.example.my-label_x") == "my label x"


def test_times_print_like_go() -> None:
    text = GoTime("2026-05-07T21:09:36.5Z").go_string()
    assert text == "2026-05-07 21:09:36.5 +0000 UTC"
