from __future__ import annotations

from pierhead.cli.format.note import note


def test_plain() -> None:
    assert note("a\nb --platform", terminal=False) == "\n Info -> a\n         b --platform\n"


def test_on_a_terminal() -> None:
    assert note("a --platform", terminal=True) == (
        "\n\x1b[1m\x1b[106m\x1b[30mi\x1b[0m\x1b[0m \x1b[96mInfo → \x1b[0m\x1b[0m"
        "\x1b[3ma \x1b[1m--platform\x1b[0m\x1b[0m\n"
    )
