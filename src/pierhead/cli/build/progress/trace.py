"""What is known of a running build, put together from the daemon's events. No IO.

Both drawings read it: the plain one takes what is new of each step, the terminal's one
what stands. Rules and texts are those of BuildKit's ``progressui``. Events are the
objects of ``client/build_wire.py`` (``EVENT_FIELDS``). Times are nanoseconds.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

#: How many lines of a failed step the plain drawing repeats at the end.
KEPT_LINES = 10
_UNITS = ("kB", "MB", "GB", "TB", "PB", "EB")
_DEFINITION = "[internal] load build definition"


class Status:
    """One transfer within a step."""

    __slots__ = ("completed_ns", "current", "id", "started_ns", "time_ns", "total")

    def __init__(self, event: dict[str, Any]) -> None:
        self.id = str(event.get("id", ""))
        self.current = int(event.get("current", 0))
        self.total = int(event.get("total", 0))
        self.time_ns = int(event.get("time_ns", 0))
        self.started_ns = int(event.get("started_ns", 0))
        self.completed_ns = int(event.get("completed_ns", 0))


class Step:
    """One step of the build."""

    __slots__ = (
        "active_since",
        "bytes_logged",
        "cached",
        "canceled",
        "completed_ns",
        "count",
        "digest",
        "error",
        "index",
        "inputs",
        "kept",
        "logs",
        "logs_offset",
        "logs_partial",
        "miss",
        "name",
        "order",
        "started_ns",
        "statuses",
        "tail",
        "times_shown",
        "updated",
        "warned",
        "warnings",
    )

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.name = ""
        self.inputs: Sequence[str] = ()
        self.started_ns = 0
        self.completed_ns = 0
        self.cached = False
        self.canceled = False
        self.error = ""
        self.miss = ""
        #: Number in the plain drawing, 0 before it was first shown.
        self.index = 0
        #: Lines of output that were not shown yet, each with its time in front.
        self.logs: list[bytes] = []
        self.logs_partial = False
        self.logs_offset = 0
        #: The last lines shown.
        self.kept: list[bytes] = []
        self.statuses: dict[str, Status] = {}
        #: Ids of transfers that changed since they were shown last.
        self.updated: set[str] = set()
        self.order: list[str] = []
        self.warnings: list[dict[str, Any]] = []
        self.warned = 0
        #: For the fair share of the plain drawing: since when, how many updates.
        self.active_since = 0
        self.count = 0
        #: Last output, as a terminal of some lines would have it, for the other drawing.
        self.tail: Any = None
        self.bytes_logged = 0
        self.times_shown = 0

    @property
    def started(self) -> bool:
        """Whether it has begun."""
        return self.started_ns > 0

    @property
    def completed(self) -> bool:
        """Whether it has ended, well or not."""
        return self.completed_ns > 0

    @property
    def failed(self) -> bool:
        """Whether it ended with an error that isn't somebody's wish to stop."""
        return bool(self.error) and not self.canceled

    def touch(self, now_ns: int) -> None:
        """Count one update."""
        if not self.count:
            self.active_since = now_ns
        self.count += 1


class Trace:
    """All steps, and which of them have something new."""

    def __init__(self) -> None:
        self.steps: dict[str, Step] = {}
        #: Steps in the order in which they began.
        self.begun: list[Step] = []
        self.updates: set[str] = set()
        self.warnings: list[dict[str, Any]] = []
        self.start_ns = 0
        #: Ours minus the daemon's clock.
        self.offset_ns = 0

    def update(self, events: Iterable[dict[str, Any]], now_ns: int) -> None:
        """Take events in. ``now_ns`` is this machine's time."""
        for event in events:
            kind = event.get("type")
            if kind == "warning":
                self._warn(event, now_ns)
                continue
            digest = event.get("step", "")
            step = self.steps.get(digest)
            if step is None:
                if kind != "started":
                    continue
                step = self.steps[digest] = Step(digest)
            if kind == "started":
                self._started(step, event, now_ns)
            elif kind == "done":
                step.completed_ns = int(event.get("time_ns", 0)) or now_ns
                step.started_ns = step.started_ns or step.completed_ns
                step.cached = bool(event.get("cached"))
                step.error = str(event.get("error", ""))
                step.canceled = bool(event.get("canceled")) or step.error.endswith(
                    "context canceled"
                )
                step.miss = str(event.get("miss", ""))
            elif kind == "log":
                self._log(step, event)
            elif kind == "progress":
                if not event.get("id"):
                    continue  # that it works, for the classic door
                status = Status(event)
                if status.id not in step.statuses and status.started_ns:
                    step.order.append(status.id)
                step.statuses[status.id] = status
                step.updated.add(status.id)
            step.touch(now_ns)
            self.updates.add(digest)

    def _started(self, step: Step, event: dict[str, Any], now_ns: int) -> None:
        step.name = str(event.get("name", ""))
        step.inputs = event.get("inputs", ())
        if not step.started:
            self.begun.append(step)
        step.started_ns = int(event.get("time_ns", 0)) or now_ns
        step.completed_ns = 0
        if not self.start_ns:
            self.start_ns = step.started_ns
            self.offset_ns = now_ns - step.started_ns

    def _warn(self, event: dict[str, Any], now_ns: int) -> None:
        """A finding belongs to the step that read the Dockerfile, as in BuildKit."""
        self.warnings.append(event)
        for step in self.begun:
            if step.name.startswith(_DEFINITION):
                step.warnings.append(event)
                step.touch(now_ns)
                self.updates.add(step.digest)
                break

    def _log(self, step: Step, event: dict[str, Any]) -> None:
        data = str(event.get("data", "")).encode("utf-8", "surrogateescape")
        if not data:
            return
        step.bytes_logged += len(data)
        if step.tail is not None:
            step.tail.write(data)
        seconds = max(int(event.get("time_ns", 0)) - step.started_ns, 0) / 1e9
        precision = 3 if seconds < 10 else 2 if seconds < 100 else 1
        stamp = f"{seconds:.{precision}f} ".encode()
        pieces = data.split(b"\n")
        complete = not pieces[-1]
        if complete:
            pieces.pop()
        for at, piece in enumerate(pieces):
            if at == 0 and step.logs_partial and step.logs:
                step.logs[-1] += piece
            else:
                step.logs.append(stamp + piece)
        step.logs_partial = not complete

    @property
    def completed(self) -> int:
        """How many steps have ended."""
        return sum(step.completed for step in self.steps.values())


def warning_text(event: dict[str, Any]) -> str:
    """A finding in one line: ``StageNameCasing: Stage name 'Foo' ... (line 1)``."""
    text = str(event.get("text", ""))
    rule = str(event.get("rule", ""))
    if rule and not text.startswith(rule):
        text = f"{rule}: {text}"
    lines = event.get("lines") or ()
    if lines and "(line " not in text:
        text += f" (line {lines[0][0]})"
    return text


def error_logs(trace: Trace, *, everything: bool) -> bytes:
    """What failed steps wrote last, between rules; ``everything`` that was not shown yet."""
    out: list[bytes] = []
    for step in trace.begun:
        if not step.failed:
            continue
        out.append(b"------\n > " + step.name.encode("utf-8", "surrogateescape") + b":\n")
        lines = step.logs if everything else [*step.kept, *step.logs][-KEPT_LINES:]
        out += [line + b"\n" for line in lines]
        out.append(b"------\n")
    return b"".join(out)


def size_text(size: int) -> str:
    """Bytes in powers of 1000 with two digits: ``2B``, ``1.05MB``."""
    if -1000 < size < 1000:
        return f"{size}B"
    value, at = size / 1000, 0
    while not -1000 < value < 1000 and at < len(_UNITS) - 1:
        value /= 1000
        at += 1
    return f"{value:.2f}{_UNITS[at]}"


def transfer_text(status: Status) -> str:
    """``1.05MB / 3.62MB``, ``1.05MB``, or nothing."""
    if status.total:
        return f"{size_text(status.current)} / {size_text(status.total)}"
    return size_text(status.current) if status.current else ""
