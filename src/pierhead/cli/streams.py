"""Two-way streams: what the user types to the container, its output to stdout and stderr.

One thread, one ``poll``: the daemon's connection, stdin, and a pipe that signals write to.
Nothing is read from stdin while earlier input waits to be sent, so a process that reads
slowly slows the typist and not the other way round.
"""

from __future__ import annotations

import posix
import select

from pierhead.cli.errors import CliError
from pierhead.cli.main import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pierhead.cli.signals import Signals
    from pierhead.cli.terminal import DetachKeys
    from pierhead.client.http import Hijacked

_IN = select.POLLIN | select.POLLHUP | select.POLLERR
_CHUNK = 65536


class Detached(Exception):
    """The detach sequence was typed."""


class Demultiplexer:
    """Docker's output frames: stream number, three zeros, length (big endian), bytes.

    ``feed`` writes what has arrived of each frame at once, so a frame need not be whole.
    """

    __slots__ = ("_left", "_rest", "_stream", "targets")

    def __init__(self, targets: dict[int, int]) -> None:
        #: stream number -> descriptor to write to; others are dropped
        self.targets = targets
        self._rest = b""
        self._left = 0
        self._stream = 1

    def feed(self, data: bytes) -> None:
        """Write the payload. Raises ``CliError`` for a stream that carries an error."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        start, end = 0, len(data)
        run: list[bytes] = []
        run_target = -1
        while start < end:
            if not self._left:
                if end - start < 8:
                    self._rest = data[start:]
                    break
                self._stream = data[start]
                self._left = int.from_bytes(data[start + 4 : start + 8], "big")
                start += 8
                if self._stream == 3:
                    message = data[start : start + self._left]
                    raise CliError(
                        f"error from daemon in stream: {message.decode('utf-8', 'replace')}"
                    )
                continue
            part = data[start : start + self._left]
            start += len(part)
            self._left -= len(part)
            target = self.targets.get(self._stream, -1)
            if target != run_target:
                if run and run_target >= 0:
                    write_all(run_target, b"".join(run))
                run, run_target = [], target
            run.append(part)
        if run and run_target >= 0:
            write_all(run_target, b"".join(run))


def pump(
    stream: Hijacked,
    *,
    stdin: int | None,
    stdout: int | None,
    stderr: int | None,
    tty: bool,
    detach: DetachKeys | None = None,
    signals: Signals | None = None,
    on_signal: Callable[[int], None] | None = None,
) -> None:
    """Copy until the output ends, or, where none is wanted, until the input has been sent.

    Raises ``Detached``, and ``CliError`` for an error that the daemon puts into the
    stream. ``on_signal`` is called for each signal that arrives meanwhile.
    """
    demultiplexer: Demultiplexer | None = None
    if not tty:
        demultiplexer = Demultiplexer({})
        for number, target in ((0, stdout), (1, stdout), (2, stderr)):
            if target is not None:
                demultiplexer.targets[number] = target
    wants_output = stdout is not None or stderr is not None
    sock = stream.connection.sock
    plain = not hasattr(sock, "pending")
    sock.setblocking(False)
    poll = select.poll()
    socket_fd = stream.fileno()
    poll.register(socket_fd, _IN)
    reading = stdin is not None
    if stdin is not None:
        poll.register(stdin, _IN)
    signal_fd = -1
    if signals is not None:
        signal_fd = signals.fileno()
        poll.register(signal_fd, select.POLLIN)
    pending = b""
    closing = False

    def output() -> bool:
        """Read and write what is there; False at the end of the stream."""
        while True:
            try:
                data = stream.receive()
            except BlockingIOError:
                return True
            except OSError as error:
                if type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError"):
                    return True
                return False
            if not data:
                return False
            if demultiplexer is not None:
                demultiplexer.feed(data)
            elif stdout is not None:
                write_all(stdout, data)
            if plain and len(data) < _CHUNK:
                return True

    try:
        if stream.connection.buffer and not output():
            return
        while True:
            for fd, _ in poll.poll():
                if fd == socket_fd:
                    if pending:
                        pending = _send(sock, pending)
                        if not pending:
                            poll.modify(socket_fd, _IN)
                            if closing:
                                stream.close_write()
                                closing = False
                            elif reading and stdin is not None:
                                poll.register(stdin, _IN)
                    if not output():
                        return
                elif fd == signal_fd and signals is not None:
                    for number in signals.read():
                        if on_signal is not None:
                            on_signal(number)
                elif fd == stdin:
                    try:
                        data = posix.read(stdin, _CHUNK)
                    except BlockingIOError:
                        continue
                    except OSError:
                        data = b""
                    detached = False
                    if not data:
                        reading = False
                        poll.unregister(stdin)
                        if pending:
                            closing = True
                        else:
                            stream.close_write()
                        if not wants_output:
                            return
                        continue
                    if detach is not None:
                        data, detached = detach.feed(data)
                    pending = _send(sock, pending + data) if data else pending
                    if detached:
                        raise Detached
                    if pending:
                        poll.modify(socket_fd, _IN | select.POLLOUT)
                        poll.unregister(stdin)
    finally:
        try:
            sock.setblocking(True)
        except OSError:
            pass


def poll_two(first: int, second: int) -> tuple[bool, bool]:
    """Wait until one of the descriptors is readable; which ones are."""
    poll = select.poll()
    poll.register(first, _IN)
    poll.register(second, _IN)
    ready = [fd for fd, _ in poll.poll()]
    return first in ready, second in ready


def _send(sock: object, data: bytes) -> bytes:
    """Send what fits; answer the rest. The other side's hang-up swallows all of it."""
    send = sock.send  # type: ignore[attr-defined]
    view = memoryview(data)
    while view:
        try:
            view = view[send(view) :]
        except BlockingIOError:
            break
        except OSError as error:
            if type(error).__name__ in ("SSLWantReadError", "SSLWantWriteError"):
                break
            return b""
    return bytes(view)
