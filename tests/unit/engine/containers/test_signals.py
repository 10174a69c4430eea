from __future__ import annotations

import pytest

from pierhead.engine.containers.signals import parse_signal, stop_signal
from pierhead.errors import InvalidParameter


@pytest.mark.parametrize(
    ("text", "number"),
    [("KILL", 9), ("SIGKILL", 9), ("sigterm", 15), ("9", 9), ("RTMIN+3", 37), ("SIGRTMAX-1", 63)],
)
def test_names_and_numbers(text: str, number: int) -> None:
    assert parse_signal(text) == number


@pytest.mark.parametrize("text", ["", "SIGNOPE", "0", "65", "-1", "9 ", "٩"])
def test_others_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid signal"):
        parse_signal(text)


def test_stop_signal_defaults_to_term() -> None:
    assert stop_signal("") == 15
    assert stop_signal("SIGQUIT") == 3
