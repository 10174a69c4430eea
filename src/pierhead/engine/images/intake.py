"""An image archive on its way in, in one pass: documents stay in memory, layers are staged.

Which members are layers, and of what, is said at the end of most archives. So everything
large is taken for a layer while it streams by: into a worker that hashes and indexes it,
side by side with the next one. What turns out to be none, or to be here already, is dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pierhead import tasks
from pierhead.engine.images.content import Lease
from pierhead.engine.images.feed import make_pipe, out_of_pipe, through_pipe, write_to
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.progress import bar
from pierhead.errors import InvalidParameter, PierError
from pierhead.linux import worker
from pierhead.oci import layer, tar
from pierhead.oci.compression import HEAD_BYTES, detect, layer_media_type
from pierhead.oci.digest import PREFIX, ChainId, DiffId, Digest, hex_of, is_digest, sha256
from pierhead.oci.manifest import Descriptor
from pierhead.oci.tar import Header
from pierhead.oci.tarfeed import END, TarFeed
from pierhead.store.blobs import BlobStore, Partial
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Incoming, Layer, LayerSource, Snapshotter, Staged

JSON_LIMIT: Final = 8 << 20
MEMBERS_LIMIT: Final = 100_000
_SMALL_BYTES: Final = 256 << 10
"""A member up to this size stays in memory, whatever it is."""
_DOCUMENTS_BYTES: Final = 64 << 20
_SMALL_TOTAL_BYTES: Final = 16 << 20
_STAGING: Final = 2
"""Layers that are still worked on when the next one begins to arrive."""
_PROGRESS_S: Final = 0.1
_LINKS_LIMIT: Final = 8
_BLOBS: Final = "blobs/sha256/"


@dataclass(slots=True)
class Member:
    """One file of the archive: in memory, staged, or known and skipped."""

    name: str
    size_bytes: int
    data: bytes | None = None
    staging: asyncio.Task[Staged | Exception] | None = None
    partial: Partial | None = None
    """Where its compressed form was kept, if it is a blob by its name."""
    diff_id: DiffId | None = None
    """The tar it holds, as far as known."""
    blob: Descriptor | None = None
    """The compressed blob it is, if it is one."""
    format: str = "none"
    """How it is compressed, once it is staged."""
    committed: Layer | None = None

    @property
    def label(self) -> str:
        """What progress calls it: twelve digits of its digest, or of its directory's name."""
        if self.diff_id is not None:
            return hex_of(self.diff_id)[:12]
        name = self.name.removeprefix(_BLOBS)
        return (os.path.dirname(name) or name).replace("/", "")[:12]

    def message(self, current: int) -> dict[str, Any]:
        return {
            "status": "Loading layer",
            "progressDetail": {"current": current, "total": self.size_bytes},
            "progress": bar(current, self.size_bytes),
            "id": self.label,
        }


class Archive:
    """The members of an archive that has come in. ``discard`` it when done, in any case."""

    def __init__(
        self,
        paths: Paths,
        blobs: BlobStore,
        snapshots: Snapshotter,
        index: ImageIndex,
        lease: Lease,
    ) -> None:
        self._paths = paths
        self._blobs = blobs
        self._snapshots = snapshots
        self._index = index
        self.lease = lease
        self._members: dict[str, Member] = {}
        self._links: dict[str, str] = {}
        self._all: list[Member] = []
        self._known: dict[DiffId | None, ChainId] = {
            each.diff_id: each.chain_id for each in snapshots.layers()
        }
        self._documents = 0
        self._small = 0

    # Coming in

    async def take(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[dict[str, Any], None]:
        """Read the whole archive; progress messages of the layers in it."""
        feed = TarFeed()
        count = 0
        sink: _Sink | None = None
        shown = 0.0
        try:
            async with contextlib.aclosing(_plain(chunks, self._paths)) as plain:
                async for chunk in plain:
                    for event in feed.feed(chunk):
                        if isinstance(event, Header):
                            count += 1
                            if count > MEMBERS_LIMIT:
                                raise InvalidParameter(
                                    f"invalid archive: more than {MEMBERS_LIMIT} members"
                                )
                            sink = self._begin(event)
                        elif sink is None:
                            continue
                        elif event is END:
                            await sink.end()
                            if sink.staged:
                                yield sink.member.message(sink.done)
                            sink = None
                        elif isinstance(event, memoryview):
                            await sink.write(event)
                            if sink.staged and time.monotonic() - shown > _PROGRESS_S:
                                shown = time.monotonic()
                                yield sink.member.message(sink.done)
            feed.close()
        finally:
            if sink is not None:
                await sink.abort()

    def _begin(self, header: Header) -> _Sink | None:
        name = os.fsdecode(layer.clean_name(header.name))
        if header.type == tar.SYMLINK:
            above = os.path.dirname(name)
            target = os.fsencode(os.path.join(above, os.fsdecode(header.linkname)))
            self._links[name] = os.fsdecode(layer.clean_name(target))
        elif header.type == tar.HARDLINK:
            self._links[name] = os.fsdecode(layer.clean_name(header.linkname))
        elif header.type == tar.REGULAR:
            member = Member(name, header.size)
            self._members[name] = member
            self._all.append(member)
            self._links.pop(name, None)
            return _Sink(self, member)
        return None

    def keep_in_memory(self, member: Member, head: bytes) -> bool:
        """Whether to hold ``member``, beginning with ``head``, as bytes."""
        size = member.size_bytes
        if head[:1] in (b"{", b"[") and size <= JSON_LIMIT:
            self._documents += size
            if self._documents > _DOCUMENTS_BYTES:
                raise InvalidParameter("invalid archive: too many large documents in it")
            return True
        if size <= _SMALL_BYTES and self._small + size <= _SMALL_TOTAL_BYTES:
            self._small += size
            return True
        return False

    def is_known(self, member: Member, fmt: str) -> bool:
        """Whether a layer is here already, by the digest that its name promises."""
        digest = blob_digest(member.name)
        if digest is None:
            return False
        if fmt == "none":
            diff_id: DiffId | None = DiffId(digest)
        else:
            self.lease.add_blobs([digest])
            if not self._blobs.exists(digest):
                return False
            diff_id = self._index.content.diff_id_of(digest)
        if diff_id not in self._known:
            return False
        chain_id = self._known[diff_id]
        self.lease.add_chains([chain_id])
        if self._snapshots.layer(chain_id) is None:
            return False
        member.diff_id = diff_id
        if fmt != "none":
            member.blob = _blob(member, digest, fmt)
        return True

    async def stage(self, member: Member, fd: int, fmt: str) -> None:
        """Start to take ``member`` in from ``fd``, which is closed in the end."""
        digest = blob_digest(member.name)
        if digest is not None and fmt != "none":
            self.lease.add_blobs([digest])
            path = self._paths.ingest / f"{secrets.token_hex(8)}.loading"
            member.partial = Partial(digest, path)
            member.format = fmt
        incoming = Incoming(
            fd,
            DiffId(digest) if digest is not None and fmt == "none" else None,
            member.partial,
            member.size_bytes if member.partial is not None else None,
        )
        member.staging = tasks.spawn(self._staged(incoming), name="stage a layer")

    async def _staged(self, incoming: Incoming) -> Staged | Exception:
        try:
            return await self._snapshots.stage(incoming)
        except Exception as error:
            return error
        finally:
            os.close(incoming.fd)

    async def make_room(self) -> None:
        """Wait until not too many layers are being worked on."""
        while True:
            busy = [
                each.staging
                for each in self._all
                if each.staging is not None and not each.staging.done()
            ]
            if len(busy) < _STAGING:
                return
            await asyncio.wait(busy, return_when=asyncio.FIRST_COMPLETED)

    # What is in it

    def find(self, name: str) -> Member | None:
        """A member by name, links followed within the archive."""
        name = os.fsdecode(layer.clean_name(os.fsencode(name)))
        for _ in range(_LINKS_LIMIT):
            if name in self._members:
                return self._members[name]
            if name not in self._links:
                return None
            name = self._links[name]
        return None

    def __contains__(self, name: str) -> bool:
        return self.find(name) is not None

    def get(self, name: str) -> Member:
        member = self.find(name)
        if member is None:
            raise InvalidParameter(f"invalid archive: {name} is missing")
        return member

    def read(self, name: str) -> bytes:
        """A JSON document."""
        member = self.get(name)
        if member.data is None:
            raise InvalidParameter(
                f"invalid archive: {name} has {member.size_bytes} bytes, that is too many"
            )
        return member.data

    def blob(self, descriptor: Descriptor) -> bytes:
        """A small blob of an OCI layout, its digest checked."""
        data = self.read(blob_name(descriptor))
        if sha256(data) != descriptor.digest:
            raise InvalidParameter(
                f"invalid archive: blob {descriptor.digest} has the digest {sha256(data)}"
            )
        return data

    # Layers

    async def commit(self, member: Member, parent: ChainId | None, diff_id: DiffId | None) -> Layer:
        """Make ``member`` the layer on ``parent``; with ``diff_id`` it must be that one.

        Raises ``InvalidParameter`` for what is no layer, or another one.
        """
        wanted = diff_id or member.diff_id
        if wanted is not None:
            self._check(member, wanted)
            adopted = await self._snapshots.adopt(wanted, parent)
            if adopted is not None:
                await self._keep_blob(member, adopted)
                return adopted
        if member.staging is not None:
            staged = await asyncio.shield(member.staging)
            if isinstance(staged, Exception):
                raise staged
            member.staging = None
            if diff_id is not None and staged.diff_id is not None and staged.diff_id != diff_id:
                await staged.discard()
                raise _other_diff_id()
            found = await staged.commit(parent)
        elif member.data is not None:
            found = await self._apply(member.data, parent, diff_id)
        else:
            found = await self._again(member, parent, wanted)
        if diff_id is not None and found.diff_id != diff_id:
            with contextlib.suppress(PierError):
                await self._snapshots.remove_layer(found.chain_id)
            raise _other_diff_id()
        self.lease.add_chains([found.chain_id])
        await self._keep_blob(member, found)
        return found

    def _check(self, member: Member, wanted: DiffId) -> None:
        if member.diff_id is not None and member.diff_id != wanted:
            raise _other_diff_id()

    async def _apply(self, data: bytes, parent: ChainId | None, diff_id: DiffId | None) -> Layer:
        fd = os.memfd_create("layer", os.MFD_CLOEXEC)
        try:
            os.write(fd, data)
            os.lseek(fd, 0, os.SEEK_SET)
            return await self._snapshots.apply(LayerSource(fd, len(data)), parent, diff_id)
        finally:
            os.close(fd)

    async def _again(self, member: Member, parent: ChainId | None, diff_id: DiffId | None) -> Layer:
        """A layer that is here on another parent: from its own tar."""
        chain_id = self._known.get(diff_id) if diff_id is not None else None
        if member.committed is not None:
            chain_id = member.committed.chain_id
        if chain_id is None:
            raise InvalidParameter(f"invalid archive: {member.name} can't be read again")

        async def apply(fd: int) -> Layer:
            return await self._snapshots.apply(LayerSource(fd), parent, diff_id)

        return await through_pipe(
            out_of_pipe(lambda fd: self._snapshots.layer_tar(chain_id, fd)), apply
        )

    async def _keep_blob(self, member: Member, found: Layer) -> None:
        """Its compressed form, if it came by digest, is a blob from now on."""
        member.committed = found
        member.diff_id = found.diff_id
        if member.partial is not None:
            if member.staging is not None:  # adopted: what was staged tells nothing yet
                staged = await asyncio.shield(member.staging)
                if isinstance(staged, Exception):
                    raise staged
                if (staged.diff_id or await _diff_id_of(member.partial.path)) != found.diff_id:
                    raise _other_diff_id()
            self._blobs.keep(member.partial)
            member.blob = _blob(member, member.partial.digest, member.format)
            member.partial = None
        elif member.data is not None and member.blob is None:
            digest = blob_digest(member.name)
            if digest is None or detect(member.data[:HEAD_BYTES]) == "none":
                return
            if sha256(member.data) != digest:
                raise InvalidParameter(
                    f"invalid archive: blob {digest} has the digest {sha256(member.data)}"
                )
            self.lease.add_blobs([digest])
            self._blobs.put(member.data)
            member.blob = _blob(member, digest, detect(member.data[:HEAD_BYTES]))

    async def discard(self) -> None:
        """End what is still worked on, remove what nobody wanted."""
        for member in self._all:
            staging, member.staging = member.staging, None
            if staging is not None:
                if not staging.done():
                    staging.cancel()
                    await asyncio.wait([staging])
                if not staging.cancelled() and not isinstance(staging.result(), Exception):
                    staged = staging.result()
                    assert not isinstance(staged, Exception)
                    await staged.discard()
            if member.partial is not None:
                member.partial.discard()
                member.partial = None
            member.data = None


class _Sink:
    """Takes one member's data, and decides by its head where it goes."""

    def __init__(self, archive: Archive, member: Member) -> None:
        self._archive = archive
        self.member = member
        self.done = 0
        self.staged = False
        self._head: bytearray | None = bytearray()
        self._whole: bytearray | None = None
        self._fd = -1

    async def write(self, data: memoryview) -> None:
        self.done += len(data)
        if self._head is not None:
            self._head += data
            if len(self._head) >= HEAD_BYTES:
                await self._decide()
        elif self._whole is not None:
            self._whole += data
        elif self._fd >= 0:
            await self._feed(data)

    async def _decide(self) -> None:
        head = bytes(self._head or b"")
        self._head = None
        member = self.member
        if self._archive.keep_in_memory(member, head):
            self._whole = bytearray(head)
            return
        fmt = detect(head)
        if self._archive.is_known(member, fmt):
            return
        await self._archive.make_room()
        read_fd, self._fd = make_pipe()
        os.set_blocking(self._fd, False)
        self.staged = True
        await self._archive.stage(member, read_fd, fmt)
        await self._feed(memoryview(head))

    async def _feed(self, data: memoryview) -> None:
        if not await write_to(self._fd, data):
            self._close()  # the worker has said what is wrong with it

    async def end(self) -> None:
        if self._head is not None:
            await self._decide()
        if self._whole is not None:
            self.member.data = bytes(self._whole)
        self._close()

    async def abort(self) -> None:
        """The archive ended in the middle: whoever reads must not take that for the end."""
        staging = self.member.staging
        if staging is not None and not staging.done():
            staging.cancel()
            await asyncio.wait([staging])
            self.member.staging = None
        self._close()

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _blob(member: Member, digest: Digest, fmt: str) -> Descriptor:
    return Descriptor(media_type=layer_media_type(fmt) or "", digest=digest, size=member.size_bytes)


async def _diff_id_of(path: Path) -> DiffId:
    """The digest of the tar in a compressed file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = await worker.call("store.tarcopy:digest", {}, stdin=fd, site_packages=True)
    finally:
        os.close(fd)
    return DiffId(found["diff_id"])


def _other_diff_id() -> InvalidParameter:
    return InvalidParameter("invalid archive: invalid diffID for layer")


def blob_digest(name: str) -> Digest | None:
    """The digest that an OCI layout's file name promises."""
    if not name.startswith(_BLOBS):
        return None
    digest = PREFIX + name.removeprefix(_BLOBS)
    return Digest(digest) if is_digest(digest) else None


def blob_name(descriptor: Descriptor) -> str:
    """Where an OCI layout keeps a blob."""
    if not is_digest(descriptor.digest):
        raise InvalidParameter(f"invalid archive: bad digest {descriptor.digest[:100]!r}")
    return _BLOBS + hex_of(descriptor.digest)


async def _plain(chunks: AsyncIterator[bytes], paths: Paths) -> AsyncGenerator[bytes, None]:
    """The archive uncompressed; by a worker, if it isn't."""
    head = b""
    async for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break

    async def whole() -> AsyncIterator[bytes]:
        yield head
        async for chunk in chunks:
            yield chunk

    if detect(head) == "none":
        async for chunk in whole():
            yield chunk
        return
    directory = paths.tmp / f"load-{secrets.token_hex(8)}"
    directory.mkdir(mode=0o700)

    async def inflate(out_fd: int) -> None:
        async def run(in_fd: int) -> Any:
            return await worker.call(
                "store.tarcopy:expand",
                {},
                stdin=in_fd,
                stdout=out_fd,
                jail=directory,
                site_packages=True,
            )

        await through_pipe(whole(), run)

    try:
        async with contextlib.aclosing(out_of_pipe(inflate)) as plain:
            async for chunk in plain:
                yield chunk
    finally:
        directory.rmdir()
