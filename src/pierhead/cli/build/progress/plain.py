"""The build as lines: ``#5 [2/3] RUN make``, ``#5 0.123 text``, ``#5 DONE 0.3s``. No IO.

One step is current at a time; another one gets its turn when it is done, or when it has
had its share. As BuildKit's ``textMux``.
"""

from __future__ import annotations

from pierhead.cli.build.progress.trace import KEPT_LINES, error_logs, transfer_text, warning_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.build.progress.trace import Step, Trace

_SECOND = 1_000_000_000
_FLICKER_NS = 5 * _SECOND
_DELAY_NS = 10 * _SECOND
_TIME_STEP_NS = 5 * _SECOND
_PROGRESS_STEP = 0.05


class Plain:
    """Gives the text of what is new in a trace."""

    def __init__(self, description: str = "") -> None:
        self._description = description
        self._current = ""
        self._last: dict[tuple[str, str], tuple[int, int]] = {}
        self._begun = False
        self._next = 0

    def print(self, trace: Trace, now_ns: int) -> bytes:
        """The lines that are due."""
        out: list[bytes] = []
        completed = [
            trace.steps[digest] for digest in trace.updates if trace.steps[digest].completed
        ]
        rest = {digest for digest in trace.updates if not trace.steps[digest].completed}
        current = self._current
        done = {step.digest for step in completed}
        if current in done:
            self._step(trace, current, out)
        for step in sorted(completed, key=lambda one: (one.completed_ns, one.started_ns)):
            if step.digest != current:
                self._step(trace, step.digest, out)
        if not rest:
            if current and current in trace.steps:
                step = trace.steps[current]
                if step.started and not step.completed:
                    return b"".join(out)
            for step in trace.begun:
                if not step.completed:
                    self._step(trace, step.digest, out)
                    break
            return b"".join(out)
        if current in rest:
            self._step(trace, current, out)
        self._share(trace, rest, current, done, now_ns, out)
        return b"".join(out)

    def _share(
        self,
        trace: Trace,
        rest: set[str],
        current: str,
        done: set[str],
        now_ns: int,
        out: list[bytes],
    ) -> None:
        """Decide whose turn it is among the steps that run."""
        if current:
            rest.add(current)
        speed: dict[str, float] = {}
        blocked: dict[str, int] = {}
        largest = ""
        for step in trace.begun:
            digest = step.digest
            if digest not in rest:
                continue
            blocked[digest] = now_ns - step.active_since
            speed[digest] = step.count / max(blocked[digest] / _SECOND, 1e-9)
            late = blocked[digest] > _DELAY_NS and digest != current
            if late or not largest or speed[largest] < speed[digest]:
                largest = digest
        if not largest:
            return
        if not current or current in done:
            self._step(trace, largest, out)
            return
        for digest in speed:
            if blocked[digest] > _DELAY_NS and digest != current:
                self._step(trace, digest, out)
                return
        share = speed.get(current, 0) / (sum(speed.values()) or 1)
        patience = _FLICKER_NS / (1 - share) if share < 1 else float("inf")
        if patience < blocked.get(current, 0):
            self._step(trace, largest, out)

    def end(self, trace: Trace, now_ns: int) -> bytes:
        """What is left to say when the build is over."""
        return self.print(trace, now_ns) + error_logs(trace, everything=False)

    def _step(self, trace: Trace, digest: str, out: list[bytes]) -> None:
        step = trace.steps.get(digest)
        if step is None:
            return
        if not step.index:
            self._next += 1
            step.index = self._next
        head = f"#{step.index} ".encode()
        if digest != self._current:
            self._switch(trace, out)
            out.append(head + step.name.encode("utf-8", "surrogateescape") + b"\n")
        self._transfers(step, head, out)
        for warning in step.warnings[step.warned :]:
            text = warning_text(warning).encode("utf-8", "surrogateescape")
            out.append(head + b"WARN: " + text + b"\n")
        step.warned = len(step.warnings)
        _logs(step, head, out)
        self._current = digest
        if step.completed:
            self._current = ""
            step.count = 0
            if step.logs_partial:
                out.append(b"\n")
                step.logs_partial = False
            out.append(head + _verdict(step) + b"\n")
        trace.updates.discard(digest)

    def _switch(self, trace: Trace, out: list[bytes]) -> None:
        """Leave the current step for another one."""
        if self._current:
            old = trace.steps[self._current]
            if old.logs_partial:
                out.append(b"\n")
            old.logs_offset = 0
            old.count = 0
            out.append(f"#{old.index} ...\n".encode())
        if self._begun:
            out.append(b"\n")
        else:
            if self._description:
                out.append(f"#0 {self._description}\n\n".encode())
            self._begun = True

    def _transfers(self, step: Step, head: bytes, out: list[bytes]) -> None:
        """Lines of transfers that moved enough."""
        for identifier in step.order:
            if identifier not in step.updated:
                continue
            status = step.statuses[identifier]
            last = self._last.get((step.digest, identifier))
            if last is not None and not status.completed_ns:
                moved = (status.current - last[0]) / status.total if status.total > 0 else 0.0
                if moved < _PROGRESS_STEP and status.time_ns - last[1] < _TIME_STEP_NS:
                    continue
            self._last[step.digest, identifier] = (status.current, status.time_ns)
            size = transfer_text(status)
            text = f"{identifier} {size}" if size else identifier
            seconds = ((status.completed_ns or status.time_ns) - status.started_ns) / _SECOND
            if seconds > 0.01:
                text += f" {seconds:.1f}s"
            if status.completed_ns:
                text += " done"
            out.append(head + text.encode("utf-8", "surrogateescape") + b"\n")
        step.updated.clear()


def _logs(step: Step, head: bytes, out: list[bytes]) -> None:
    last = len(step.logs) - 1
    for at, line in enumerate(step.logs):
        if at == 0 and step.logs_offset:
            out.append(line[step.logs_offset :])
        else:
            out.append(head + line)
        if at != last or not step.logs_partial:
            out.append(b"\n")
            step.kept.append(line)
    del step.kept[:-KEPT_LINES]
    if step.logs_partial and step.logs:
        step.logs = step.logs[-1:]
        step.logs_offset = len(step.logs[0])
    else:
        step.logs = []
        step.logs_offset = 0


def _verdict(step: Step) -> bytes:
    if step.canceled:
        return b"CANCELED"
    if step.error:
        return b"ERROR: " + step.error.encode("utf-8", "surrogateescape")
    if step.cached:
        return b"CACHED"
    return f"DONE {(step.completed_ns - step.started_ns) / _SECOND:.1f}s".encode()
