"""Signals by name or number, as the API takes them (``SIGKILL``, ``kill``, ``9``, ``RTMIN+3``)."""

from __future__ import annotations

import signal
from typing import Final

from pierhead.errors import InvalidParameter

SIGNALS: Final[dict[str, int]] = {
    name[3:]: int(getattr(signal, name))
    for name in dir(signal)
    if name.startswith("SIG") and not name.startswith("SIG_")
} | {"IOT": 6, "CLD": 17, "POLL": 29, "STKFLT": 16}
for _n in range(1, 31):
    if _n <= 15:
        SIGNALS[f"RTMIN+{_n}"] = 34 + _n
    if _n <= 14:
        SIGNALS[f"RTMAX-{_n}"] = 64 - _n

_HIGHEST: Final = 64


def parse_signal(text: str) -> int:
    """``InvalidParameter("invalid signal: <text>")`` for what is none."""
    upper = text.upper()
    number = SIGNALS.get(upper.removeprefix("SIG"))
    if number is None and text.isascii() and text.isdigit() and 0 < int(text) <= _HIGHEST:
        number = int(text)
    if number is None:
        raise InvalidParameter(f"invalid signal: {text}")
    return number


def stop_signal(configured: str) -> int:
    """The signal that asks a container to stop; SIGTERM unless configured."""
    return parse_signal(configured) if configured else int(signal.SIGTERM)
