"""A build's events as the messages that the classic builder writes. No IO.

One message is one line of JSON; clients print the ``stream`` texts as they are. Texts and
their cuts are those of dockerd 20.10: ``Step 1/3 : FROM busybox`` and its line end are two
messages, `` ---> Running in`` names the container of a step. There are no such containers
here, so their ids are made up of the step's digest. What runs in none in Docker (FROM,
COPY, ADD) says nothing of it here either.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from pierhead.build.execute.model import StepFailed
from pierhead.build.model import Event, StepDone, StepLog, StepProgress, StepStarted, Warned
from pierhead.errors import PierError
from pierhead.oci.digest import Digest

Message = dict[str, Any]

RUNNING: Final = "running"
"""``StepProgress.action`` that says: it was not in the cache, the work begins."""

_WITHOUT_CONTAINER: Final = ("FROM", "COPY", "ADD")
_PROCESS: Final = re.compile(r'process ("(?:[^"\\]|\\.)*"|".*") did not complete', re.DOTALL)
_REMOTE: Final = "[internal] load remote "
_EMPTY_CONTINUATION: Final = "NoEmptyContinuation"
_FUTURE_ERROR: Final = "Empty continuation lines will become errors in a future release."
_SHORT: Final = 12
_BAR: Final = 50


class ClassicDrawing:
    """Takes the events of one build in the order of the Dockerfile."""

    def __init__(
        self, *, remove: bool = True, force_remove: bool = False, aux: bool = True
    ) -> None:
        """``aux``: whether the client knows such messages (API 1.30)."""
        self._remove = remove
        self._aux = aux
        self._force_remove = force_remove
        self._step: StepStarted | None = None
        self._container = ""  # of the step, once it runs
        self._image_id = ""  # what the last step made
        self._in_stage = False
        self._arrow: str | None = None  # of FROM: comes after its triggers
        self._triggers = 0
        self._texts: dict[int, codecs.IncrementalDecoder] = {}
        self._warnings: list[str] = []
        self._downloads: dict[Digest, str] = {}  # steps that fetch the context: its URL

    def draw(self, event: Event) -> list[Message]:
        """What an event adds."""
        if isinstance(event, StepStarted):
            if event.instruction:
                return self._started(event)
            if event.name.startswith(_REMOTE):
                self._downloads[event.step] = event.name.removeprefix(_REMOTE)
            return []
        if isinstance(event, StepLog):
            return self._logged(event)
        if isinstance(event, StepDone):
            return self._done(event)
        if isinstance(event, StepProgress):
            return self._progress(event)
        if isinstance(event, Warned):
            return self._warned(event)
        return []

    def finish(
        self, image_id: str, tags: Sequence[str], *, squashed: bool = False
    ) -> list[Message]:
        """The end of a build that made ``image_id``; ``tags`` in familiar form."""
        messages = self._flush_arrow()
        if self._in_stage and self._aux:
            messages.append({"aux": {"ID": self._image_id or image_id}})
        messages += [stream(text) for text in self._warnings]
        if squashed and self._aux:
            messages.append({"id": "moby.image.id", "aux": {"ID": image_id}})
        messages.append(stream(f"Successfully built {short(image_id)}\n"))
        messages += [stream(f"Successfully tagged {tag}\n") for tag in tags]
        return messages

    def fail(self, error: Exception) -> list[Message]:
        """The end of a build that failed after its first message."""
        messages = self._flush_arrow()
        if self._container and self._force_remove:
            messages.append(stream(f"Removing intermediate container {self._container}\n"))
        messages.append(failure(error))
        return messages

    # -- events --------------------------------------------------------------------------
    def _started(self, event: StepStarted) -> list[Message]:
        self._step, self._container = event, ""
        self._texts.clear()
        if not event.number:
            return self._trigger(event)
        messages = self._flush_arrow()
        if word(event.instruction) == "FROM":
            if self._in_stage and self._image_id and self._aux:
                messages.append({"aux": {"ID": self._image_id}})
            self._in_stage, self._image_id = True, ""
        text = f"Step {event.number}/{event.total} : {event.instruction}"
        return [*messages, stream(text), stream("\n")]

    def _trigger(self, event: StepStarted) -> list[Message]:
        """A step without a number: what an ONBUILD of the base says. ``total``: how many."""
        if self._triggers:
            return []
        self._triggers = count = max(event.total, 1)
        return [stream(f"# Executing {count} build trigger{'s' * (count > 1)}"), stream("\n")]

    def _warned(self, event: Warned) -> list[Message]:
        """Only what the classic builder knows: it has no rules for style."""
        if "build-args" in event.text:
            self._warnings.append(event.text.rstrip("\n") + "\n")
        elif event.rule == _EMPTY_CONTINUATION:
            lines = f"[WARNING]: {event.text}\n[WARNING]: {_FUTURE_ERROR}\n"
            return [stream(f"\x1b[91m{lines}\x1b[0m")]
        return []

    def _progress(self, event: StepProgress) -> list[Message]:
        step = self._step
        if event.step in self._downloads:
            return [
                {
                    "status": self._downloads[event.step],
                    "progressDetail": {"current": event.current},
                    "progress": f"{size(event.current):>8}",
                    "id": "Downloading context",
                }
            ]
        if step is None or event.step != step.step:
            return []
        if event.action == RUNNING:
            return self._running()
        if event.action.lower().startswith("downloading") and event.total:
            detail = {"current": event.current, "total": event.total}
            bar = progress_bar(event.current, event.total)
            return [{"status": "Downloading", "progressDetail": detail, "progress": bar}]
        return []

    def _logged(self, event: StepLog) -> list[Message]:
        if self._step is None or event.step != self._step.step:
            return []
        decoder = self._texts.get(event.stream)
        if decoder is None:
            decoder = self._texts[event.stream] = _decoder()
        text = decoder.decode(event.data)
        messages = self._running()
        if text:
            messages.append(stream(f"\x1b[91m{text}\x1b[0m" if event.stream == 2 else text))
        return messages

    def _running(self) -> list[Message]:
        """Say once that the step runs, in a container if Docker had one for it."""
        step = self._step
        if self._container or step is None or word(step.instruction) in _WITHOUT_CONTAINER:
            return []
        if not self._in_stage:  # an ARG before the first FROM
            return []
        self._container = container_id(step.step, step.time_ns)
        return [stream(f" ---> Running in {self._container}\n")]

    def _done(self, event: StepDone) -> list[Message]:
        step = self._step
        if step is None or event.step != step.step or event.error or event.canceled:
            return []
        messages: list[Message] = []
        if word(step.instruction) == "FROM":
            self._image_id = event.image_id
            self._arrow = event.image_id
            return []
        if not self._in_stage:
            return []
        if event.cached:
            messages.append(stream(" ---> Using cache\n"))
        else:
            messages += self._running()
            if self._container and self._remove:
                messages.append(stream(f"Removing intermediate container {self._container}\n"))
        self._container = ""
        self._image_id = event.image_id
        if step.number:
            messages.append(stream(f" ---> {short(event.image_id)}\n"))
        else:
            self._arrow = event.image_id
        return messages

    def _flush_arrow(self) -> list[Message]:
        arrow, self._arrow = self._arrow, None
        self._triggers = 0
        return [] if arrow is None else [stream(f" ---> {short(arrow)}\n")]


def stream(text: str) -> Message:
    return {"stream": text}


def failure(error: Exception) -> Message:
    """``errorDetail``; with a code only where a command gave one."""
    detail: dict[str, Any] = {"message": words(error)}
    if isinstance(error, StepFailed) and error.exit_code:
        detail = {"code": error.exit_code, **detail}
    return {"errorDetail": detail, "error": detail["message"]}


def words(error: Exception) -> str:
    """An error in the classic builder's words."""
    if not isinstance(error, PierError):
        return f"internal error: {type(error).__name__}: {error}"
    if isinstance(error, StepFailed) and (command := _PROCESS.search(error.message)):
        try:
            text = str(json.loads(command[1]))
        except ValueError:
            text = command[1][1:-1]
        return f"The command '{text}' returned a non-zero code: {error.exit_code}"
    return error.message


def word(instruction: str) -> str:
    """The instruction's first word in capitals."""
    return instruction.split(None, 1)[0].upper() if instruction.strip() else ""


def short(image_id: str) -> str:
    """Twelve digits of an id; "" of none (the empty base)."""
    return image_id.rpartition(":")[2][:_SHORT]


def container_id(step: Digest, time_ns: int) -> str:
    """Twelve digits to stand for the container of a step: another one for each run."""
    return hashlib.sha256(f"{step} {time_ns}".encode()).hexdigest()[:_SHORT]


def progress_bar(current: int, total: int) -> str:
    """``[=====>    ]  1.2MB/3.4MB`` as ``jsonmessage`` draws it for 110 columns or more."""
    filled = min(max(current, 0) * _BAR // max(total, 1), _BAR)
    bar = "=" * filled + ">"
    return f"[{bar:<{_BAR + 1}}] {size(current):>8}/{size(total)}"


def size(count: int) -> str:
    """Bytes in decimal units with up to four digits, as go-units' ``HumanSize``."""
    value, units = float(count), ("B", "kB", "MB", "GB", "TB", "PB")
    at = 0
    while value >= 1000 and at < len(units) - 1:
        value /= 1000
        at += 1
    return f"{value:.4g}{units[at]}"


def _decoder() -> codecs.IncrementalDecoder:
    return codecs.getincrementaldecoder("utf-8")(errors="replace")


def encode(messages: Sequence[Mapping[str, Any]]) -> bytes:
    """Lines as dockerd writes them, each with CR LF. What is no UTF-8 becomes U+FFFD."""
    encoder = msgspec.json.Encoder()
    lines = []
    for message in messages:
        try:
            line = encoder.encode(message)
        except UnicodeEncodeError:
            line = encoder.encode(_readable(message))
        lines.append(line + b"\r\n")
    return b"".join(lines)


def _readable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, Mapping):
        return {key: _readable(item) for key, item in value.items()}
    return value
