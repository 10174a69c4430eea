"""The last lines that a step wrote, as a small terminal would show them. No IO.

Knows line feed, carriage return, backspace and tab; escape sequences move nothing and
are dropped. Text from a build is never sent to the user's terminal raw.
"""

from __future__ import annotations


class Tail:
    """A terminal of ``height`` lines, ``width`` columns."""

    __slots__ = ("_column", "_escape", "_rest", "height", "lines", "width")

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = max(width, 1)
        self.lines: list[str] = [""]
        self._column = 0
        self._escape = ""
        self._rest = b""

    def resize(self, height: int, width: int) -> None:
        """Another size; what is longer is cut off when shown."""
        self.height = max(height, 1)
        self.width = max(width, 1)

    def write(self, data: bytes) -> None:
        """Take output in."""
        data = self._rest + data
        keep = _partial(data)
        self._rest = data[len(data) - keep :] if keep else b""
        for char in data[: len(data) - keep].decode("utf-8", "replace"):
            self._char(char)
        del self.lines[: -2 * self.height]

    def _char(self, char: str) -> None:
        if self._escape:
            self._in_escape(char)
        elif char == "\x1b":
            self._escape = char
        elif char == "\n":
            self.lines.append("")
            self._column = 0
            if len(self.lines) > 1000:
                del self.lines[: -2 * self.height]
        elif char == "\r":
            self._column = 0
        elif char == "\b":
            self._column = max(self._column - 1, 0)
        elif char == "\t":
            for _ in range(8 - self._column % 8):
                self._put(" ")
        elif char >= " " and char != "\x7f":
            self._put(char)

    def _in_escape(self, char: str) -> None:
        """CSI ends with a letter, OSC with BEL or ST, the rest after blanks to slashes."""
        self._escape += char
        if len(self._escape) > 200:
            self._escape = ""
        elif self._escape[1] == "[":
            if len(self._escape) > 2 and "@" <= char <= "~":
                if self._escape == "\x1b[K":
                    self.lines[-1] = self.lines[-1][: self._column]
                self._escape = ""
        elif self._escape[1] == "]":
            if char == "\a" or self._escape.endswith("\x1b\\"):
                self._escape = ""
        elif not " " <= char <= "/":
            self._escape = ""

    def _put(self, char: str) -> None:
        if self._column >= self.width:
            self.lines.append("")
            self._column = 0
        line = self.lines[-1]
        self.lines[-1] = line[: self._column] + char + line[self._column + 1 :]
        self._column += 1

    def shown(self) -> list[str]:
        """The lines to show, empty ones left out."""
        lines = self.lines if self.lines[-1] else self.lines[:-1]
        return [line[: self.width] for line in lines[-self.height :] if line.strip()]


def _partial(data: bytes) -> int:
    """How many bytes at the end are the beginning of a character whose rest isn't here yet."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = (
            2 if byte & 0xE0 == 0xC0 else 3 if byte & 0xF0 == 0xE0 else 4 if byte >= 0xF0 else 1
        )
        return back if needed > back else 0
    return 0
