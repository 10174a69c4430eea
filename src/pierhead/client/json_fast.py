"""JSON through the C halves of the stdlib's ``json``, without importing the package.

``import json`` brings ``re`` and ``enum`` and costs 5-10 ms, more than a whole request;
its scanner and encoder live in ``_json`` and need no more than an object with the
decoder's settings. Falls back to the package where ``_json`` is missing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class _Settings:
    """What ``_json.make_scanner`` reads from ``json.JSONDecoder``."""

    strict = False
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float  # NaN and friends; never sent by a daemon
    memo: dict[str, str] = {}


_scan: Any = None
_encode: Any = None


def loads(text: str) -> Any:
    """The value in ``text``. Raises ``ValueError`` if it isn't JSON."""
    value, _ = loads_at(text.strip(), 0)
    return value


def loads_at(text: str, start: int) -> tuple[Any, int]:
    """The value that begins at ``start`` (white space skipped), and where it ends.

    Raises ``ValueError`` if there is none, or only a part of one.
    """
    global _scan
    if _scan is None:
        try:
            from _json import make_scanner

            _scan = make_scanner(_Settings)  # type: ignore[arg-type]
        except ImportError:
            import json

            decoder: Any = json.JSONDecoder(strict=False)
            _scan = decoder.scan_once
    end = len(text)
    while start < end and text[start] in " \t\r\n":
        start += 1
    try:
        return _scan(text, start)  # type: ignore[no-any-return]
    except (StopIteration, SystemError):
        # SystemError: the C code wants to raise json's own exception and, the package not
        # being imported, fails to.
        raise ValueError("unexpected end of JSON input") from None


def _refuse(value: object) -> object:
    raise TypeError(f"{type(value).__name__} is not JSON")


def dumps(value: Any) -> str:
    """Compact JSON, ASCII only."""
    global _encode
    if _encode is None:
        try:
            from _json import encode_basestring_ascii, make_encoder
        except ImportError:
            import json

            return json.dumps(value, separators=(",", ":"))
        _encode = make_encoder(
            None, _refuse, encode_basestring_ascii, None, ":", ",", False, False, True
        )
    if isinstance(value, str):
        from _json import encode_basestring_ascii

        return encode_basestring_ascii(value)
    return "".join(_encode(value, 0))
