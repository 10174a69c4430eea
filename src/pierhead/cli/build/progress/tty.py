"""The build on a terminal: one line a step, redrawn in place. No IO.

As BuildKit's ``ttyDisplay``: a head with the time and how many steps are done, a line for
each step and each of its transfers, and under steps that run what they wrote last.
"""

from __future__ import annotations

from pierhead.cli.build.progress.tail import Tail
from pierhead.cli.build.progress.trace import error_logs, transfer_text, warning_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.build.progress.trace import Step, Trace

_SECOND = 1_000_000_000
_MARGIN = 10
_TAIL_LEAST = 6

_COLOURS = {
    "black": "30",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "white": "37",
}


class Colours:
    """SGR codes by what they say; "" is none. ``BUILDKIT_COLORS`` and ``NO_COLOR`` apply."""

    __slots__ = ("cancel", "error", "run", "warning")

    def __init__(self, *, no_color: bool = False, setting: str = "") -> None:
        self.run = "" if no_color else "34"
        self.cancel = self.warning = "" if no_color else "33"
        self.error = "" if no_color else "31"
        if no_color:
            return
        for part in setting.split(":"):
            name, equals, value = part.partition("=")
            if not equals or name not in ("run", "cancel", "error", "warning"):
                continue
            code = _COLOURS.get(value.lower()) or _rgb(value)
            if code:
                setattr(self, name, code)


def _rgb(value: str) -> str:
    """``R,G,B`` as an SGR code, "" if it isn't that."""
    parts = value.split(",")
    if len(parts) == 3 and all(part.isdigit() and int(part) < 256 for part in parts):
        return "38;2;" + ";".join(parts)
    return ""


class _Line:
    __slots__ = ("colour", "completed", "name", "seconds", "status", "step", "tail")

    def __init__(
        self, name: str, seconds: float, *, completed: bool, step: Step | None = None
    ) -> None:
        self.name = name
        self.seconds = seconds
        self.completed = completed
        self.step = step
        self.status = ""
        self.colour = "run"
        self.tail = False


class Tty:
    """Gives what to write so that the screen shows how the build stands."""

    def __init__(
        self,
        description: str = "",
        *,
        phase: str = "Building",
        colours: Colours | None = None,
        tail_lines: int = _TAIL_LEAST,
    ) -> None:
        self._description = description
        self._phase = phase
        self._colours = colours or Colours()
        self._tail_wanted = tail_lines
        self._tail_height = tail_lines
        self._lines = 0
        self._repeated = False

    def prepare(self, trace: Trace, width: int) -> None:
        """Give every step a tail to write its output to; before events are taken in."""
        for step in trace.steps.values():
            if step.tail is None:
                step.tail = Tail(self._tail_height, width - _MARGIN)

    def print(self, trace: Trace, width: int, height: int, now_ns: int, *, all: bool) -> bytes:
        """One drawing. ``all``: the last one, which leaves nothing out."""
        lines = self._select(self._all_lines(trace, now_ns), height, all)
        up = self._lines + 1 - (0 if self._repeated else 1)
        self._repeated = True
        out = ["\x1b[?25l", f"\x1b[{up}A" if up else "", "\x1b[0G"]
        total, done = len(trace.steps), trace.completed
        state = "FINISHED" if all and 0 < done == total else ""
        began = trace.start_ns + trace.offset_ns if trace.start_ns else now_ns
        seconds = max(now_ns - began, 0) / _SECOND
        head = f"[+] {self._phase} {seconds:.1f}s ({done}/{total}) {state}"
        if self._description:
            head = _align(head, self._description, width - 1)
        else:
            head = _align(head, "", width)
        out.append(head[:width] + "\n")
        count = 0
        for line in lines:
            text = self._line(line, width)
            if not text:
                continue
            out.append(text)
            count += 1
            if line.tail and line.step is not None:
                line.step.tail.resize(self._tail_height, width - _MARGIN)
                for written in line.step.tail.shown():
                    out.append(f"\x1b[2m => => # {written}\x1b[0m\x1b[K\n")
                    count += 1
                line.step.times_shown += 1
        if (less := self._lines - count) > 0:
            out.append((" " * width + "\n") * less + f"\x1b[{less}A\x1b[0G")
        self._lines = count
        out.append("\x1b[?25h")
        return "".join(out).encode("utf-8", "replace")

    def end(self, trace: Trace, width: int, height: int, now_ns: int) -> bytes:
        """The last drawing, and what failed steps wrote."""
        drawn = self.print(trace, width, height, now_ns, all=True)
        return drawn + error_logs(trace, everything=True)

    def _line(self, line: _Line, width: int) -> str:
        """One line with its end; "" if there is no room for it."""
        seconds = 0.0 if line.seconds < 0.05 else line.seconds
        timer = f" {seconds:.1f}s\n"
        left = width - 4 - len(timer) - 1
        status = ""
        if line.status and left + len(line.status) > 20:
            status = " " + line.status
            left -= len(status)
        if left < 12:
            return ""
        text = _align(f" => {line.name[:left]}{status}", timer, width)
        colour: str = getattr(self._colours, line.colour)
        if not line.completed or not colour:
            return text
        return f"\x1b[{colour}m{text}\x1b[0m"

    def _all_lines(self, trace: Trace, now_ns: int) -> list[_Line]:
        lines: list[_Line] = []
        offset = trace.offset_ns

        def seconds(start: int, stop: int) -> float:
            return max((stop or now_ns - offset) - start, 0) / _SECOND

        for step in trace.begun:
            name = step.name.replace("\t", " ")
            line = _Line(
                name,
                seconds(step.started_ns, step.completed_ns),
                completed=step.completed,
                step=step,
            )
            if step.canceled:
                line.colour, line.name = "cancel", "CANCELED " + name
            elif step.error:
                line.colour, line.name = "error", "ERROR " + name
            if step.cached:
                line.name = "CACHED " + line.name
            lines.append(line)
            for identifier in step.order:
                status = step.statuses[identifier]
                one = _Line(
                    "=> " + identifier,
                    seconds(status.started_ns, status.completed_ns or step.completed_ns),
                    completed=bool(status.completed_ns),
                )
                one.status = transfer_text(status)
                lines.append(one)
            for warning in step.warnings:
                text = "WARN: " + warning_text(warning)
                one = _Line(text, seconds(step.started_ns, step.completed_ns), completed=True)
                one.colour = "warning"
                lines.append(one)
        return lines

    def _select(self, lines: list[_Line], height: int, all: bool) -> list[_Line]:
        """Which lines have room, and which steps show what they write."""
        talking = [
            line
            for line in lines
            if line.step is not None and line.step.bytes_logged and not line.completed
        ]
        talking.sort(
            key=lambda line: -(line.step.bytes_logged + line.step.times_shown * 50)  # type: ignore[union-attr]
        )
        free = height - 2 - sum(not line.completed for line in lines)
        self._tail_height = max(_TAIL_LEAST, min(self._tail_wanted, height - _TAIL_LEAST - 1))
        hidden = 0
        for line in talking:
            if free <= self._tail_height + 3:
                break
            if line.step is None or line.step.tail is None or all:
                continue
            line.tail = True
            hidden += len(line.step.tail.shown())
            free -= self._tail_height + 3
        return lines if all else _fit(lines, height - 2 - hidden)


def _fit(lines: list[_Line], limit: int) -> list[_Line]:
    """The last ``limit`` lines; what runs and would be cut off takes the place of what is done."""
    if limit < 0:
        return []
    if len(lines) <= limit:
        return lines
    kept = lines[len(lines) - limit :]
    unseen = [line for line in lines[: len(lines) - limit] if not line.completed]
    if not unseen:
        return kept
    rest: list[_Line] = []
    needed = len(unseen)
    for line in kept:
        if not line.completed or needed <= 0:
            rest.append(line)
        needed -= 1
    room = len(kept) - len(rest)
    return unseen[len(unseen) - room :] + rest if room else rest


def _align(left: str, right: str, width: int) -> str:
    return f"{left:<{max(width - len(right) - 1, 0)}} {right}"
