"""Detach keys: a sequence in a terminal's input that leaves the container running (pure)."""

from __future__ import annotations

from typing import Final

from pierhead.errors import InvalidParameter

DEFAULT_KEYS: Final = b"\x10\x11"  # ctrl-p, ctrl-q

_SPECIAL: Final = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def parse_keys(text: str | None) -> bytes:
    """``ctrl-p,ctrl-q``, ``a``, ``ctrl-[``; empty or None: the default.

    Raises ``InvalidParameter`` as Docker does.
    """
    if not text:
        return DEFAULT_KEYS
    codes = bytearray()
    for key in text.split(","):
        if len(key) == 1 and key.isascii():
            codes.append(ord(key))
            continue
        name = key[5:] if key.startswith("ctrl-") else ""
        if len(name) == 1 and "a" <= name <= "z":
            codes.append(ord(name) - ord("a") + 1)
        elif name in _SPECIAL:
            codes.append(_SPECIAL[name])
        elif key == "DEL":
            codes.append(127)
        else:
            raise InvalidParameter(
                f"Invalid detach keys ({text}) provided: Unknown character: '{key}'"
            )
    return bytes(codes)


class DetachFilter:
    """Watches input for the keys; holds back a beginning of them until it is decided."""

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._matched = 0

    def feed(self, data: bytes) -> tuple[bytes, bool]:
        """Return (bytes to pass on, whether to detach). After True feed no more."""
        keys, out = self._keys, bytearray()
        if not self._matched and keys[0] not in data:
            return data, False
        for byte in data:
            if byte == keys[self._matched]:
                self._matched += 1
                if self._matched == len(keys):
                    return bytes(out), True
                continue
            if self._matched:
                out += keys[: self._matched]
                self._matched = 1 if byte == keys[0] else 0
                if self._matched:
                    continue
            out.append(byte)
        return bytes(out), False
