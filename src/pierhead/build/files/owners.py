"""``--chown``: ids, or names that the image's own /etc/passwd and /etc/group have. No IO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pierhead.errors import InvalidParameter

FILE_LIMIT: Final = 10 << 20
"""Bytes of /etc/passwd that are read, as BuildKit does."""

Lookup = Callable[[str], bytes | None]
"""Reads ``etc/passwd`` or ``etc/group``; ``None``: it isn't there."""


def parse(text: str, lookup: Lookup | None) -> tuple[int, int] | None:
    """(uid, gid) for ``user[:group]``; ``None`` for "".

    A uid alone is the gid as well; a name's gid is its own in /etc/passwd. ``lookup`` ``None``
    (``--link``): there is nothing to look names up in. Raises ``InvalidParameter``.
    """
    if not text:
        return None
    user, colon, group = text.partition(":")
    uid, gid = 0, 0
    if user:
        number = _number(user)
        if number is not None:
            uid = gid = number
        else:
            fields = _find(text, user, "passwd", lookup)
            uid, gid = _id(text, fields[2]), _id(text, fields[3])
    if colon and group:
        number = _number(group)
        gid = _id(text, _find(text, group, "group", lookup)[2]) if number is None else number
    return uid, gid


def _number(text: str) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    value = int(text)
    if value >= 1 << 32:
        raise InvalidParameter(f"invalid user or group id: {text}")
    return value


def _id(text: str, field: str) -> int:
    value = _number(field)
    if value is None:
        raise InvalidParameter(f"can't find uid for user {text}: the image's file is broken")
    return value


def _find(text: str, name: str, file: str, lookup: Lookup | None) -> list[str]:
    if lookup is None:
        raise InvalidParameter(
            f"invalid user index: --chown={text} with --link can't look names up: "
            "use numeric ids, or leave --link out"
        )
    for line in (lookup(f"etc/{file}") or b"").decode("utf-8", "surrogateescape").splitlines():
        fields = line.strip().split(":")
        if fields[0] == name and len(fields) >= (4 if file == "passwd" else 3):
            return fields
    kind = "user" if file == "passwd" else "group"
    raise InvalidParameter(f"unable to convert uid/gid chown string to host mapping: "
                           f"can't find {'uid' if kind == 'user' else 'gid'} for {kind} {name}: "
                           f"no such {kind}: {name}")  # fmt: skip
