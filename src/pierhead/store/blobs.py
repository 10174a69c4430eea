"""Content-addressed blobs: small ones whole, large ones streamed, never visible half written."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pierhead.errors import InvalidParameter, NotFound, TooLarge
from pierhead.oci.digest import PREFIX, Digest, hex_of, is_digest, sha256
from pierhead.store.paths import Paths

PARTIAL_S: Final = 7 * 86400
"""How long a broken download is kept to go on from."""


@dataclass(frozen=True, slots=True)
class Partial:
    """A blob on its way in, named by the digest it must have; it outlives a restart.

    Whoever writes appends to ``path`` (mode 0600). One writer at a time: the caller sees
    to that.
    """

    digest: Digest
    path: Path

    @property
    def held_bytes(self) -> int:
        """How much of it is here."""
        try:
            return os.stat(self.path).st_size
        except FileNotFoundError:
            return 0

    def discard(self) -> None:
        """Start over; no error if nothing is here."""
        self.path.unlink(missing_ok=True)


class BlobStore:
    """Blobs under ``<data-root>/blobs/sha256``. A name exists only with its whole content.

    Blobs are written under ``ingest/``, checked against their digest and renamed; the disk
    gets them soon after (see ``store/database.py`` for what a power cut may take). Files
    are mode 0444 and never change. ``recover`` empties ``ingest/``.
    """

    def __init__(self, paths: Paths) -> None:
        self._root = paths.blobs / "sha256"
        self._ingest = paths.ingest
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="write blobs through")

    def path(self, digest: str) -> Path:
        """Where ``digest`` lies, whether it exists or not. ``InvalidParameter`` if malformed."""
        if not is_digest(digest):
            raise InvalidParameter(f"invalid digest {digest!r}: want sha256 and 64 hex digits")
        return self._root / hex_of(digest)

    def exists(self, digest: str) -> bool:
        return self.path(digest).exists()

    def read(self, digest: str, *, limit_bytes: int = 64 << 20) -> bytes:
        """The whole blob, up to ``limit_bytes``. ``NotFound`` / ``TooLarge``."""
        try:
            with open(self.path(digest), "rb") as file:
                data = file.read(limit_bytes + 1)
        except FileNotFoundError as error:
            raise NotFound(f"blob {digest} is not in the store") from error
        if len(data) > limit_bytes:
            raise TooLarge(f"blob {digest} is larger than {limit_bytes} bytes")
        return data

    def _sync_soon(self, path: Path) -> None:
        """Have a thread write ``path`` through to the disk; a busy disk may take seconds for it.

        One of its own: in those that everybody uses it would keep everybody waiting.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            _sync(path)
        else:
            self._syncer.submit(_sync, path)

    def close(self) -> None:
        """What isn't written through by now is left to the kernel."""
        self._syncer.shutdown(wait=False, cancel_futures=True)

    def put(self, data: bytes) -> Digest:
        """Keep ``data`` (a config, a manifest), return its digest."""
        digest = sha256(data)
        target = self.path(digest)
        if not target.exists():
            temporary = self._ingest / secrets.token_hex(8)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                os.rename(temporary, target)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            self._sync_soon(target)
        return digest

    async def ingest(
        self,
        chunks: AsyncIterator[bytes],
        expected: Digest | None = None,
        *,
        limit_bytes: int | None = None,
    ) -> tuple[Digest, int]:
        """Stream a blob in; return its digest and its length in bytes.

        Raises ``InvalidParameter`` if it isn't ``expected``, ``TooLarge`` beyond the limit;
        nothing stays then, nor when the iterator raises.
        """
        temporary = self._ingest / secrets.token_hex(8)
        hasher = hashlib.sha256()
        size = 0
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o444)
        try:
            with os.fdopen(descriptor, "wb") as file:
                async for chunk in chunks:
                    size += len(chunk)
                    if limit_bytes is not None and size > limit_bytes:
                        raise TooLarge(f"blob is larger than {limit_bytes} bytes")
                    hasher.update(chunk)
                    file.write(chunk)
            digest = Digest(PREFIX + hasher.hexdigest())
            if expected is not None and digest != expected:
                raise InvalidParameter(f"content digest {digest} does not match {expected}")
            os.rename(temporary, self.path(digest))
            self._sync_soon(self.path(digest))
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        return digest, size

    def partial(self, digest: Digest) -> Partial:
        """Where to collect the blob ``digest`` over several attempts."""
        return Partial(digest, self._ingest / f"{hex_of(digest)}.partial")

    def scratch(self) -> int:
        """A descriptor of an empty nameless file on the blobs' disk, gone when it is closed."""
        path = self._ingest / secrets.token_hex(8)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        path.unlink()  # not O_TMPFILE: not every file system has it
        return fd

    def spool(self) -> tuple[int, Path]:
        """A new file for a blob whose digest isn't known yet: a descriptor and its path.

        ``keep(Partial(digest, path))`` makes a blob of it; else unlink it. The descriptor is
        the caller's to close.
        """
        path = self._ingest / secrets.token_hex(8)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), path

    def keep(self, partial: Partial) -> None:
        """Make a blob of ``partial``; whoever wrote it has checked its digest."""
        os.chmod(partial.path, 0o444)
        os.rename(partial.path, self.path(partial.digest))
        self._sync_soon(self.path(partial.digest))

    def delete(self, digest: str) -> None:
        """Remove a blob; no error if it isn't there."""
        with contextlib.suppress(FileNotFoundError):
            self.path(digest).unlink()

    def discard(self, digest: str) -> Path | None:
        """Take a blob's name away at once; the file that is left is the caller's to unlink.

        ``None`` if it isn't there. What isn't unlinked goes with the next ``recover``.
        """
        trash = self._ingest / f"{hex_of(digest)}.{secrets.token_hex(4)}.trash"
        try:
            os.rename(self.path(digest), trash)
        except FileNotFoundError:
            return None
        return trash

    def digests(self) -> list[Digest]:
        """All blobs, in no order."""
        return [Digest(PREFIX + name) for name in os.listdir(self._root)]

    def recover(self) -> None:
        """At start: remove what was on its way in when the last pierd died.

        Partial blobs stay for ``PARTIAL_S``: the next pull goes on from them.
        """
        oldest = time.time() - PARTIAL_S
        for entry in os.scandir(self._ingest):
            if not entry.is_file(follow_symlinks=False):
                continue
            if entry.name.endswith(".partial") and entry.stat().st_mtime > oldest:
                continue
            os.unlink(entry.path)


def _sync(path: Path) -> None:
    with contextlib.suppress(OSError):  # deleted already, or the disk will tell the next reader
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
