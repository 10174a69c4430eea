"""The ``filters`` of list, prune and event requests: parsed once, matched everywhere.

On the wire a filter set is JSON, ``{"label": {"a=b": true}}``, or in the form of API
versions before 1.22, still sent by docker-py, ``{"label": ["a=b"]}``. Values of one
key are alternatives except where a method says otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pierhead.errors import InvalidParameter

_TRUE = frozenset({"1", "t", "T", "true", "TRUE", "True"})
_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})


class Filters:
    """An immutable set of ``key → values``. False when nothing is filtered."""

    __slots__ = ("_values",)

    def __init__(self, values: Mapping[str, list[str]] | None = None) -> None:
        self._values: dict[str, list[str]] = {k: list(v) for k, v in (values or {}).items()}

    @classmethod
    def parse(cls, source: str | bytes | Mapping[str, Any] | None) -> Filters:
        """Build from the JSON text of a query, or from its decoded form.

        Raises ``InvalidParameter`` for anything that is neither of the two wire forms.
        """
        if source is None or source == "" or source == b"":
            return cls()
        if isinstance(source, Mapping):
            decoded: Any = source
        else:
            try:
                decoded = json.loads(source)
            except (ValueError, RecursionError) as error:
                raise InvalidParameter(f"invalid filter: not JSON: {error}") from error
        if decoded is None:
            return cls()
        if not isinstance(decoded, Mapping):
            raise InvalidParameter('invalid filter: expected an object like {"label":{"a=b":true}}')
        values: dict[str, list[str]] = {}
        for key, given in decoded.items():
            values[str(key)] = _values_of(str(key), given)
        return cls(values)

    def __bool__(self) -> bool:
        return bool(self._values)

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        return f"Filters({self._values!r})"

    def get(self, key: str) -> list[str]:
        """The values of ``key``, empty when it was not given."""
        return self._values.get(key, [])

    def as_dict(self) -> dict[str, list[str]]:
        return {key: list(values) for key, values in self._values.items()}

    def without(self, key: str) -> Filters:
        """The same filters but for ``key``."""
        return Filters({k: v for k, v in self._values.items() if k != key})

    def validate(self, allowed: Collection[str]) -> None:
        """Raise ``InvalidParameter("invalid filter 'x'")`` for a key not in ``allowed``."""
        for key in self._values:
            if key not in allowed:
                raise InvalidParameter(f"invalid filter '{key}'")

    def match(self, key: str, value: str) -> bool:
        """One of the values is a substring or a regular expression found in ``value``.

        That is how Docker matches names. True when ``key`` was not given.
        """
        wanted = self._values.get(key)
        if not wanted:
            return True
        for pattern in wanted:
            if pattern == value or pattern in value:
                return True
            try:
                if re.search(pattern, value):
                    return True
            except re.error:
                continue
        return False

    def match_exact(self, key: str, value: str) -> bool:
        """``value`` is one of the values, or ``key`` was not given."""
        wanted = self._values.get(key)
        return not wanted or value in wanted

    def match_prefix(self, key: str, value: str) -> bool:
        """``value`` starts with one of the values (ids), or ``key`` was not given."""
        wanted = self._values.get(key)
        return not wanted or any(value.startswith(prefix) for prefix in wanted)

    def match_kv(self, key: str, pairs: Mapping[str, str] | None) -> bool:
        """Every value (``name`` or ``name=value``) holds for ``pairs``: labels.

        True when ``key`` was not given. ``label!`` is asked as ``not match_kv_any``.
        """
        wanted = self._values.get(key)
        return not wanted or all(_holds(item, pairs or {}) for item in wanted)

    def match_kv_any(self, key: str, pairs: Mapping[str, str] | None) -> bool:
        """At least one value holds for ``pairs``; False when ``key`` was not given."""
        return any(_holds(item, pairs or {}) for item in self.get(key))

    def match_labels(self, labels: Mapping[str, str] | None) -> bool:
        """The pair ``label`` and ``label!`` together, as prune and list use them."""
        return self.match_kv("label", labels) and not self.match_kv_any("label!", labels)

    def boolean(self, key: str, default: bool = False) -> bool:
        """The truth of a filter like ``dangling=true``.

        Raises ``InvalidParameter`` for anything but 1/true/0/false, or for both at once.
        """
        values = self.get(key)
        if not values:
            return default
        answers = set()
        for value in values:
            if value in _TRUE:
                answers.add(True)
            elif value in _FALSE:
                answers.add(False)
            else:
                raise InvalidParameter(f"invalid filter '{key}={value}'")
        if len(answers) != 1:
            raise InvalidParameter(f"invalid filter '{key}={values}'")
        return answers.pop()


def _values_of(key: str, given: Any) -> list[str]:
    """The values of one key in either wire form; ``{"v": false}`` is given up like Docker does."""
    if given is None:
        return []
    if isinstance(given, Mapping):
        if not all(isinstance(on, bool) for on in given.values()):
            raise InvalidParameter(f"invalid filter '{key}': expected {{value: true}}")
        return [str(value) for value in given]
    if isinstance(given, list):
        if not all(isinstance(value, str) for value in given):
            raise InvalidParameter(f"invalid filter '{key}': expected a list of strings")
        return list(given)
    raise InvalidParameter(f"invalid filter '{key}': expected an object or a list of values")


def _holds(item: str, pairs: Mapping[str, str]) -> bool:
    name, equals, value = item.partition("=")
    if name not in pairs:
        return False
    return not equals or pairs[name] == value
