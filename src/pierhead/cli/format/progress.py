"""The daemon's stream of JSON messages (load, import, pull, bootstrap) on the screen.

On a terminal every id has its own line, which the cursor goes back to; elsewhere
progress bars are left out and each status is a line. As docker's jsonmessage.
"""

from __future__ import annotations

import time

from pierhead.cli.errors import CliError
from pierhead.cli.format.clock import rfc3339_local
from pierhead.cli.format.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from pierhead.cli.main import Cli

_ERASE_LINE = "\x1b[2K"
_DEFAULT_WIDTH = 200


class Display:
    """Turns messages into terminal text; ``feed`` returns what to write for one.

    ``width`` is the terminal's, None if the output is none.
    """

    def __init__(self, width: int | None, now: Callable[[], float] = time.time) -> None:
        self._terminal = width is not None
        self._width = _DEFAULT_WIDTH if width is None else width
        self._now = now
        self._lines: dict[str, int] = {}

    def feed(self, message: dict[str, Any]) -> str:
        """The text for one message. Raises ``CliError`` for an error message."""
        identifier = str(message.get("id") or "")
        progress = message.get("progressDetail")
        move = ""
        back = ""
        if identifier and (progress is not None or message.get("progress")):
            line = self._lines.get(identifier)
            if line is None:
                line = self._lines[identifier] = len(self._lines)
                if self._terminal:
                    move = "\n"
            distance = len(self._lines) - line
            if self._terminal:
                move += f"\x1b[{distance}A"
                back = f"\x1b[{distance}B"
        else:
            self._lines = {}
        return move + self._one(message, identifier, progress) + back

    def _one(self, message: dict[str, Any], identifier: str, progress: Any) -> str:
        error = message.get("errorDetail")
        if error is None and message.get("error") and not message.get("status"):
            error = {"message": message["error"]}
        if error is not None:
            raise CliError(str(error.get("message") or message.get("error") or ""))
        stream = str(message.get("stream") or "")
        end = ""
        out = []
        bar = self.bar(progress) if progress is not None else ""
        if self._terminal and not stream and progress is not None:
            end = "\r"
            out.append(_ERASE_LINE + end)
        elif progress is not None and bar:
            return ""
        if message.get("timeNano"):
            seconds, nanoseconds = divmod(int(message["timeNano"]), 1_000_000_000)
            out.append(rfc3339_local(seconds, nanoseconds) + " ")
        elif message.get("time"):
            out.append(rfc3339_local(int(message["time"]), 0) + " ")
        if identifier:
            out.append(identifier + ": ")
        if message.get("from"):
            out.append(f"(from {message['from']}) ")
        status = str(message.get("status") or "")
        if progress is not None and self._terminal:
            out.append(f"{status} {bar}{end}")
        elif message.get("progress"):
            out.append(f"{status} {message['progress']}{end}")
        elif stream:
            out.append(stream + end)
        else:
            out.append(f"{status}{end}\n")
        return "".join(out)

    def bar(self, progress: dict[str, Any]) -> str:
        """``[=====>    ]  1.2MB/3.4MB 5s``, as much of it as the width allows."""
        current, total = int(progress.get("current") or 0), int(progress.get("total") or 0)
        units = str(progress.get("units") or "")
        if current <= 0 and total <= 0:
            return ""
        if total <= 0:
            return f"{current} {units}" if units else f"{human_size(current):>8}"
        percent = min(int(current / total * 100) // 2, 50)
        box = f"[{'=' * percent}>{' ' * (50 - percent)}] " if self._width > 110 else ""
        numbers = ""
        if not progress.get("hidecounts"):
            if units:
                whole = "" if current > total else f"/{total}"
                numbers = f"{current}{whole} {units}"
            else:
                numbers = f"{human_size(current):>8}"
                numbers += "" if current > total else "/" + human_size(total)
        return box + numbers + self._left(progress, current, total, percent)

    def _left(self, progress: dict[str, Any], current: int, total: int, percent: int) -> str:
        start = int(progress.get("start") or 0)
        if self._width <= 50 or current <= 0 or start <= 0 or percent >= 50:
            return ""
        from pierhead.cli.gotemplate.values import duration_text

        # In whole nanoseconds, as Go: they decide how it is rounded.
        each = int((self._now() - start) * 1e9 / current)
        return " " + duration_text(_rounded((total - current) * each))


def _rounded(nanoseconds: int) -> int:
    """To whole seconds, halves away from zero."""
    seconds = (abs(nanoseconds) + 500_000_000) // 1_000_000_000 * 1_000_000_000
    return -seconds if nanoseconds < 0 else seconds


def terminal_width(descriptor: int = 1) -> int | None:
    """Columns of the terminal, None if the descriptor is none."""
    import posix

    if not posix.isatty(descriptor):
        return None
    try:
        return posix.get_terminal_size(descriptor).columns
    except OSError:
        return _DEFAULT_WIDTH


def show(
    cli: Cli,
    messages: Iterable[dict[str, Any]],
    *,
    quiet: bool = False,
    to_stderr: bool = False,
    on_aux: Callable[[dict[str, Any]], None] | None = None,
) -> None:
    """Write a stream of messages to stdout. Raises ``CliError`` with the daemon's error."""
    write = cli.err if to_stderr else cli.out
    display = Display(terminal_width(2 if to_stderr else 1))
    for message in messages:
        if message.get("aux") is not None:
            if on_aux is not None:
                on_aux(message["aux"])
            continue
        text = display.feed(message)
        if text and not quiet:
            write(text)
