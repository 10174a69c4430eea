"""Files for builds: what a build's sources hold, and layers made of them.

::

    <data-root>/builds/
      packs/<key>/           what is kept of one client's source, by shared key: segments
                             of file contents, and an index of what lies where
      http/<key>/            what ADD downloaded, by URL
      git/<key>/             checkouts, by commit
      tmp/                   sources of builds that run; emptied at start

A ``Source`` is handed out by ``context``, ``http``, ``git``, ``inline`` or ``chain`` and given
back with ``release``.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from pierhead.build.files import keeping
from pierhead.build.files.keeping import KeptSource
from pierhead.build.files.model import CopyRequest, Inline, Selection, Source, SourceKind, Transfer
from pierhead.build.files.pace import Progress
from pierhead.build.model import Client, FileStat, Wanted
from pierhead.engine.images.service import ImageService
from pierhead.errors import Internal
from pierhead.linux import memory, process
from pierhead.oci.digest import ChainId, Digest
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Layer, Snapshotter

# The rest is imported by the first build: a daemon that builds nothing needs none of it.
if TYPE_CHECKING:
    from pierhead.build.files.entries import Entry
    from pierhead.build.files.held import Held
    from pierhead.build.files.layers import Layers
    from pierhead.build.files.listdoor import ListDoor
    from pierhead.build.files.mountables import Staged
    from pierhead.build.files.selecting import Selector
    from pierhead.build.files.stored import Stored
    from pierhead.build.files.tardoor import TarDoor

_LARGE: Final = 2000
"""Files; a source of more leaves megabytes behind."""


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
        self._was_large = False
        """A large source was handed out: memory is given back when its build is over."""
        self._commits: dict[int, str] = {}
        self._handles = itertools.count(1)
        self._held: dict[int, Held] = {}
        self._root = paths.builds
        for directory in ("tmp", "jail", "packs"):
            (self._root / directory).mkdir(mode=0o700, parents=True, exist_ok=True)

    @cached_property
    def _layers(self) -> Layers:
        from pierhead.build.files.layers import Layers

        return Layers(self._paths, self._snapshots)

    @cached_property
    def _lists(self) -> ListDoor:
        from pierhead.build.files.listdoor import ListDoor

        return ListDoor(self._root / "packs", self._db, self._layers)

    @cached_property
    def _tars(self) -> TarDoor:
        from pierhead.build.files.tardoor import TarDoor

        return TarDoor(self._layers, self._root / "jail")

    @cached_property
    def _stored(self) -> Stored:
        from pierhead.build.files.stored import Stored

        return Stored({kind: self._root / kind for kind in ("http", "git")}, self._db)

    @cached_property
    def _staged(self) -> Staged:
        from pierhead.build.files.mountables import Staged

        return Staged(self._layers, self._images.index.content.lease)

    @cached_property
    def _selector(self) -> Selector:
        from pierhead.build.files.selecting import Selector

        return Selector(self._layers)

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
        brought = await self._tars.of(client, progress)
        if brought is not None:
            held, transfer = await brought.view(wanted)
        else:
            held, transfer = await self._lists.take(client, name, wanted, progress)
        return self._hand_out(SourceKind.CONTEXT, name, held), transfer

    async def forget(self, client: Client) -> None:
        """The build is over: drop the tar that this client brought. No error if none."""
        self._tars.forget(client)
        if self._was_large:
            self._was_large = False
            await asyncio.to_thread(memory.trim)

    async def http(self, url: str, *, checksum: str = "", progress: Progress) -> Source:
        """Download ``url``: a source with one file, named by the URL.

        ``identity`` is the digest of its bytes. ``checksum``: ``sha256:…`` that it must have.
        Unchanged ones (ETag, Last-Modified) are not downloaded again. Raises
        ``InvalidParameter`` (checksum, status 4xx), ``Unavailable``.
        """
        from pierhead.build.files import download

        held, digest = await download.fetch(url, checksum, self._stored, self._layers, progress)
        return self._hand_out(SourceKind.HTTP, url, held, digest)

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
        from pierhead.build.files import git, giturl

        found = giturl.parse(url, checksum)
        progress("fetching", 0, 0)
        held, identity, commit = await git.fetch(
            found,
            keep_git_dir=bool(found.keep_git_dir) or keep_git_dir,
            client=client,
            stored=self._stored,
            layers=self._layers,
            paths=self._paths,
        )
        source = self._hand_out(SourceKind.GIT, url, held, identity)
        self._commits[source.handle] = commit
        return source

    def git_commit(self, source: Source) -> str:
        """The full commit id of a ``GIT`` source."""
        return self._commits[source.handle]

    def chain(self, chain_id: ChainId | None, name: str) -> Source:
        """The file system of a stage or image. The caller keeps the chain alive (lease)."""
        return Source(kind=SourceKind.CHAIN, name=name, chain_id=chain_id)

    async def narrowed(self, source: Source, exclude: Sequence[str]) -> Source:
        """``source`` without what the .dockerignore patterns ``exclude`` mean; it stays itself."""
        from pierhead.build.files.view import narrow

        return self._hand_out(source.kind, source.name, await narrow(self._of(source), exclude))

    async def archive(self, source: Source) -> Source:
        """What the one file of an ``http`` source holds: a tar, in any compression.

        Rules are those of contexts. ``InvalidParameter`` if it is none. ``source`` stays.
        """
        opened = await self._tars.archive(self._of(source))
        return self._hand_out(source.kind, source.name, opened, source.identity)

    def inline(self, files: Sequence[Inline], name: str = "inline") -> Source:
        """Heredocs of one COPY or ADD as a source; ``sources`` of the request are their names."""
        from pierhead.build.files import inline

        return self._hand_out(SourceKind.INLINE, name, inline.held(files))

    def _hand_out(
        self, kind: SourceKind, name: str, held: Held, identity: Digest | None = None
    ) -> Source:
        handle = next(self._handles)
        self._held[handle] = held
        self._was_large = self._was_large or len(held.tree) > _LARGE
        return Source(kind=kind, name=name, handle=handle, identity=identity)

    def _of(self, source: Source) -> Held:
        held = self._held.get(source.handle)
        if held is None:
            raise Internal(f"the source {source.name} was released")
        return held

    async def release(self, source: Source) -> None:
        """Give a source back. No error the second time."""
        self._commits.pop(source.handle, None)
        held = self._held.pop(source.handle, None)
        if held is not None:
            held.close()

    # Looking

    async def read(self, source: Source, path: str, limit_bytes: int) -> bytes:
        """A file's bytes; symlinks are followed inside. ``NotFound``, ``TooLarge``."""
        if source.kind is SourceKind.CHAIN:
            return await self._layers.look_bytes(
                source.chain_id, "read", {"path": path, "limit_bytes": limit_bytes}
            )
        return self._of(source).read(path, limit_bytes)

    async def stat(self, source: Source, path: str) -> FileStat:
        """What ``path`` is, a final symlink not followed. ``NotFound``."""
        (entry,) = await self._look(source, "stat", path)
        return entry.stat(entry.path.rpartition(b"/")[2])

    async def listdir(self, source: Source, path: str) -> list[FileStat]:
        """A directory's children, sorted by name; their ``path`` is the name. ``NotFound``."""
        entries = await self._look(source, "listdir", path)
        return [entry.stat(entry.path.rpartition(b"/")[2]) for entry in entries]

    async def _look(self, source: Source, function: str, path: str) -> Sequence[Entry]:
        from pierhead.build.files import tree
        from pierhead.build.files.entries import decode

        if source.kind is SourceKind.CHAIN:
            arguments = {"path": path}
            return decode(await self._layers.look_bytes(source.chain_id, function, arguments))
        raw = path.encode("utf-8", "surrogateescape")
        files = self._of(source).tree
        if function == "stat":
            return [tree.find(files, raw, follow=False)]
        return tree.children(files, raw)

    # Copying

    async def select(self, source: Source, request: CopyRequest) -> Selection:
        """Find what ``request`` means in ``source`` and digest it.

        ``NotFound`` with BuildKit's words: ``"/x": not found``. For an ``http`` source
        ``request.sources`` don't matter: it is its one file.
        """
        if source.kind is SourceKind.CHAIN:
            return await self._selector.in_chain(source, request)
        return await self._selector.in_held(source, self._of(source), request)

    async def copy(
        self, base: ChainId | None, parts: Sequence[Selection], request: CopyRequest
    ) -> Layer:
        """Make the layer that ``request`` adds to ``base``.

        With ``request.link`` give ``None`` for ``base`` and put the layer on its base with
        ``link_onto``. Raises ``InvalidParameter``: a destination that can't be, an unknown
        user.
        """
        from pierhead.build.files import copying

        return await copying.copy(self._layers, self._of, base, parts, request)

    async def link_onto(self, layer: Layer, base: ChainId | None) -> Layer:
        """A layer of ``COPY --link`` put on ``base``, without any bytes being copied."""
        if base is None:
            return layer
        linked = await self._snapshots.adopt(layer.diff_id, base)
        if linked is None:
            raise Internal(f"the layer {layer.diff_id} is gone")
        return linked

    async def mkdir(
        self,
        base: ChainId | None,
        path: str,
        *,
        epoch_s: int | None = None,
        uid: int = 0,
        gid: int = 0,
        owner: str = "",
    ) -> Layer | None:
        """WORKDIR's directory and those above it (mode 755); ``None`` if it is there.

        ``owner``: ``user[:group]`` as ``--chown`` has it, instead of ``uid`` and ``gid``.
        """
        tar_fd = process.memory_file("workdir", b"")
        try:
            made = await self._layers.call(
                base,
                "write:directory",
                {"path": path, "epoch_s": epoch_s, "uid": uid, "gid": gid, "owner": owner},
                stdout=tar_fd,
            )
            if not made["members"]:
                return None
            os.lseek(tar_fd, 0, os.SEEK_SET)
            return await self._layers.take(tar_fd, base)
        finally:
            os.close(tar_fd)

    async def mountable(self, source: Source, path: str = "/") -> Mounted:
        """A source's file or directory to mount into a step. ``NotFound``.

        Chains are mounted as they are. Of other sources what is below ``path`` is made a
        layer first, once for each path.
        """
        from pierhead.build.files import mountables

        if source.kind is SourceKind.CHAIN:
            return mountables.mount(self._layers, source.chain_id, path)

        chain_id, place = await self._staged.chain(self._of(source), path)
        return mountables.mount(self._layers, chain_id, place)

    def tar(
        self,
        chain_id: ChainId | None,
        *,
        root: str = "/",
        epoch_s: int | None = None,
        prefix: str = "",
        end: bool = True,
    ) -> AsyncIterator[bytes]:
        """The merged tree of a chain below ``root`` as a plain tar, sorted, for exports.

        Names stand below ``prefix``; without ``end`` the two blocks of zeros are left out.
        """

        from pierhead.engine.images.feed import out_of_pipe

        arguments = {"root": root, "epoch_s": epoch_s, "prefix": prefix, "end": end}

        async def produce(fd: int) -> None:
            await self._layers.call(chain_id, "export:tree", arguments, stdout=fd)

        return out_of_pipe(produce)

    def view(self, chain_id: ChainId | None) -> AbstractAsyncContextManager[Path]:
        """The merged tree, mounted read-only while it lasts: for workers that look around."""
        return self._layers.view(chain_id)

    # Life

    async def recover(self) -> None:
        """At start, before any source is asked for: drop what a kill left."""
        if self._paths.build_views.is_dir() and any(self._paths.build_views.iterdir()):
            self._layers.recover()
        known = {key for (key,) in self._db.rows("SELECT key FROM build_sources")}
        gone = await asyncio.to_thread(keeping.recover, self._root, known)
        for key in gone:
            self._db.execute("DELETE FROM build_sources WHERE key = ?", (key,))

    async def drop(self, ids: Sequence[str]) -> int:
        """Forget these kept contexts, downloads and checkouts (``KeptSource.id``).

        Those that a build uses stay. Returns the bytes set free.
        """
        freed = 0
        for each in self.usage():
            if each.id in ids and not each.in_use:
                if each.kind == "context":
                    await self._lists.remove(each.id)
                else:
                    await self._stored.remove(each.kind, each.id)
                freed += each.size_bytes
        return freed

    def usage(self) -> list[KeptSource]:
        """What is kept between builds, for ``du``."""
        return keeping.usage(self._db, self._in_use)

    def _in_use(self, key: str) -> bool:
        if not self._held:  # then nothing of the kind was imported, maybe
            return False
        return self._lists.in_use(key) or self._stored.in_use(key)

    async def close(self) -> None:
        """Drop what is handed out still."""
        for held in self._held.values():
            held.close()
        self._held.clear()
        if "_tars" in self.__dict__:
            self._tars.close()
        if "_lists" in self.__dict__:
            await self._lists.close()
