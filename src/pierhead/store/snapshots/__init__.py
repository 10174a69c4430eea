"""Snapshots: image layers, and the writable file systems of containers on top of them.

Terms
    *layer*     the immutable result of applying one layer tar on a parent; named by its
                chain id. Its tar can be had back byte for byte (``layer_tar``).
    *snapshot*  a writable file system for one container (``key`` is the container id),
                standing on a layer, or on nothing.
    *init layer* a static layer of empty mount points between a snapshot and its layers,
                so that starting a container writes nothing into the snapshot.

Life of a layer: ``stage`` (its bytes come in, in a jailed worker, whatever layers stand
below: layers of one image are staged side by side) → ``Staged.commit`` on its parent,
in order (checked against its diff id, renamed and recorded; until then it does not
exist); ``apply`` is both in one → used by
``mount``/``mount_readonly``/as a parent → ``remove_layer`` (refused while a layer or a
snapshot stands on it; the files go later, in the background).

Life of a snapshot: ``prepare`` (recorded before its directories are made) → ``mount`` and
``unmount`` any number of times → ``changes``/``diff``/``usage``, mounted or not →
``remove``. ``recover`` at start removes what a kill left half made.

An implementation is told how to reclaim nothing: who deletes an image decides which
layers go. The contract suite is ``tests/contract/test_snapshotters.py``.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from pierhead.errors import Unavailable
from pierhead.oci.digest import ChainId, DiffId, Digest
from pierhead.store.blobs import Partial


class Truncated(Unavailable):
    """A blob ended before its length: what came is kept in its partial, to go on from."""


@dataclass(frozen=True, slots=True)
class LayerSource:
    """A layer tar to apply: a readable file descriptor, not closed by the callee.

    The compression (none, gzip, bzip2, xz, zstd) is recognised by its first bytes.
    ``size_bytes`` is what can be read from ``fd``, where known.
    """

    fd: int
    size_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Incoming:
    """A layer's bytes on their way in, for ``stage``.

    ``fd`` is a pipe or file read to its end, not closed by the callee. ``partial`` says
    where to keep the bytes as they come (the layer's blob): what it already holds from an
    earlier attempt is read first and ``fd`` carries on from there; at the end its digest
    must be ``partial.digest``. Without it only the plain tar is kept.
    """

    fd: int
    diff_id: DiffId | None = None
    partial: Partial | None = None
    blob_bytes: int | None = None
    """How long the blob is (all of it, the held part as well), where known: checked."""


class Staged(Protocol):
    """A layer that is in, but stands on nothing yet: ``commit`` or ``discard`` it, once."""

    @property
    def diff_id(self) -> DiffId | None:
        """Digest of the plain tar; ``None`` if this driver learns it at ``commit``."""
        ...

    @property
    def blob_digest(self) -> Digest:
        """Digest of the bytes as they came."""
        ...

    @property
    def blob_bytes(self) -> int: ...

    @property
    def compression(self) -> str:
        """``none``, ``gzip``, ``zstd``, ``bzip2`` or ``xz``."""
        ...

    async def commit(self, parent: ChainId | None) -> Layer:
        """Make it the layer on ``parent``; return the existing one if there. As ``apply``."""
        ...

    async def replace(self, chain_id: ChainId) -> Layer:
        """Put it in the place of a damaged layer's files; instead of ``commit``.

        It must have the layer's diff id (``InvalidParameter``). Of several damaged layers
        the lowest goes first. Containers that run keep what they had until they start again.
        """
        ...

    async def discard(self) -> None:
        """Remove what was staged; no error after ``commit``. The partial blob stays."""
        ...


@dataclass(frozen=True, slots=True)
class Layer:
    """One applied layer."""

    chain_id: ChainId
    diff_id: DiffId
    parent: ChainId | None
    size_bytes: int
    """Bytes of file content in this layer alone."""
    tar_bytes: int
    """Length of the uncompressed tar."""


class LayerFile(NamedTuple):
    """A file that holds a layer's tar: from ``offset`` on, ``length`` bytes of it."""

    path: Path
    offset: int
    length: int | None
    """``None``: to the end of the file."""
    compression: str
    """``none``, or "" if the first bytes tell (any that ``LayerSource`` may have)."""


class ChangeKind(enum.IntEnum):
    """As the API numbers them (GET /containers/{id}/changes)."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


class Change(NamedTuple):
    """``path`` is absolute within the container."""

    path: str
    kind: ChangeKind


class Usage(NamedTuple):
    """What a snapshot's own (writable) part takes on disk."""

    size_bytes: int
    inodes: int


class Snapshotter(Protocol):
    """See the module's docstring. ``NotFound`` for unknown chain ids and keys, everywhere."""

    @property
    def driver(self) -> str:
        """The name ``docker info`` shows and the directory under ``snapshots/``."""
        ...

    on_removed: Callable[[ChainId], None] | None
    """Called when a snapshot that stood on this layer is gone: maybe the layer can go, too."""

    async def stage(self, incoming: Incoming) -> Staged:
        """Take a layer's bytes in, before the layers below it are there.

        Raises ``InvalidParameter`` for a tar that is broken, hostile, beyond the limits, of
        another diff id, or a blob of another digest or length (the partial blob is
        removed then; when ``fd`` just ends too early or the caller is cancelled it stays,
        to go on from: ``Truncated``). Nothing else stays behind.
        """
        ...

    async def apply(
        self, source: LayerSource, parent: ChainId | None, diff_id: DiffId | None
    ) -> Layer:
        """Make the layer that ``source`` gives on ``parent``; return the existing one if there.

        With ``diff_id`` the tar's digest must match. Raises ``InvalidParameter`` for a tar
        that is broken, hostile, beyond the limits or of another digest; nothing stays then.
        """
        ...

    async def adopt(self, diff_id: DiffId, parent: ChainId | None) -> Layer | None:
        """Make the layer without any bytes: it is there, or its tar is, on another parent.

        ``None`` where that can't be done: then ``stage`` it.
        """
        ...

    def layer(self, chain_id: ChainId) -> Layer | None:
        """The layer's record, ``None`` if there is none. In memory: microseconds."""
        ...

    def layers(self) -> list[Layer]:
        """All layers, in no order."""
        ...

    async def layer_tar(self, chain_id: ChainId, out_fd: int) -> int:
        """Write the layer's exact uncompressed tar to ``out_fd``; return its length in bytes."""
        ...

    def layer_file(self, chain_id: ChainId) -> LayerFile:
        """Where the layer's tar lies on disk, for those who read it themselves.

        The file stays readable through a descriptor whatever happens to the layer.
        """
        ...

    def layer_tar_range(self, chain_id: ChainId) -> tuple[Path, int, int] | None:
        """(file, offset, length) of the layer's exact uncompressed tar, if it lies so on disk."""
        ...

    async def verify(self, chain_id: ChainId) -> list[str]:
        """Read the whole layer again; what is wrong with it, a sentence each. Empty: nothing."""
        ...

    async def prepare(self, key: str, chain_id: ChainId | None) -> None:
        """Make an empty writable snapshot ``key`` on ``chain_id``. ``Conflict`` if it exists."""
        ...

    def mount(self, key: str, target: Path, *, init: bool = True, volatile: bool = False) -> None:
        """Mount snapshot ``key`` at the directory ``target``. Well below a millisecond.

        ``init`` False: without the init layer, as a build's steps see their image.
        ``volatile``: fsync(2) does nothing there; for what is thrown away or packed anyway.
        """
        ...

    def mount_readonly(self, chain_id: ChainId | None, target: Path) -> None:
        """Mount the layers up to ``chain_id`` at ``target``, read-only, without init layer."""
        ...

    def unmount(self, target: Path) -> None:
        """Undo ``mount``/``mount_readonly`` at once; no error if nothing is mounted there."""
        ...

    async def remove(self, key: str) -> None:
        """Forget snapshot ``key`` at once and delete its files later. Unknown keys are fine."""
        ...

    async def remove_layer(self, chain_id: ChainId) -> int:
        """Remove one layer, return the bytes set free. ``Conflict`` while something needs it."""
        ...

    async def usage(self, key: str) -> Usage:
        """Disk usage of the writable part."""
        ...

    async def changes(self, key: str) -> list[Change]:
        """What the snapshot changed against its layers, sorted by path."""
        ...

    async def diff(self, key: str, out_fd: int) -> None:
        """Write the snapshot's changes to ``out_fd`` as an OCI layer tar (``.wh.`` whiteouts)."""
        ...

    def graph_data(self, key: str) -> dict[str, str]:
        """``GraphDriver.Data`` of a container's inspect (LowerDir, UpperDir, ...)."""
        ...

    def layer_graph_data(self, chain_id: ChainId | None) -> dict[str, str]:
        """``GraphDriver.Data`` of an image's inspect."""
        ...

    async def recover(self, live_keys: set[str]) -> None:
        """At start: drop snapshots not in ``live_keys``, half-made layers and old trash."""
        ...

    async def close(self) -> None:
        """Let deletions under way finish (bounded); what is left is done at the next start."""
        ...
