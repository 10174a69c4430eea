"""Docker's textual progress bar, for clients that print it as it comes (no IO)."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "kB", "MB", "GB", "TB")
_WIDTH: Final = 50


def size(count: float) -> str:
    """Decimal units with four significant digits: ``1.459MB``."""
    unit = 0
    while count >= 1000 and unit < len(_UNITS) - 1:
        count /= 1000
        unit += 1
    return f"{count:.4g}{_UNITS[unit]}"


def bar(current: int, total: int) -> str:
    """``[====>    ] 1.2MB/3MB``."""
    if total <= 0:
        return f"{size(current):>8}"
    done = min(_WIDTH, current * _WIDTH // total)
    arrow = "=" * done + ">" + " " * (_WIDTH - done - 1) if done < _WIDTH else "=" * _WIDTH + ">"
    return f"[{arrow}] {size(current):>8}/{size(total)}"
