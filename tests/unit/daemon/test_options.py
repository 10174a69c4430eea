"""The table of options against itself."""

from __future__ import annotations

from pierhead.daemon.options import BY_FLAG, BY_KEY, BY_SHORT, OPTIONS


def test_names_are_unique() -> None:
    assert len(BY_FLAG) == sum(1 for option in OPTIONS if option.flag)
    assert len(BY_SHORT) == sum(1 for option in OPTIONS if option.short)
    assert len(BY_KEY) == sum(1 for option in OPTIONS if option.key != "-")


def test_every_row_is_shown_or_explained() -> None:
    for option in OPTIONS:
        assert bool(option.help) + bool(option.note) + bool(option.refused) == 1, option


def test_defaults_fit_their_choices() -> None:
    for option in OPTIONS:
        if option.choices:
            assert (option.default or option.choices[0]) in option.choices, option
