"""Small things about text: natural order, key=value pairs, joined labels."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


def natural_key(text: str) -> list[tuple[int, int, str]]:
    """A sort key that puts ``net2`` before ``net10``."""
    key: list[tuple[int, int, str]] = []
    at = 0
    while at < len(text):
        end = at
        if text[at] in "0123456789":
            while end < len(text) and text[end] in "0123456789":
                end += 1
            digits = text[at:end]
            key.append((0, int(digits), digits))
        else:
            while end < len(text) and text[end] not in "0123456789":
                end += 1
            key.append((1, 0, text[at:end]))
        at = end
    return key


def pairs(texts: Iterable[str]) -> dict[str, str]:
    """``key=value`` texts as a dict; without ``=`` the value is empty."""
    out: dict[str, str] = {}
    for text in texts:
        key, _, value = text.partition("=")
        out[key] = value
    return out


def check_label(text: str) -> str:
    """A flag's converter: a label has a name. Raises ValueError."""
    if not text.partition("=")[0].strip():
        raise ValueError(f"invalid label '{text}': empty name")
    return text


def joined_labels(labels: dict[str, Any] | None) -> str:
    """``a=1,b=2`` in order of the names."""
    return ",".join([f"{key}={value}" for key, value in sorted((labels or {}).items())])
