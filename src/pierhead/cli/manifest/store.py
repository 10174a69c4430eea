"""Manifest lists that are being made: ``~/.docker/manifests``, in docker's own layout.

::

    manifests/<list>/<image>    both names with ``:`` as ``-`` and ``/`` as ``_``

So a list that docker began can be finished here, and the other way round.
"""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.manifest.record import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.format.references import Reference
    from pierhead.cli.main import Cli


class Missing(CliError):
    """There is no such list, or no such image in it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No such manifest: {name}")


def _file_name(ref: Reference) -> str:
    return str(ref).replace(":", "-").replace("/", "_")


class Store:
    """All methods raise ``CliError`` where the files can't be read or written."""

    def __init__(self, cli: Cli) -> None:
        self._root = f"{cli.config_dir}/manifests"

    def get(self, list_: Reference, image: Reference) -> Record:
        """One image of a list. Raises ``Missing``."""
        return self._read(f"{self._root}/{_file_name(list_)}/{_file_name(image)}", str(image))

    def all(self, list_: Reference) -> list[Record]:
        """The images of a list, by the names of their files. Raises ``Missing``."""
        directory = f"{self._root}/{_file_name(list_)}"
        try:
            names = sorted(posix.listdir(directory))
        except FileNotFoundError as error:
            raise Missing(str(list_)) from error
        except OSError as error:
            raise CliError(f"{error.strerror}: {directory}") from error
        return [self._read(f"{directory}/{name}", str(list_)) for name in names]

    def save(self, list_: Reference, image: Reference, record: Record) -> None:
        """Put an image into a list, in the place of the one of that name."""
        from os import makedirs

        from pierhead.cli.main import write_all

        directory = f"{self._root}/{_file_name(list_)}"
        temporary = f"{self._root}/.{posix.getpid()}.new"
        try:
            makedirs(directory, 0o755, exist_ok=True)
            fd = posix.open(temporary, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC, 0o644)
            try:
                write_all(fd, record.to_json().encode())
            finally:
                posix.close(fd)
            posix.replace(temporary, f"{directory}/{_file_name(image)}")
        except OSError as error:
            raise CliError(f"{error.strerror}: {directory}") from error

    def remove(self, list_: Reference) -> None:
        """Forget a list; no error if there is none."""
        directory = f"{self._root}/{_file_name(list_)}"
        try:
            for name in posix.listdir(directory):
                posix.unlink(f"{directory}/{name}")
            posix.rmdir(directory)
        except FileNotFoundError:
            return
        except OSError as error:
            raise CliError(f"{error.strerror}: {directory}") from error

    def _read(self, path: str, name: str) -> Record:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
        except FileNotFoundError as error:
            raise Missing(name) from error
        except OSError as error:
            raise CliError(f"{error.strerror}: {path}") from error
        return Record.from_json(text, path)
