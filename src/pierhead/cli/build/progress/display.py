"""Where a build's progress goes: chooses the drawing and limits how often it is drawn."""

from __future__ import annotations

import posix
import time

from pierhead.cli.build.progress.trace import Trace
from pierhead.cli.errors import CliError
from pierhead.cli.main import getenv, write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

MODES = ("auto", "none", "plain", "quiet", "rawjson", "tty")
#: Not more often than this is the screen drawn.
_RATE_NS = 100_000_000
#: After this long without news it is drawn again: clocks go on.
TICK_S = 0.15


class Display:
    """Takes events, writes them to ``fd`` as ``mode`` wants it. ``mode`` is resolved."""

    def __init__(
        self,
        mode: str,
        fd: int = 2,
        *,
        text: str = "",
        console: str = "",
        phase: str = "Building",
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self.mode = resolve_mode(mode, fd)
        self.trace = Trace()
        self._fd = fd
        self._clock = clock
        self._drawn_ns = 0
        self._pending = False
        if self.mode == "plain":
            from pierhead.cli.build.progress.plain import Plain

            self._plain = Plain(text)
        elif self.mode == "tty":
            from pierhead.cli.build.progress.tty import Colours, Tty

            lines = getenv("BUILDKIT_TTY_LOG_LINES")
            self._tty = Tty(
                console,
                phase=phase,
                colours=Colours(
                    no_color=bool(getenv("NO_COLOR")), setting=getenv("BUILDKIT_COLORS")
                ),
                tail_lines=int(lines) if lines.isdigit() and int(lines) else 6,
            )
        elif self.mode == "rawjson":
            from pierhead.cli.build.progress.rawjson import RawJson

            self._raw = RawJson()

    def update(self, events: Sequence[dict[str, Any]]) -> None:
        """Take events in, draw if it is time to."""
        now = self._clock()
        self.trace.update(events, now)
        if self.mode == "rawjson":
            write_all(self._fd, self._raw.feed(events))
            self.trace.updates.clear()
            return
        if self.mode == "tty":
            self._tty.prepare(self.trace, self._size()[0])
        self._pending = True
        if now - self._drawn_ns >= _RATE_NS:
            self.refresh()

    def refresh(self) -> None:
        """Draw how it stands."""
        now = self._clock()
        self._drawn_ns = now
        if self.mode == "plain":
            if self._pending:
                write_all(self._fd, self._plain.print(self.trace, now))
        elif self.mode == "tty" and self.trace.steps:
            width, height = self._size()
            write_all(self._fd, self._tty.print(self.trace, width, height, now, all=False))
        self._pending = False

    def close(self) -> None:
        """Draw for the last time."""
        now = self._clock()
        if self.mode == "plain":
            write_all(self._fd, self._plain.end(self.trace, now))
        elif self.mode == "tty":
            width, height = self._size()
            write_all(self._fd, self._tty.end(self.trace, width, height, now))

    def _size(self) -> tuple[int, int]:
        """Columns and lines of the terminal."""
        try:
            size = posix.get_terminal_size(self._fd)
        except OSError:
            return 80, 10
        return (size.columns, size.lines) if size.columns and size.lines else (80, 10)


def resolve_mode(mode: str, fd: int) -> str:
    """``auto`` becomes ``tty`` or ``plain``, ``none`` ``quiet``. Raises ``CliError``."""
    if mode in ("", "auto"):
        return "tty" if posix.isatty(fd) else "plain"
    if mode not in MODES:
        raise CliError(f"ERROR: invalid progress mode {mode}")
    if mode == "tty" and not posix.isatty(fd):
        raise CliError("ERROR: failed to get console: provided file is not a console")
    return "quiet" if mode == "none" else mode
