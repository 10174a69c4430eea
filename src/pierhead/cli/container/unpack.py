"""Extracting an archive that a container sent; imported only by ``pier cp``.

A container is not trusted: nothing is written outside of the target directory, whatever
names and links the archive has. Parents are looked up without following links that were
made from the archive.
"""

from __future__ import annotations

import io
import os
import tarfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class UnpackError(Exception):
    """The archive can't be extracted here."""


class Stream(io.RawIOBase):
    """Chunks as a readable file, counting bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = b""
        self.count = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def read(self, size: int = -1) -> bytes:
        """``size`` bytes, fewer only at the end."""
        parts = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            data = next(self._chunks, b"")
            if not data:
                break
            self.count += len(data)
            parts.append(data)
            have += len(data)
        joined = b"".join(parts)
        if size < 0:
            self._rest = b""
            return joined
        self._rest = joined[size:]
        return joined[:size]


def extract(stream: Stream, directory: str, rename: Callable[[str], str]) -> None:
    """Extract below ``directory``. Owners are not taken over (as with ``docker cp``).

    Raises ``UnpackError`` and ``OSError``.
    """
    root = os.path.realpath(directory)
    times: list[tuple[str, float, int]] = []
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                path = _inside(root, rename(member.name))
                if _make(archive, member, path, root, rename):
                    times.append((path, member.mtime, member.mode))
    except tarfile.TarError as error:
        raise UnpackError(f"invalid archive: {error}") from None
    for path, mtime, mode in reversed(times):
        os.chmod(path, mode & 0o7777)
        os.utime(path, (mtime, mtime))
    while stream.read(1 << 16):
        pass


def _inside(root: str, name: str) -> str:
    """The path to write; its parent is resolved and must lie below ``root``."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts:
        raise UnpackError(f'invalid archive: "{name}" leaves the target directory')
    if not parts:
        return root
    parent = os.path.realpath(os.path.join(root, *parts[:-1]))
    if parent != root and not parent.startswith(root.rstrip("/") + "/"):
        raise UnpackError(f'invalid archive: "{name}" leaves the target directory')
    return os.path.join(parent, parts[-1])


def _make(
    archive: tarfile.TarFile,
    member: tarfile.TarInfo,
    path: str,
    root: str,
    rename: Callable[[str], str],
) -> bool:
    """Make one entry; whether its mode and time are to be set at the end (directories)."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    there = os.path.lexists(path)
    is_directory = there and os.path.isdir(path) and not os.path.islink(path)
    if member.isdir():
        if there and not is_directory:
            raise UnpackError(f'cannot overwrite non-directory "{path}" with directory "{root}"')
        if not there:
            os.mkdir(path)
        return path != root
    if is_directory:
        raise UnpackError(f'cannot overwrite directory "{path}" with non-directory')
    if there:
        os.unlink(path)
    if member.issym():
        target = os.path.normpath(os.path.join(os.path.dirname(path), member.linkname.lstrip("/")))
        if target != root and not target.startswith(root.rstrip("/") + "/"):
            raise UnpackError(f'invalid symlink "{path}" -> "{member.linkname}"')
        os.symlink(member.linkname, path)
        return False
    if member.islnk():
        os.link(_inside(root, rename(member.linkname)), path, follow_symlinks=False)
        return False
    if member.isreg():
        source = archive.extractfile(member)
        assert source is not None
        # A descriptor of a new file: no link can be in the way.
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb", buffering=0) as file:
            while data := source.read(1 << 18):
                file.write(data)
            os.fchmod(file.fileno(), member.mode & 0o7777)
    elif member.isfifo():
        os.mkfifo(path, member.mode & 0o7777)
    elif member.ischr() or member.isblk():
        kind = 0o020000 if member.ischr() else 0o060000
        os.mknod(path, kind | member.mode & 0o7777, os.makedev(member.devmajor, member.devminor))
    else:
        raise UnpackError(f'unhandled entry type in the archive: "{member.name}"')
    os.utime(path, (member.mtime, member.mtime))
    return False
