"""What ``pier build`` and pierd say to each other on ``POST /pierhead/build``. Pure framing.

The request has no body and is hijacked (``Client.hijack``); then both sides send frames::

    kind (1 byte) · channel (4 bytes, big endian) · length (4 bytes) · payload (≤ 1 MiB)

Channel 0 is the build itself. The client begins with ``START`` (options, JSON) and the
daemon ends with one ``RESULT`` or ``FAILED``; in between come ``EVENTS``. What the daemon
needs of the client it asks for with ``ASK`` on a channel whose number it chooses, and the
client answers on that channel with ``DATA``... ``LAST``, or with ``FAIL``:

=================  ==================================================================
``op``             answer
=================  ==================================================================
``context``        the bytes of the context tar (options said ``"context_tar": true``)
``local``          ``name include exclude follow shared_key`` → a listing: each payload is
                   a JSON list of entries (``pack_entries``). The channel stays known
                   until ``CLOSE``: ``content`` refers to it
``content``        ``of`` (the listing's channel), ``path`` → that file's bytes
``secret``         ``id`` → its bytes; ``FAIL`` of kind ``not_found`` if there is none
``ssh``            ``id`` → nothing (``LAST``) if there is an agent, else ``FAIL`` ``not_found``
``ssh-connect``    ``id`` → both ways: what the agent says, and ``DATA``/``LAST`` for it
``credentials``    ``host`` → JSON ``[user, password]`` (``["", token]``: identity token)
                   or ``null``
``receive``        ``number type attributes`` of an output → the *daemon* sends
                   ``DATA``... ``LAST``, a tar; the client answers ``LAST`` (or ``FAIL``)
                   when all of it is in place
=================  ==================================================================

Paths in JSON are text with ``surrogateescape`` for bytes that aren't UTF-8.

Flow control: on each channel the client may have sent ``WINDOW_BYTES`` of ``DATA`` and
``LAST`` payload more than the daemon granted back with ``WINDOW`` (4 bytes, how many more).
The other way there is none: the client reads what comes. ``CLOSE`` from the daemon ends a
channel early; what still comes on it is ignored. The client may end everything with
``CANCEL`` and still gets the events and ``FAILED``; closing the connection cancels, too.

``POST /pierhead/build/debug/{id}?cmd=JSON&tty=1&h=24&w=80`` opens a shell in a failed step and
speaks in the same frames: ``DATA`` and ``LAST`` on channel ``DEBUG_INPUT`` from the client,
``DATA`` on ``DEBUG_OUTPUT`` and ``DEBUG_ERRORS`` from the daemon, ``RESIZE``, ``EXITED``.

Options are ``build.model.BuildOptions`` by field names, as plain JSON; left out is the
default; bytes are base64. Only here: ``context_tar`` (bool); ``call`` (``check``, ``outline``,
``targets``: nothing is built, ``RESULT`` has ``described``); ``keep`` (bool: the build is held,
for others' ``solved://REF`` contexts, until the client closes the connection). Events are
JSON objects, see ``EVENT_FIELDS``; ``RESULT`` is ``{"ref", "digest", "images": [{"platform",
"id", "manifest"}], "metadata", "warnings"}``; ``FAILED`` is ``{"kind", "message", "ref",
"exit_code", "debug_id", "step", "file", "lines", "source"}``, ``kind`` as in
``pierhead.errors``, or ``canceled``; what isn't known is left out.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any, Final

START: Final = 1
CANCEL: Final = 2
DATA: Final = 3
LAST: Final = 4
"""Data (or none) and the end of what this side sends on the channel."""
FAIL: Final = 5
"""Instead of more data: JSON ``{"kind", "message"}``."""
WINDOW: Final = 6
ASK: Final = 7
CLOSE: Final = 8
EVENTS: Final = 9
"""A JSON list of event objects."""
RESULT: Final = 10
FAILED: Final = 11
RESIZE: Final = 12
"""Debug shell, from the client: JSON ``[height, width]`` of its terminal."""
EXITED: Final = 13
"""Debug shell, the last frame: JSON ``{"exit_code"}``."""

DEBUG_INPUT: Final = 0
DEBUG_OUTPUT: Final = 1
DEBUG_ERRORS: Final = 2

HEAD_BYTES: Final = 9
PAYLOAD_LIMIT_BYTES: Final = 1 << 20
CHUNK_BYTES: Final = 256 << 10
"""What to send at a time."""
WINDOW_BYTES: Final = 4 << 20
ENTRIES_AT_A_TIME: Final = 500

EVENT_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "started": ("time_ns", "step", "name", "inputs", "stage", "instruction", "number", "total"),
    "done": ("time_ns", "step", "cached", "error", "canceled", "miss", "image_id"),
    "log": ("time_ns", "step", "stream", "data"),
    "progress": (
        "time_ns",
        "step",
        "id",
        "action",
        "current",
        "total",
        "started_ns",
        "completed_ns",
    ),
    "warning": (
        "time_ns",
        "rule",
        "text",
        "description",
        "url",
        "file",
        "lines",
        "source",
        "level",
    ),
}
"""``type`` of an event object → its other fields, those of ``build.model``'s ``StepStarted``,
``StepDone``, ``StepLog``, ``StepProgress``, ``Warned``. Fields that are empty, false or 0 are
left out. ``data`` and ``source`` are text with ``surrogateescape``."""


class WireError(Exception):
    """The other side doesn't keep to this page."""


def frame(kind: int, channel: int, payload: bytes = b"") -> bytes:
    """One frame. ``payload`` is at most ``PAYLOAD_LIMIT_BYTES``."""
    if len(payload) > PAYLOAD_LIMIT_BYTES:
        raise WireError(f"a frame of {len(payload)} bytes is too long")
    return bytes((kind,)) + (channel << 32 | len(payload)).to_bytes(8, "big") + payload


def frames(channel: int, data: bytes, *, last: bool = False) -> bytes:
    """``data`` of any length as DATA frames, the last one ``LAST`` if it is the end."""
    view = memoryview(data)
    parts = [
        frame(DATA, channel, bytes(view[at : at + CHUNK_BYTES]))
        for at in range(0, len(view), CHUNK_BYTES)
    ]
    if last:
        parts[-1:] = [bytes((LAST,)) + parts[-1][1:] if parts else frame(LAST, channel)]
    return b"".join(parts)


def json_frame(kind: int, channel: int, value: Any) -> bytes:
    """One frame of compact JSON."""
    return frame(kind, channel, encode(value))


def encode(value: Any) -> bytes:
    from pierhead.client.json_fast import dumps  # the package costs a client 5 ms

    return dumps(value).encode("ascii")


def decode(payload: bytes) -> Any:
    """JSON of the other side. Raises ``WireError``."""
    from pierhead.client.json_fast import loads

    try:
        return loads(payload.decode())
    except (ValueError, RecursionError) as error:
        raise WireError(f"broken JSON in a frame: {error}") from error


class Decoder:
    """Takes bytes as they come, gives whole frames."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._wanted = HEAD_BYTES
        """So many bytes make the next frame, or at least its head, whole."""

    def feed(self, data: bytes) -> Iterator[tuple[int, int, bytes]]:
        """``(kind, channel, payload)`` of each frame that is complete. Raises ``WireError``."""
        if data:
            self._parts.append(data)
            self._size += len(data)
        if self._size < self._wanted:
            return
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        at, size = 0, len(data)
        self._wanted = HEAD_BYTES
        try:
            while size - at >= HEAD_BYTES:
                length = int.from_bytes(data[at + 5 : at + HEAD_BYTES], "big")
                if length > PAYLOAD_LIMIT_BYTES:
                    raise WireError(f"a frame of {length} bytes is too long")
                end = at + HEAD_BYTES + length
                if end > size:
                    self._wanted = end - at
                    break
                kind, channel = data[at], int.from_bytes(data[at + 1 : at + 5], "big")
                payload = data[at + HEAD_BYTES : end]
                at = end
                yield kind, channel, payload
        finally:  # whoever asks may stop at any frame
            rest = data[at:] if at else data
            self._parts = [rest] if rest else []
            self._size = size - at

    @property
    def pending(self) -> bool:
        """A frame has begun and is not complete."""
        return self._size > 0


# An entry of a listing is a list, what stands at its end may be left out when it is 0 or empty:
# [path, mode, size, mtime_ns, uid, gid, link, hard_link, major, minor, {xattr: base64}]
_NOTHING: Final[tuple[Any, ...]] = ("", 0, 0, 0, 0, 0, "", 0, 0, 0, {})


def pack_entry(
    path: bytes,
    mode: int,
    size: int = 0,
    mtime_ns: int = 0,
    *,
    uid: int = 0,
    gid: int = 0,
    link: bytes = b"",
    hard_link: bool = False,
    device: tuple[int, int] = (0, 0),
    xattrs: dict[str, bytes] | None = None,
) -> list[Any]:
    """One file of a listing, fields as in ``build.model.FileStat``."""
    entry: list[Any] = [path.decode("utf-8", "surrogateescape"), mode, size, mtime_ns]
    if uid or gid or link or xattrs or hard_link or device != (0, 0):
        named: dict[str, str] = {}
        if xattrs:
            from binascii import b2a_base64

            named = {key: b2a_base64(xattrs[key], newline=False).decode() for key in xattrs}
        target = link.decode("utf-8", "surrogateescape")
        entry += [uid, gid, target, int(hard_link), device[0], device[1], named]
        while entry[-1] == _NOTHING[len(entry) - 1]:
            entry.pop()
    return entry


def pack_entries(channel: int, entries: Iterable[list[Any]]) -> Iterator[bytes]:
    """DATA frames of a listing, some hundred entries in each; ``LAST`` is yours to send."""
    batch: list[list[Any]] = []
    for entry in entries:
        batch.append(entry)
        if len(batch) == ENTRIES_AT_A_TIME:
            yield from _entry_frames(channel, batch)
            batch = []
    yield from _entry_frames(channel, batch)


def _entry_frames(channel: int, batch: list[list[Any]]) -> Iterator[bytes]:
    payload = encode(batch)
    if len(payload) <= CHUNK_BYTES:
        if batch:
            yield frame(DATA, channel, payload)
    else:  # long names
        for entry in batch:
            yield json_frame(DATA, channel, [entry])


def unpack_entries(payload: bytes) -> list[Sequence[Any]]:
    """The entries of one payload, each whole: paths, links and xattrs as bytes.

    Raises ``WireError`` for what isn't one.
    """
    found: list[Sequence[Any]] = []
    entries = decode(payload) if payload else []
    if not isinstance(entries, list):
        raise WireError("a listing is a list")
    for entry in entries:
        if type(entry) is list and len(entry) == 4:  # nearly all of them
            path, mode, size, mtime_ns = entry
            if type(path) is str and type(mode) is type(size) is type(mtime_ns) is int:
                try:
                    name = path.encode("utf-8", "surrogateescape")
                except ValueError as error:
                    raise WireError(f"an entry of a listing has no name: {error}") from error
                found.append((name, mode, size, mtime_ns, 0, 0, b"", False, 0, 0, {}))
                continue
        if not isinstance(entry, list) or not 2 <= len(entry) <= len(_NOTHING):
            raise WireError("an entry of a listing is a list of 2 to 11 fields")
        whole = [*entry, *_NOTHING[len(entry) :]]
        for value, nothing in zip(whole, _NOTHING, strict=True):
            if type(value) is not type(nothing):
                raise WireError(f"an entry of a listing has {value!r}")
        try:
            whole[0] = whole[0].encode("utf-8", "surrogateescape")
            whole[6] = whole[6].encode("utf-8", "surrogateescape")
            if whole[10]:
                from binascii import a2b_base64

                whole[10] = {key: a2b_base64(text) for key, text in whole[10].items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise WireError(f"an entry of a listing has text that is none: {error}") from error
        whole[7] = bool(whole[7])
        found.append(whole)
    return found
