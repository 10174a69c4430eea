"""Where the bytes of an output go: a file, stdout, or a directory that a tar is unpacked in."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.main import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Protocol

    class Target(Protocol):
        """Takes the bytes of one output."""

        def write(self, data: bytes) -> None: ...
        def finish(self) -> None:
            """All of it has come: put it in its place. Raises ``OSError`` or ``CliError``."""
            ...

        def abandon(self) -> None:
            """Nothing more comes: leave nothing half done where that can be helped."""
            ...


class Stdout:
    """Straight to stdout."""

    def write(self, data: bytes) -> None:
        write_all(1, data)

    def finish(self) -> None:
        pass

    def abandon(self) -> None:
        pass


class File:
    """A file that appears when it is complete."""

    def __init__(self, path: str) -> None:
        from pierhead.cli.output_file import OutputFile

        self._file = OutputFile(path)
        self._file.__enter__()

    def write(self, data: bytes) -> None:
        self._file.write(data)

    def finish(self) -> None:
        self._file.__exit__(None)

    def abandon(self) -> None:
        self._file.__exit__(CliError)


class Directory:
    """A directory (made if need be) that a tar is unpacked into, in a thread of its own.

    Nothing is written outside of it, whatever the tar says. What was there stays, as with
    BuildKit's local output.
    """

    def __init__(self, path: str) -> None:
        import threading

        self._path = path
        make_directories(path)
        reader, self._writer = posix.pipe2(posix.O_CLOEXEC)
        self._failure: BaseException | None = None
        self._thread: Any = threading.Thread(target=self._unpack, args=(reader,), daemon=True)
        self._thread.start()

    def _unpack(self, reader: int) -> None:
        from pierhead.cli.container.unpack import Stream, extract

        try:
            extract(Stream(_chunks(reader)), self._path, lambda name: name)
        except BaseException as error:
            self._failure = error
        finally:
            posix.close(reader)

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view and self._failure is None:
            try:
                view = view[posix.write(self._writer, view) :]
            except BrokenPipeError:
                return

    def finish(self) -> None:
        posix.close(self._writer)
        self._thread.join()
        if self._failure is not None:
            raise CliError(f"ERROR: failed to write {self._path}: {self._failure}")

    def abandon(self) -> None:
        posix.close(self._writer)
        self._thread.join()


def _chunks(fd: int) -> Iterator[bytes]:
    while data := posix.read(fd, 1 << 18):
        yield data


def make_directories(path: str) -> None:
    """The directory and those above it. Raises ``OSError``."""
    try:
        posix.mkdir(path, 0o755)
    except FileExistsError:
        pass
    except FileNotFoundError:
        parent = path.rstrip("/").rpartition("/")[0]
        if not parent:
            raise
        make_directories(parent)
        posix.mkdir(path, 0o755)


def target(output: dict[str, str]) -> Callable[[], Target]:
    """What makes the target of one output, once the daemon has something for it."""
    destination = output.get("dest", "")
    unpacked = output["type"] == "local" or (
        output["type"] in ("oci", "docker") and output.get("tar") in ("false", "0")
    )
    if unpacked:
        return lambda: Directory(destination)
    if destination == "-":
        return Stdout
    return lambda: File(destination)


def check(outputs: list[dict[str, str]]) -> None:
    """Refuse what can't be written, before anything is built. Raises ``CliError``."""
    for output in outputs:
        destination = output.get("dest", "")
        if output["type"] in ("tar", "oci", "docker") and destination == "-" and posix.isatty(1):
            raise CliError(
                f"ERROR: failed to build: dest file is required for {output['type']} exporter. "
                "refusing to write to console"
            )
        if output["type"] in ("tar", "oci", "docker") and destination not in ("", "-"):
            if output.get("tar") in ("false", "0"):
                continue
            try:
                mode = posix.stat(destination).st_mode & 0o170000
            except OSError:
                continue
            if mode == 0o040000:
                raise CliError(
                    f"ERROR: failed to build: invalid destination directory: {destination}"
                )
