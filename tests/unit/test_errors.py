"""The one root and its kinds."""

from __future__ import annotations

from pierhead import errors


def test_kinds_are_distinct_and_messages_kept() -> None:
    kinds = [
        cls
        for cls in vars(errors).values()
        if isinstance(cls, type) and issubclass(cls, errors.PierError)
    ]
    assert len({cls.kind for cls in kinds if cls is not errors.PierError}) == len(kinds) - 1
    assert all(cls("words").message == "words" and str(cls("words")) == "words" for cls in kinds)
