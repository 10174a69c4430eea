"""What is kept of every build: its steps with their times, hits and misses, and their logs.

Records are rows of ``build_history``, logs a file beside the database for each build, in
frames: step number (2 bytes), stream (1), length (4), bytes. The oldest go when there are
more than ``KEPT`` (pinned ones stay).
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec

from pierhead.build.model import BuildOptions
from pierhead.errors import Conflict, NotFound, PierError
from pierhead.store.database import Database

log = logging.getLogger(__name__)

KEPT: Final = 100
LOG_LIMIT_BYTES: Final = 16 << 20
"""Of one build; what comes after is not kept."""
_HEAD: Final = struct.Struct(">HBI")
_ESCAPES: Final = re.compile(
    rb"(\\\\|\\ud[89ab][0-9a-f]{2}\\ud[c-f][0-9a-f]{2})|\\ud[89a-f][0-9a-f]{2}"
)
_TEXT_LIMIT: Final = 1 << 20


@dataclass(slots=True, kw_only=True)
class HistoryStep:
    """One step of a build, as ``pier build history inspect`` shows it."""

    id: str
    name: str
    instruction: str = ""
    stage: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    """0: it hasn't ended."""
    cached: bool = False
    miss: str = ""
    error: str = ""
    canceled: bool = False
    inputs: list[str] = field(default_factory=list)
    debug_id: str = ""
    max_memory_bytes: int = 0
    cpu_ns: int = 0
    log_bytes: int = 0
    lines: tuple[int, int] = (0, 0)


@dataclass(slots=True, kw_only=True)
class HistoryRecord:
    """One build. Kept as JSON in ``build_history``, logs in a file beside."""

    ref: str
    name: str = ""
    """First tag, or the Dockerfile and context: for lists."""
    status: str = "running"
    """``running``, ``completed``, ``error``, ``canceled``."""
    error: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    door: str = ""
    dockerfile: str = ""
    """Its text."""
    dockerfile_name: str = ""
    context: str = ""
    target: str = ""
    platforms: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    build_args: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    steps: list[HistoryStep] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    materials: list[dict[str, str]] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    """``platform``, ``id``, ``manifest`` of what came of it."""
    digest: str = ""
    debug_id: str = ""
    pinned: bool = False
    vcs: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> bytes:
        text = replace(self, dockerfile=self.dockerfile[:_TEXT_LIMIT])
        try:
            return msgspec.json.encode(text)
        except UnicodeEncodeError:
            return _readable(json.dumps(msgspec.to_builtins(text)).encode())

    @classmethod
    def of_document(cls, data: bytes) -> HistoryRecord:
        """Fields that are no longer known are left out."""
        return msgspec.json.decode(_readable(data), type=cls)


class NoLogs:
    """For builds that only look at the Dockerfile."""

    def write(self, step: str, stream: int, data: bytes) -> None:
        del step, stream, data


class StepLogs:
    """The log file of one build that runs. The file is made with the first output."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._numbers: dict[str, int] = {}
        self._bytes = 0

    def write(self, step: str, stream: int, data: bytes) -> None:
        """Buffered by the file object, so it costs microseconds; a full disk only loses logs."""
        if self._bytes + len(data) > LOG_LIMIT_BYTES:
            return
        try:
            if self._file is None:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._file = open(self._path, "wb")
            number = self._numbers.get(step)
            if number is None:
                number = self._numbers[step] = len(self._numbers)
                name = step.encode()
                self._file.write(_HEAD.pack(number, 0, len(name)) + name)
            self._file.write(_HEAD.pack(number, stream, len(data)) + data)
            self._bytes += len(data)
        except OSError as error:
            log.warning("a build's log can't be kept", extra={"error": str(error)})
            self._bytes = LOG_LIMIT_BYTES

    def flush(self) -> None:
        if self._file is not None:
            try:
                self._file.flush()
            except OSError:
                self._bytes = LOG_LIMIT_BYTES

    def close(self) -> None:
        if self._file is not None:
            try:
                self._file.close()
            except OSError as error:
                log.warning("a build's log can't be kept", extra={"error": str(error)})
            self._file = None


def read_log(data: bytes) -> list[tuple[str, bytes]]:
    """A log file's steps and what they printed, in order of their first output."""
    names: dict[int, str] = {}
    texts: dict[int, list[bytes]] = {}
    at = 0
    while at + _HEAD.size <= len(data):
        number, stream, length = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + length]
        at += _HEAD.size + length
        if stream == 0:
            names[number] = body.decode()
            texts.setdefault(number, [])
        elif number in texts:
            texts[number].append(body)
    return [(names[number], b"".join(parts)) for number, parts in texts.items()]


class History:
    """All records: those of builds that run in memory, the others in the database."""

    def __init__(self, db: Database, directory: Path) -> None:
        self._db = db
        self._directory = directory
        self._running: dict[str, HistoryRecord] = {}
        self._logs: dict[str, StepLogs] = {}

    def begin(self, ref: str, options: BuildOptions) -> HistoryRecord:
        name = options.tags[0] if options.tags else ""
        context = options.context_name or options.context
        record = HistoryRecord(
            ref=ref,
            name=name or f"{context or 'no context'} ({options.dockerfile})",
            started_ns=time.time_ns(),
            door=options.door or "buildkit",
            dockerfile_name=options.dockerfile,
            context=context,
            target=options.target,
            platforms=list(options.platforms),
            tags=list(options.tags),
            build_args=dict(options.build_args),
            labels=dict(options.labels),
        )
        self._running[ref] = record
        return record

    def open_log(self, ref: str) -> StepLogs:
        logs = self._logs[ref] = StepLogs(self._directory / f"{ref}.log")
        return logs

    def end(self, record: HistoryRecord, error: BaseException | None, *, cancelled: bool) -> None:
        """The build is over: write its record, let the oldest go."""
        self._running.pop(record.ref, None)
        self._logs.pop(record.ref, None)
        record.finished_ns = time.time_ns()
        if error is None:
            record.status = "completed"
        elif cancelled or isinstance(error, asyncio.CancelledError):
            record.status, record.error = "canceled", "context canceled"
        else:
            record.status = "error"
            record.error = error.message if isinstance(error, PierError) else str(error)
        for step in record.steps:
            record.debug_id = step.debug_id or record.debug_id
        self._write(record)
        self._trim()

    def _write(self, record: HistoryRecord) -> None:
        self._db.execute(
            "INSERT OR REPLACE INTO build_history (ref, started_ns, record) VALUES (?, ?, ?)",
            (record.ref, record.started_ns, record.document()),
        )

    def _trim(self) -> None:
        count = self._db.row("SELECT COUNT(*) FROM build_history")
        if count is None or count[0] <= KEPT:
            return
        for (document,) in self._db.rows(
            "SELECT record FROM build_history ORDER BY started_ns DESC LIMIT -1 OFFSET ?", (KEPT,)
        ):
            record = HistoryRecord.of_document(document)
            if not record.pinned:
                self._drop(record.ref)

    def _drop(self, ref: str) -> None:
        self._db.execute("DELETE FROM build_history WHERE ref = ?", (ref,))
        (self._directory / f"{ref}.log").unlink(missing_ok=True)

    def all(self) -> list[HistoryRecord]:
        """Newest first."""
        done = []
        for (document,) in self._db.rows(
            "SELECT record FROM build_history ORDER BY started_ns DESC"
        ):
            try:
                done.append(HistoryRecord.of_document(document))
            except msgspec.DecodeError as error:
                log.warning("a build's record can't be read", extra={"error": str(error)})
        running = sorted(self._running.values(), key=lambda record: -record.started_ns)
        return [*running, *done]

    def find(self, ref: str) -> HistoryRecord:
        """By ref, unique prefix, or ``^0`` for the newest; ``NotFound``, ``Conflict``."""
        if ref in self._running:
            return self._running[ref]
        row = self._db.row("SELECT record FROM build_history WHERE ref = ?", (ref,))
        if row is not None:
            return HistoryRecord.of_document(row[0])
        records = self.all()
        if not ref or (ref.startswith("^") and ref[1:].isdigit()):
            offset = int(ref[1:]) if ref else 0
            if offset < len(records):
                return records[offset]
            raise NotFound(f"no such build: {ref}" if ref else "no builds yet")
        found = [record for record in records if record.ref.startswith(ref)]
        if len(found) > 1:
            raise Conflict(f"several builds begin with {ref}")
        if not found:
            raise NotFound(f"no such build: {ref}")
        return found[0]

    def logs(self, ref: str) -> list[tuple[str, bytes]]:
        if (running := self._logs.get(ref)) is not None:
            running.flush()
        try:
            return read_log((self._directory / f"{ref}.log").read_bytes())
        except FileNotFoundError:
            return []

    def pin(self, ref: str, pinned: bool) -> None:
        """Keep a record whatever comes, or don't."""
        record = self.find(ref)
        record.pinned = pinned
        if record.ref not in self._running:
            self._write(record)

    def remove(self, ref: str) -> int:
        """One, or with "" all that are over and not pinned. ``Conflict`` for one that runs."""
        if ref:
            record = self.find(ref)
            if record.ref in self._running:
                raise Conflict(f"build {record.ref} is under way")
            self._drop(record.ref)
            return 1
        gone = [record.ref for record in self.all() if not record.pinned]
        gone = [each for each in gone if each not in self._running]
        for each in gone:
            self._drop(each)
        return len(gone)

    def recover(self) -> None:
        """At start: drop logs without a record (of builds that a kill ended)."""
        try:
            found = list(self._directory.iterdir())
        except FileNotFoundError:
            return
        known = {ref for (ref,) in self._db.rows("SELECT ref FROM build_history")}
        for path in found:
            if path.stem not in known:
                path.unlink(missing_ok=True)


def _readable(data: bytes) -> bytes:
    """JSON whose texts are text: what was no UTF-8 in a Dockerfile is U+FFFD.

    Python writes half of a surrogate pair as an escape; msgspec neither writes nor reads it.
    """
    return _ESCAPES.sub(lambda found: found[1] or b"\\ufffd", data)
