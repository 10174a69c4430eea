from __future__ import annotations

import random

import pytest

from pierhead.engine.containers.names import ADJECTIVES, SURNAMES, check_name, generate_name
from pierhead.errors import InvalidParameter


@pytest.mark.parametrize("name", ["ab", "/ab", "a-b_c.d", "0x"])
def test_good_names(name: str) -> None:
    assert check_name(name) == name.removeprefix("/")


@pytest.mark.parametrize("name", ["a", "_ab", "a b", "ä1", "a/b", "ab\n", "-ab", "//ab"])
def test_bad_names_are_named(name: str) -> None:
    with pytest.raises(InvalidParameter) as caught:
        check_name(name)
    assert caught.value.message == (
        f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )


def test_made_up_names_are_good_and_free() -> None:
    taken: set[str] = set()
    for _ in range(200):
        name = generate_name("f" * 64, taken.__contains__, random.Random(7))
        assert check_name(name) == name
        taken.add(name)


def test_falls_back_to_the_short_id() -> None:
    assert generate_name("ab" * 32, lambda _: True) == "abababababab"


def test_word_lists_are_plain_words() -> None:
    assert all(w.isascii() and w.islower() and w.isalpha() for w in (*ADJECTIVES, *SURNAMES))
    assert len(set(ADJECTIVES)) == len(ADJECTIVES)
    assert len(set(SURNAMES)) == len(SURNAMES)
