"""Pauses between tries."""

from __future__ import annotations

import pytest

from pierhead.distribution.backoff import PATIENCE_S, PAUSES_S, pause_s, retry_after_s

NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:13:00 GMT", 0.0),
        ("Tuesday, 14-Nov-23 22:14:20 GMT", 60.0),
        ("soon", None),
        ("-5", None),
        ("1.5", None),
        ("²", None),
        ("9" * 400, 1e9),
        ("Tue, 99 Nov 2023 99:99:99 GMT", None),
    ],
)
def test_retry_after(header: str | None, wanted: float | None) -> None:
    assert retry_after_s(header, NOW) == wanted


def test_pauses_grow_and_end() -> None:
    assert [pause_s(n, None) for n in range(1, 8)] == [*PAUSES_S, PAUSES_S[-1], PAUSES_S[-1]]
    assert pause_s(0, None) == pytest.approx(0.1)


def test_what_the_registry_asks_for_counts_within_reason() -> None:
    assert pause_s(1, 30.0) == 30.0
    assert pause_s(3, 0.0) == 0.0
    assert pause_s(1, PATIENCE_S + 1) is None
