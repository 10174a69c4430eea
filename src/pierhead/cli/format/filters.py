"""``--filter name=value`` flags, merged with config.json's ``pruneFilters``."""

from __future__ import annotations

from pierhead.cli.errors import CliError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Filters = dict[str, list[str]]


def parse_filters(values: Sequence[str]) -> Filters | None:
    """The ``filters`` of a request, None if there are none. Raises ``CliError``."""
    filters: Filters = {}
    for value in values:
        if not value:
            continue
        name, separator, wanted = value.partition("=")
        if not separator:
            raise CliError("bad format of filter (expected name=value)", 125)
        add(filters, name.strip().lower(), wanted.strip())
    return filters or None


def add(filters: Filters, name: str, value: str) -> None:
    """Add one value, once."""
    known = filters.setdefault(name, [])
    if value not in known:
        known.append(value)


def check_filter(value: str) -> str:
    """A flag's converter: refuse what has no ``=``. Raises ValueError."""
    if value and "=" not in value:
        raise ValueError("bad format of filter (expected name=value)")
    return value


def with_prune_filters(config: dict[str, Any], filters: Filters | None) -> Filters:
    """Add the configured ``pruneFilters``; the flags win where labels contradict."""
    merged: Filters = {name: list(values) for name, values in (filters or {}).items()}
    for text in config.get("pruneFilters") or ():
        name, separator, value = str(text).partition("=")
        if not separator:
            continue
        opposite = {"label": "label!", "label!": "label"}.get(name)
        if opposite and value in merged.get(opposite, ()):
            continue
        add(merged, name, value)
    return merged
