"""``# syntax=``, ``# escape=``, ``# check=``, ``# pier: include``: comments that mean something.

They stand at the very top: the first line that is none of them ends them. No IO.
"""

from __future__ import annotations

import re

_DIRECTIVE = re.compile(r"([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*\Z", re.DOTALL)
_PIER = re.compile(r"pier\s*[:=]\s*(.*?)\s*\Z", re.IGNORECASE | re.DOTALL)
KNOWN = frozenset({"syntax", "escape", "check"})
PIER = "pier"
PIER_FEATURES = frozenset({"include"})


class Directives:
    """Fed with lines from the top, until ``done``."""

    def __init__(self) -> None:
        self.found: dict[str, str] = {}
        self.lines: dict[str, int] = {}
        self.done = False

    def feed(self, line: str, number: int) -> str:
        """The directive's name if ``line`` is one, else "" (and that ends them).

        ``ValueError`` for a second one of the same name, or an escape that can't be one.
        """
        if self.done:
            return ""
        comment = line[1:].lstrip() if line.startswith("#") else ""
        name, value = _parse(comment)
        if not name:
            self.done = True
            return ""
        if name in self.found:
            raise ValueError(f"only one {name} parser directive can be used")
        if name == "escape" and value not in ("\\", "`"):
            raise ValueError(f"invalid escape token '{value}' does not match ` or \\")
        self.found[name] = value
        self.lines[name] = number
        return name

    @property
    def escape(self) -> str:
        return self.found.get("escape", "\\")

    @property
    def pier_features(self) -> frozenset[str]:
        """What ``# pier: include`` and its like switch on."""
        words = self.found.get(PIER, "").replace(",", " ").split()
        return frozenset(word.lower() for word in words)


def _parse(comment: str) -> tuple[str, str]:
    pier = _PIER.match(comment)
    if pier:
        # Only what is ours: "# Pier: a comment" is a comment.
        words = pier[1].replace(",", " ").lower().split()
        if words and all(word in PIER_FEATURES for word in words):
            return PIER, pier[1]
        return "", ""
    match = _DIRECTIVE.match(comment)
    if match and match[1].lower() in KNOWN:
        return match[1].lower(), match[2]
    return "", ""
