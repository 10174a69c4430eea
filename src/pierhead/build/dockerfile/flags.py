"""``--flags`` of an instruction, checked against what it takes. No IO."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence

from pierhead.build.dockerfile.errors import with_suggestion


class Kind(enum.Enum):
    BOOL = 1
    TEXT = 2
    LIST = 3
    """May be given several times."""


class FlagError(ValueError):
    """The words are BuildKit's."""


class Flags:
    """What was given: ``text``, ``is_true``, ``given``, ``all``."""

    def __init__(self, arguments: Sequence[str], kinds: Mapping[str, Kind]) -> None:
        """``FlagError``."""
        self._values: dict[str, list[str]] = {}
        for argument in arguments:
            if argument == "--":
                return
            if not argument.startswith("--"):
                raise FlagError(f"arg should start with -- : {argument}")
            shown, equals, value = argument.partition("=")
            name = shown[2:]
            kind = kinds.get(name)
            if kind is None:
                raise FlagError(with_suggestion(f"unknown flag: {shown}", name, kinds))
            if name in self._values and kind is not Kind.LIST:
                raise FlagError(f"duplicate flag specified: {shown}")
            if kind is Kind.BOOL:
                if equals and not value:
                    raise FlagError(f"missing a value on flag: {shown}")
                if value.lower() not in ("true", "false", ""):
                    raise FlagError(f"expecting boolean value for flag {shown}, not: {value}")
                value = value.lower() or "true"
            elif not equals:
                raise FlagError(f"missing a value on flag: {shown}")
            self._values.setdefault(name, []).append(value)

    def text(self, name: str, default: str = "") -> str:
        values = self._values.get(name)
        return values[-1] if values else default

    def is_true(self, name: str) -> bool:
        return self.text(name) == "true"

    def given(self, name: str) -> bool | None:
        """A BOOL's value; ``None`` if it isn't there."""
        return self.is_true(name) if name in self._values else None

    def all(self, name: str) -> tuple[str, ...]:
        return tuple(self._values.get(name, ()))
