"""conmon's k8s-file log, read without IO.

A record is one line of the file::

    2026-01-02T03:04:05.123456789+01:00 stdout F the text
    2026-01-02T03:04:05.123456789+01:00 stderr P a piece of a line, more

``F`` ends a line of output, ``P`` does not (conmon's buffer was full, or the process wrote
no newline). Rejoined, the pieces give the process's bytes back exactly.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final, NamedTuple

from pierhead.engine.streams import STDERR, STDOUT

TIMESTAMP_BYTES: Final = 35
_STREAMS: Final = {b"stdout": STDOUT, b"stderr": STDERR}
# A line longer than this in the file is no record of conmon's (its buffer is 8 KiB).
MAX_RECORD_BYTES: Final = 1 << 20


class Entry(NamedTuple):
    """One record. ``data`` ends in a newline unless it is a piece; ``first`` starts a line."""

    stream: int
    timestamp: bytes
    data: bytes
    first: bool


class LogParser:
    """Feed it the file's bytes in any portions; broken records are skipped, never raised."""

    def __init__(self) -> None:
        self._rest = b""
        self._inside = {STDOUT: False, STDERR: False}  # the last piece had no end yet

    def feed(self, data: bytes) -> list[Entry]:
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MAX_RECORD_BYTES:
            self._rest = b""
        entries = []
        inside = self._inside
        for line in lines:
            record = split_record(line)
            if record is None:
                continue
            timestamp, stream, full, text = record
            entries.append(
                Entry(stream, timestamp, text + b"\n" if full else text, not inside[stream])
            )
            inside[stream] = not full
        return entries


def split_record(line: bytes) -> tuple[bytes, int, bool, bytes] | None:
    """(timestamp, stream, whether it ends a line, text); None for what is no record."""
    parts = line.split(b" ", 3)
    if len(parts) != 4:
        return None
    timestamp, name, tag, text = parts
    stream = _STREAMS.get(name)
    if stream is None or tag not in (b"F", b"P") or len(timestamp) < 20:
        return None
    return timestamp, stream, tag == b"F", text


def time_ns(timestamp: bytes) -> int:
    """Nanoseconds since the epoch; 0 for what is no timestamp."""
    try:
        text = timestamp.decode("ascii")
        whole, _, rest = text.partition(".")
        fraction = rest[: len(rest) - len(rest.lstrip("0123456789"))]
        zone = rest[len(fraction) :]
        moment = datetime.fromisoformat(whole + ("+00:00" if zone == "Z" else zone))
        seconds = int((moment - _EPOCH).total_seconds())
        return seconds * 1_000_000_000 + int(fraction[:9].ljust(9, "0"))
    except ValueError:
        return 0
    except TypeError:  # no zone: naive minus aware
        return 0


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def rfc3339_nano(ns: int) -> str:
    """As ``docker logs -t`` prints times: UTC, nine digits."""
    seconds, fraction = divmod(ns, 1_000_000_000)
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def tail_offset(block: bytes, wanted: int, seen: int, open_streams: set[int]) -> tuple[int, int]:
    """Where in ``block`` the last ``wanted`` lines begin, reading backwards.

    ``block`` starts at the beginning of a record. ``seen`` lines were counted in later
    blocks already, ``open_streams`` are those whose unfinished last piece was counted.
    Returns (offset or -1 for "all of it", lines seen now).
    """
    end = len(block)
    while end > 0:
        start = block.rfind(b"\n", 0, end - 1) + 1
        record = split_record(block[start:end].rstrip(b"\n"))
        if record is not None:
            _, stream, full, _ = record
            # Going backwards, the end of a line (or a last piece without one) is met first.
            if full or stream not in open_streams:
                seen += 1
                if seen > wanted:
                    return end, seen - 1
            open_streams.add(stream)
        end = start
    return -1, seen
