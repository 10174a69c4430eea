"""When to try again: Retry-After in both its forms, and growing pauses. No IO."""

from __future__ import annotations

import email.utils
from collections.abc import Sequence
from typing import Final

PAUSES_S: Final = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Before the second try, the third, ..."""
PATIENCE_S: Final = 120.0
"""Who is asked to wait longer gives up at once and repeats what the registry said."""


def retry_after_s(value: str | None, now_s: float) -> float | None:
    """Seconds to wait by a ``Retry-After`` header (RFC 9110, 10.2.3): a number or a date.

    ``now_s`` is the time of day in seconds since 1970. ``None`` if there is nothing to read;
    never negative.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(min(int(value[:12]), 10**9))
    try:
        when = email.utils.parsedate_to_datetime(value)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return max(0.0, when.timestamp() - now_s)


def pause_s(
    failures: int, asked_s: float | None, pauses_s: Sequence[float] = PAUSES_S
) -> float | None:
    """How long to wait after the ``failures``-th failure in a row; ``None``: give up.

    What the registry asked for counts, but not beyond our patience. After no failure in a
    row (``failures`` is 0: much came before the line broke) hardly at all.
    """
    if asked_s is not None:
        return asked_s if asked_s <= PATIENCE_S else None
    return pauses_s[min(failures, len(pauses_s)) - 1] if failures else min(0.1, pauses_s[0])
