"""Files for builds: what a build's sources hold, and layers made of them.

::

    <data-root>/builds/
      packs/<key>/           what is kept of one client's source, by shared key: segments
                             of file contents, and an index of what lies where
      downloads/             what ADD fetched, by URL and ETag
      git/                   bare repositories, by remote
      tmp/                   sources of builds that run; emptied at start

A ``Source`` is handed out by ``context``, ``http``, ``git``, ``inline`` or ``chain`` and given
back with ``release``. Selections belong to their source and end with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from pierhead.build.files.model import CopyRequest, Inline, Selection, Source, SourceKind, Transfer
from pierhead.build.model import Client, FileStat, Wanted
from pierhead.engine.images.service import ImageService
from pierhead.errors import NotImplementedYet
from pierhead.oci.digest import ChainId
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Layer, Snapshotter

Progress = Callable[[str, int, int], None]
"""(what, bytes or files so far, of how many; 0: unknown)."""


class Mounted(Protocol):
    """A tree to bind into a RUN step, read-only, until ``release``."""

    path: Path
    """The file or directory that was asked for."""

    async def release(self) -> None: ...


class FileService:
    """See the module's docstring. State: the sources that are handed out."""

    def __init__(
        self, *, paths: Paths, db: Database, snapshots: Snapshotter, images: ImageService
    ) -> None:
        self._paths = paths
        self._db = db
        self._snapshots = snapshots
        self._images = images

    # Sources

    async def context(
        self, client: Client, name: str, wanted: Wanted, *, progress: Progress
    ) -> tuple[Source, Transfer]:
        """Take a local source of the client in: the part of it that is ``wanted``.

        Where the client brings a tar (``context_tar``) that tar is taken in once per client
        and every call gives a view of it; ``forget(client)`` at the build's end drops it.
        Otherwise ``local`` is asked, and only for contents that aren't known under
        ``wanted.shared_key`` (and ``name``) with the same size, mtime, mode and link.
        ``include`` and ``exclude`` are ``.dockerignore`` patterns; no ``include`` is all.
        Raises ``NotFound`` if the client has no such source, ``InvalidParameter`` for a
        hostile or broken one.
        """
        raise NotImplementedYet("contexts")

    async def forget(self, client: Client) -> None:
        """The build is over: drop the tar that this client brought. No error if none."""
        raise NotImplementedYet("contexts")

    async def http(self, url: str, *, checksum: str = "", progress: Progress) -> Source:
        """Download ``url``: a source with one file, named by the URL or Content-Disposition.

        ``identity`` is the digest of its bytes. ``checksum``: ``sha256:…`` that it must have.
        Unchanged ones (ETag, Last-Modified) are not downloaded again. Raises
        ``InvalidParameter`` (checksum, status 4xx), ``Unavailable``.
        """
        raise NotImplementedYet("downloads")

    async def git(
        self,
        url: str,
        *,
        keep_git_dir: bool = False,
        checksum: str = "",
        client: Client | None = None,
        progress: Progress,
    ) -> Source:
        """Check out ``url`` (``…#ref:subdir``, or ``?ref=…&subdir=…``); times are the commit's.

        ``identity`` stands for commit, subdirectory and ``keep_git_dir``; the commit itself is
        ``git_commit(source)``. Tokens are asked as secrets GIT_AUTH_TOKEN and
        GIT_AUTH_HEADER (also with ``.HOST``), ssh as the agent ``default``.
        """
        raise NotImplementedYet("git sources")

    def git_commit(self, source: Source) -> str:
        """The full commit id of a ``GIT`` source."""
        raise NotImplementedYet("git sources")

    def chain(self, chain_id: ChainId | None, name: str) -> Source:
        """The file system of a stage or image. The caller keeps the chain alive (lease)."""
        return Source(kind=SourceKind.CHAIN, name=name, chain_id=chain_id)

    def inline(self, files: Sequence[Inline], name: str = "inline") -> Source:
        """Heredocs of one COPY or ADD as a source; ``sources`` of the request are their names."""
        raise NotImplementedYet("heredocs")

    async def release(self, source: Source) -> None:
        """Give a source back. No error the second time."""

    # Looking

    async def read(self, source: Source, path: str, limit_bytes: int) -> bytes:
        """A file's bytes; symlinks are followed inside. ``NotFound``, ``TooLarge``."""
        raise NotImplementedYet("contexts")

    async def stat(self, source: Source, path: str) -> FileStat:
        """What ``path`` is, a final symlink not followed. ``NotFound``."""
        raise NotImplementedYet("contexts")

    async def listdir(self, source: Source, path: str) -> list[FileStat]:
        """A directory's children, sorted by name; their ``path`` is the name. ``NotFound``."""
        raise NotImplementedYet("contexts")

    # Copying

    async def select(self, source: Source, request: CopyRequest) -> Selection:
        """Find what ``request`` means in ``source`` and digest it.

        ``NotFound`` with BuildKit's words: ``"/x": not found``. For an ``http`` source
        ``request.sources`` don't matter: it is its one file.
        """
        raise NotImplementedYet("contexts")

    async def copy(
        self, base: ChainId | None, parts: Sequence[Selection], request: CopyRequest
    ) -> Layer:
        """Make the layer that ``request`` adds to ``base``.

        With ``request.link`` give ``None`` for ``base`` and put the layer on its base with
        ``snapshots.adopt`` (or call ``link_onto``). Raises ``InvalidParameter``: a
        destination that can't be, an unknown user.
        """
        raise NotImplementedYet("contexts")

    async def link_onto(self, layer: Layer, base: ChainId | None) -> Layer:
        """A layer of ``COPY --link`` put on ``base``, without any bytes being copied."""
        raise NotImplementedYet("contexts")

    async def mkdir(
        self,
        base: ChainId | None,
        path: str,
        *,
        epoch_s: int | None = None,
        uid: int = 0,
        gid: int = 0,
    ) -> Layer | None:
        """WORKDIR's directory and those above it (mode 755); ``None`` if it is there."""
        raise NotImplementedYet("contexts")

    async def mountable(self, source: Source, path: str = "/") -> Mounted:
        """A source's file or directory to mount into a step. ``NotFound``."""
        raise NotImplementedYet("contexts")

    def tar(
        self, chain_id: ChainId | None, *, root: str = "/", epoch_s: int | None = None
    ) -> AsyncIterator[bytes]:
        """The merged tree of a chain below ``root`` as a plain tar, sorted, for exports."""
        raise NotImplementedYet("exports")

    def view(self, chain_id: ChainId | None) -> AbstractAsyncContextManager[Path]:
        """The merged tree, mounted read-only while it lasts: for workers that look around."""
        raise NotImplementedYet("exports")

    # Life

    async def recover(self) -> None:
        """At start: drop what a kill left."""

    async def prune(self, *, keep_bytes: int = 0, older_than_ns: int | None = None) -> int:
        """Drop kept packs, downloads and repositories not in use; bytes set free."""
        return 0

    def usage(self) -> list[KeptSource]:
        """What is kept between builds, for ``du``."""
        return []

    async def close(self) -> None:
        """Drop what is handed out still."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSource:
    """Something that is kept to be asked for less next time."""

    id: str
    description: str
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int
    in_use: bool
