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
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from pierhead.build.files import inline, kept, mountables, tardoor
from pierhead.build.files.entries import Entry, decode
from pierhead.build.files.held import Held
from pierhead.build.files.layers import MEMORY_BYTES, Layers
from pierhead.build.files.listdoor import ListDoor
from pierhead.build.files.model import CopyRequest, Inline, Selection, Source, SourceKind, Transfer
from pierhead.build.files.stored import Stored
from pierhead.build.files.tree import find, join
from pierhead.build.files.view import wanted_tree
from pierhead.build.model import Client, FileStat, Wanted
from pierhead.engine.images.feed import out_of_pipe
from pierhead.engine.images.service import ImageService
from pierhead.errors import Internal, InvalidParameter, PierError
from pierhead.linux import memory, process, worker
from pierhead.oci.digest import PREFIX, ChainId, Digest
from pierhead.store.database import Database
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Layer, Snapshotter

Progress = Callable[[str, int, int], None]
"""(what, bytes or files so far, of how many; 0: unknown)."""

_LARGE: Final = 2000
"""Files; a source of more leaves megabytes behind."""
_DIGESTS: Final = 2000
"""Selections in chains whose digests are remembered."""
_DESCRIPTIONS: Final = {
    "context": "local source for {}",
    "http": "http url {}",
    "git": "git snapshot for {}",
}


class Mounted(Protocol):
    """A tree to bind into a RUN step, read-only, until ``release``."""

    path: Path
    """The file or directory that was asked for."""

    async def release(self) -> None: ...


class _Found(NamedTuple):
    """What a request means: see ``Selection``; ``digest`` is hex."""

    digest: str
    files: int
    size_bytes: int
    roots: int
    is_dir: bool


class _ClientTar:
    """The tar that one client brought."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.lock = asyncio.Lock()
        self.held: Held | None = None
        self.asked = False
        self.error: PierError | None = None
        """It can be read once only: whoever asks again is told the same."""
        self.bytes = 0


class FileService:
    """See the module's docstring. State: the sources that are handed out."""

    def __init__(
        self, *, paths: Paths, db: Database, snapshots: Snapshotter, images: ImageService
    ) -> None:
        self._paths = paths
        self._db = db
        self._snapshots = snapshots
        self._images = images
        self._layers = Layers(paths, snapshots)
        self._lists = ListDoor(paths.builds / "packs", db, self._layers)
        self._staged = mountables.Staged(images.index.content.lease)
        self._stored = Stored({kind: paths.builds / kind for kind in ("http", "git")}, db)
        self._was_large = False
        """A large source was handed out: memory is given back when its build is over."""
        self._digested: dict[tuple[ChainId | None, str], _Found] = {}
        self._commits: dict[int, str] = {}
        self._handles = itertools.count(1)
        self._held: dict[int, Held] = {}
        self._tars: dict[int, _ClientTar] = {}
        self._root = paths.builds
        self._jail = self._root / "jail"
        for directory in ("tmp", "jail", "packs"):
            (self._root / directory).mkdir(mode=0o700, parents=True, exist_ok=True)

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
        brought = await self._tar_of(client, progress)
        if brought.held is None:
            listed, transfer = await self._lists.take(client, name, wanted, progress)
            return self._hand_out(SourceKind.CONTEXT, name, listed), transfer
        whole = brought.held
        tree, ignored = await asyncio.to_thread(
            wanted_tree, whole.tree, wanted.include, wanted.exclude, wanted.follow
        )
        held = Held(tree, whole.packs.share())
        transfer = Transfer(
            bytes_received=brought.bytes,
            files_listed=len(whole.tree),
            files_received=len(whole.tree),
            ignored=ignored,
        )
        return self._hand_out(SourceKind.CONTEXT, name, held), transfer

    async def _tar_of(self, client: Client, progress: Progress) -> _ClientTar:
        brought = self._tars.setdefault(id(client), _ClientTar(client))
        async with brought.lock:
            if not brought.asked:
                chunks = await client.context_tar()
                brought.asked = True
                if chunks is not None:
                    try:
                        brought.held, brought.bytes = await tardoor.take_tar(
                            chunks, self._layers, self._jail, progress=progress
                        )
                    except PierError as error:
                        brought.error = error
            if brought.error is not None:
                raise brought.error
        return brought

    async def forget(self, client: Client) -> None:
        """The build is over: drop the tar that this client brought. No error if none."""
        brought = self._tars.pop(id(client), None)
        if brought is not None and brought.held is not None:
            brought.held.close()
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

        found = giturl.parse(url)
        if checksum and found.checksum and checksum != found.checksum:
            raise InvalidParameter(f'checksum mismatch "{checksum}" != "{found.checksum}"')
        if checksum:
            found = replace(found, checksum=checksum)
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
        held = self._of(source)
        tree, _ = await asyncio.to_thread(wanted_tree, held.tree, (), exclude, ())
        return self._hand_out(source.kind, source.name, Held(tree, held.packs.share()))

    async def archive(self, source: Source) -> Source:
        """What the one file of an ``http`` source holds: a tar, in any compression.

        Rules are those of contexts. ``InvalidParameter`` if it is none. ``source`` stays.
        """
        held = self._of(source)
        (name,) = held.tree.names(b"")
        entry = find(held.tree, name)
        opened = await tardoor.take_file(
            held.packs.fds[entry.pack], entry.offset, entry.size, self._layers, self._jail
        )
        return self._hand_out(source.kind, source.name, opened, source.identity)

    def inline(self, files: Sequence[Inline], name: str = "inline") -> Source:
        """Heredocs of one COPY or ADD as a source; ``sources`` of the request are their names."""
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
        if source.kind is SourceKind.CHAIN:
            data = await self._layers.look_bytes(source.chain_id, "stat", {"path": path})
            entry = decode(data)[0]
        else:
            entry = find(self._of(source).tree, _raw(path), follow=False)
        return entry.stat(entry.path.rpartition(b"/")[2])

    async def listdir(self, source: Source, path: str) -> list[FileStat]:
        """A directory's children, sorted by name; their ``path`` is the name. ``NotFound``."""
        entries: list[Entry]
        if source.kind is SourceKind.CHAIN:
            data = await self._layers.look_bytes(source.chain_id, "listdir", {"path": path})
            entries = decode(data)
        else:
            tree = self._of(source).tree
            top = find(tree, _raw(path))
            if not top.is_dir:
                raise InvalidParameter(f"{path}: not a directory")
            found = (tree.lstat(join(top.path, name)) for name in tree.names(top.path))
            entries = [entry for entry in found if entry is not None]
        return [entry.stat(entry.path.rpartition(b"/")[2]) for entry in entries]

    # Copying

    async def select(self, source: Source, request: CopyRequest) -> Selection:
        """Find what ``request`` means in ``source`` and digest it.

        ``NotFound`` with BuildKit's words: ``"/x": not found``. For an ``http`` source
        ``request.sources`` don't matter: it is its one file.
        """
        sources = list(request.sources)
        if source.kind is SourceKind.CHAIN:
            found = await self._select_chain(source.chain_id, request)
        else:
            held = self._of(source)
            if source.kind is SourceKind.HTTP and held.single:
                sources = [name.decode() for name in held.tree.names(b"")]
            parts = await held.collect(sources, request.parents, request.exclude)
            if request.classic and not parts:
                raise InvalidParameter("COPY failed: no source files were specified")
            digest, files, size = await held.digest(parts, keep_owner=request.keep_owner)
            is_dir = len(parts) == 1 and parts[0].is_dir
            found = _Found(digest, files, size, len(parts), is_dir)
        return Selection(
            source=source,
            digest=Digest(PREFIX + found.digest),
            files=found.files,
            size_bytes=found.size_bytes,
            sources=sources,
            roots=found.roots,
            is_dir=found.is_dir,
        )

    async def _select_chain(self, chain_id: ChainId | None, request: CopyRequest) -> _Found:
        """Chains never change: what was digested once is known for good."""
        arguments = {
            "sources": list(request.sources),
            "parents": request.parents,
            "exclude": list(request.exclude),
            "keep_owner": request.keep_owner,
        }
        key = (chain_id, json.dumps(arguments))
        found = self._digested.pop(key, None)
        if found is None:
            result = await self._layers.look(chain_id, "select", arguments)
            found = _Found(
                result["digest"], result["files"], result["bytes"], result["roots"],
                result["is_dir"],
            )  # fmt: skip
        self._digested[key] = found  # the last used is last
        while len(self._digested) > _DIGESTS:
            del self._digested[next(iter(self._digested))]
        return found

    async def copy(
        self, base: ChainId | None, parts: Sequence[Selection], request: CopyRequest
    ) -> Layer:
        """Make the layer that ``request`` adds to ``base``.

        With ``request.link`` give ``None`` for ``base`` and put the layer on its base with
        ``link_onto``. Raises ``InvalidParameter``: a destination that can't be, an unknown
        user.
        """
        from pierhead.build.files import copying  # needs what a daemon that builds nothing doesn't

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
            async with self._layers.view(base) as root:
                made = await worker.call(
                    "build.files.write:directory",
                    {"path": path, "epoch_s": epoch_s, "uid": uid, "gid": gid, "owner": owner},
                    stdout=tar_fd,
                    jail=root,
                    site_packages=True,
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
        if source.kind is SourceKind.CHAIN:
            return mountables.mount(self._layers, source.chain_id, path)

        async def stage(place: str) -> ChainId:
            request = CopyRequest(sources=[place], destination="/")
            selection = await self.select(source, request)
            return (await self.copy(None, [selection], request)).chain_id

        chain_id, place = await self._staged.chain(self._of(source), path, stage)
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

        async def produce(fd: int) -> None:
            async with self._layers.view(chain_id) as jail:
                await worker.call(
                    "build.files.export:tree",
                    {"root": root, "epoch_s": epoch_s, "prefix": prefix, "end": end},
                    stdout=fd,
                    jail=jail,
                    site_packages=True,
                    memory_limit_bytes=MEMORY_BYTES,
                )

        return out_of_pipe(produce)

    def view(self, chain_id: ChainId | None) -> AbstractAsyncContextManager[Path]:
        """The merged tree, mounted read-only while it lasts: for workers that look around."""
        return self._layers.view(chain_id)

    # Life

    async def recover(self) -> None:
        """At start, before any source is asked for: drop what a kill left."""
        self._layers.recover()
        known = {key for (key,) in self._db.rows("SELECT key FROM build_sources")}
        gone = await asyncio.to_thread(_recover, self._root, known)
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
        found = []
        for key, size, created, used, uses, record in self._db.rows(
            "SELECT key, size_bytes, created_ns, used_ns, uses, record FROM build_sources"
        ):
            facts = json.loads(record)
            found.append(
                KeptSource(
                    id=key,
                    kind=facts["kind"],
                    description=_DESCRIPTIONS[facts["kind"]].format(facts["name"]),
                    size_bytes=size,
                    created_ns=created,
                    used_ns=used,
                    uses=uses,
                    in_use=self._lists.in_use(key) or self._stored.in_use(key),
                )
            )
        return found

    async def close(self) -> None:
        """Drop what is handed out still."""
        for brought in list(self._tars.values()):
            await self.forget(brought.client)
        for held in self._held.values():
            held.close()
        self._held.clear()
        await self._lists.close()


def _recover(root: Path, known: set[str]) -> set[str]:
    """Delete what no row knows of; the keys of rows that have nothing any more."""
    _empty(root / "tmp")
    found = set()
    for kind in ("packs", "http", "git"):
        directory = root / kind
        for path in directory.iterdir() if directory.is_dir() else ():
            if path.name not in known:
                kept.remove(path)
                continue
            found.add(path.name)
            if kind == "packs":
                kept.sweep(path, kept.load(path).segments, before=time.time_ns())
    return known - found


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _raw(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptSource:
    """Something that is kept to be asked for less next time."""

    id: str
    kind: str
    """``context``, ``http`` or ``git``."""
    description: str
    size_bytes: int
    created_ns: int
    used_ns: int
    uses: int
    in_use: bool
