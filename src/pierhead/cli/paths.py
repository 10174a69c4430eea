"""Paths of this machine, as text."""

from __future__ import annotations

import posix


def absolute(path: str) -> str:
    """``path`` below the working directory, without ``.`` and ``..``."""
    if not path.startswith("/"):
        path = posix.getcwd() + "/" + path
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)
