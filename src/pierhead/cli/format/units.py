"""Sizes and durations for people, as docker's go-units prints and reads them."""

from __future__ import annotations

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4, "p": 5}


def _scaled(size: float, base: float, names: tuple[str, ...]) -> tuple[float, str]:
    at = 0
    while size >= base and at < len(names) - 1:
        size /= base
        at += 1
    return size, names[at]


def human_size(size: float, precision: int = 4) -> str:
    """``size`` bytes in powers of 1000, e.g. ``1.234MB``."""
    value, unit = _scaled(float(size), 1000.0, _DECIMAL)
    return f"{value:.{precision}g}{unit}"


def bytes_size(size: float) -> str:
    """``size`` bytes in powers of 1024 with four digits, e.g. ``7.653GiB``."""
    value, unit = _scaled(float(size), 1024.0, _BINARY)
    return f"{value:.4g}{unit}"


def human_duration(seconds: float) -> str:
    """About how long, e.g. ``About a minute``, ``2 weeks``."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = int(seconds / 60)
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ram_in_bytes(text: str) -> int:
    """Read a size in powers of 1024: ``512m``, ``1.5 GiB``, ``100``.

    Raises ValueError with go-units' text.
    """
    last = max(text.rfind(char) for char in "0123456789. ")
    if last == -1:
        raise ValueError(f"invalid size: '{text}'")
    number = text[:last] if text[last] == " " else text[: last + 1]
    suffix = text[last + 1 :]
    try:
        if not number.strip() or number != number.strip() or "_" in number:
            raise ValueError
        size = float(number)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{number}": invalid syntax') from None
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    if not suffix:
        return int(size)
    bad = ValueError(f"invalid suffix: '{suffix if len(suffix) > 3 else suffix.lower()}'")
    suffix = suffix.lower()
    if len(suffix) > 3:
        raise bad
    if suffix[0] == "b":
        if len(suffix) > 1:
            raise bad
        return int(size)
    power = _POWERS.get(suffix[0])
    if power is None or suffix[1:] not in ("", "b", "ib"):
        raise bad
    return int(size * 1024**power)


def truncate_id(identifier: str) -> str:
    """Twelve digits of an id, without its algorithm."""
    _, colon, rest = identifier.partition(":")
    return (rest if colon else identifier)[:12]


def ellipsis(text: str, width: int) -> str:
    """``text`` cut to ``width`` columns, the last one an ellipsis."""
    if width <= 0:
        return ""
    if width == 1:
        return text[:1]
    if text.isascii():
        return text if len(text) <= width else text[: width - 1] + "…"
    widths = [char_width(char) for char in text]
    if sum(widths) <= width:
        return text
    used = 0
    for at, one in enumerate(widths):
        if used + one > width - 1:
            return text[:at] + "…"
        used += one
    return text


def char_width(char: str) -> int:
    """Columns that a character takes: two for East Asian wide ones."""
    if char < "\u1100":
        return 1
    from unicodedata import east_asian_width

    return 2 if east_asian_width(char) in ("W", "F") else 1


def text_width(text: str) -> int:
    """Columns that a text takes; combining marks take none."""
    if text.isascii():
        return len(text)
    from unicodedata import category

    width = 0
    for char in text:
        if char >= "\u0300" and category(char) in ("Mn", "Me", "Cf"):
            continue
        width += char_width(char)
    return width
