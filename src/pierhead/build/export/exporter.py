"""Giving a solved build's images away: every ``--output``, in the order they were asked.

``Solved`` holds the layers; nothing of it is recorded before. Each output is one step of the
progress (``exporting to image``). What the types do:

    image     into this daemon's images; ``push=true`` sends it on
    registry  the same with ``push=true``
    local     the files themselves, as a tar that the client unpacks
    tar       the same, as one tar
    oci       an archive with the OCI image layout; ``docker`` the same, as ``docker save`` has it
    cacheonly nothing
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pierhead.build.cache.document import inline as inline_cache
from pierhead.build.export import attributes
from pierhead.build.export.archive import ArchiveOutput
from pierhead.build.export.attest import Attester
from pierhead.build.export.attributes import ArchiveTarget, ImageTarget, Target, TreeTarget
from pierhead.build.export.images import ImageOutput
from pierhead.build.export.layers import Layers
from pierhead.build.export.model import Assembled, Solved
from pierhead.build.export.packing import Packer, Prepared, prepare
from pierhead.build.export.progress import step
from pierhead.build.export.tree import TreeOutput
from pierhead.build.model import BuildOptions, BuildResult, Client, Emit, Output
from pierhead.build.registries import Registries
from pierhead.engine.events import EventBus
from pierhead.engine.images.content import Lease
from pierhead.engine.images.service import ImageService
from pierhead.errors import NotImplementedYet, Unavailable
from pierhead.store.blobs import BlobStore
from pierhead.store.snapshots import Snapshotter

if TYPE_CHECKING:
    from pierhead.build.files.service import FileService


class Exporter:
    """One for the daemon; exports of several builds run side by side."""

    def __init__(
        self,
        *,
        images: ImageService,
        blobs: BlobStore,
        snapshots: Snapshotter,
        files: FileService,
        events: EventBus,
        registries: Registries,
    ) -> None:
        self._images = images
        self._snapshots = snapshots
        self._blobs = blobs
        self.layers = Layers(blobs=blobs, snapshots=snapshots, content=images.index.content)
        packer = Packer(layers=self.layers, blobs=blobs, index=images.index)
        self._attester = Attester(files)
        self._image = ImageOutput(images, events, registries, packer, self.layers)
        self._archive = ArchiveOutput(packer, self.layers)
        self._tree = TreeOutput(files)

    async def export(
        self, solved: Solved, outputs: Sequence[Output], client: Client, emit: Emit
    ) -> BuildResult:
        """Do all of ``outputs`` (none: one ``image``); the caller releases ``solved``.

        Raises ``InvalidParameter`` for types and attributes that aren't known before anything
        is given away, else what the outputs raise: those done by then stay done.
        """
        wanted = list(outputs) or [Output(type="image")]
        targets = self.check(solved.options, wanted)
        result = BuildResult(ref=solved.ref, warnings=solved.warnings)
        with self._images.index.lease() as lease:
            for image in solved.images:
                lease.add_chains(image.chains)
            if solved.options.squash:
                solved = await self._squashed(solved, lease, emit)
            for output, target in zip(wanted, targets, strict=True):
                if target is None:
                    continue
                try:
                    await self._one(solved, output, target, client, lease, emit, result)
                except OSError as error:  # the disk is full, most of all
                    words = (error.strerror or str(error)).lower()
                    raise Unavailable(f"failed to export type={output.type}: {words}") from error
        return result

    @staticmethod
    def check(options: BuildOptions, outputs: Sequence[Output]) -> list[Target]:
        """What ``outputs`` ask for. ``InvalidParameter``, ``NotImplementedYet``: before a build."""
        return [
            attributes.target(
                output.type,
                output.attributes,
                tags=tuple(options.tags),
                annotations=options.annotations,
            )
            for output in outputs
        ]

    async def _squashed(self, solved: Solved, lease: Lease, emit: Emit) -> Solved:
        from pierhead.build.export.squash import squash

        index = self._images.index
        with step(emit, f"{solved.ref} squash", "squashing layers"):
            images = [
                await squash(image, index, self._snapshots, self._blobs, lease)
                for image in solved.images
            ]
        return replace(solved, images=images)

    async def _one(
        self,
        solved: Solved,
        output: Output,
        target: Target,
        client: Client,
        lease: Lease,
        emit: Emit,
        result: BuildResult,
    ) -> None:
        seed = f"{solved.ref} output {output.number} {output.type}"
        if isinstance(target, TreeTarget):
            where = "directory" if output.type == "local" else "tarball"
            with step(emit, seed, f"exporting to client {where}") as progress:
                statements = await self._statements(solved, explicit=False)
                await self._tree.run(
                    solved.images,
                    target,
                    statements,
                    client.receive(output),
                    progress,
                    provenance_name=(solved.options.provenance or {}).get("filename", ""),
                )
        elif isinstance(target, ArchiveTarget):
            kind = "docker" if target.docker else "oci"
            with step(emit, seed, f"exporting to {kind} image format") as progress:
                prepared = await self._prepare(solved, target)
                _tell_provenance(prepared, result)
                await self._archive.run(
                    prepared, target, client.receive(output), lease, progress, result
                )
        elif target is not None:
            with step(emit, seed, "exporting to image") as progress:
                prepared = await self._prepare(solved, target)
                _tell_provenance(prepared, result)
                await self._image.run(prepared, target, client, lease, progress, result)

    async def _prepare(self, solved: Solved, target: ImageTarget | ArchiveTarget) -> list[Prepared]:
        """The final configs, and what is attested of them."""
        options = solved.options
        epoch = target.packing.epoch_s
        if epoch is None:
            epoch = solved.epoch_s
        if target.packing.rewrite and epoch != solved.epoch_s:
            # Layers are made with their times; rewriting them would make others of them.
            raise NotImplementedYet(
                "rewrite-timestamp with another time than the build's isn't supported: "
                "give --build-arg SOURCE_DATE_EPOCH=N"
            )
        inline = any(cache.type == "inline" for cache in options.cache_to)
        if isinstance(target, ImageTarget):
            explicit = target.inline_attestations or target.push or len(solved.images) > 1
        else:
            explicit = not target.docker
        statements = await self._statements(
            solved,
            explicit=explicit or target.packing.asked,
            allowed=target.packing.oci is not False
            and not (isinstance(target, ArchiveTarget) and target.docker),
        )
        return [
            prepare(
                image,
                base=self._base(image),
                epoch_s=epoch,
                inline_cache=(
                    inline_cache(image.chains, image.cache_keys, image.cache_times)
                    if inline
                    else None
                ),
                statements=attested,
            )
            for image, attested in zip(solved.images, statements, strict=True)
        ]

    def _base(self, image: Assembled) -> Any:
        base = self._images.index.images.get(image.base) if image.base is not None else None
        return base.config if base is not None else None

    async def _statements(
        self, solved: Solved, *, explicit: bool, allowed: bool = True
    ) -> list[list[dict[str, Any]]]:
        """in-toto statements of each image; ``inline-only`` ones only where a manifest is made."""
        if not allowed:
            return [[] for _ in solved.images]
        return [
            await self._attester.statements(solved, image, explicit=explicit, now_ns=time.time_ns())
            for image in solved.images
        ]


def _tell_provenance(prepared: Sequence[Prepared], result: BuildResult) -> None:
    """The predicates, for the metadata file, under the names that buildx gives them."""
    for each in prepared:
        for statement in each.statements:
            if str(statement["predicateType"]).startswith("https://slsa.dev/provenance/"):
                key = "buildx.build.provenance"
                if len(prepared) > 1:
                    key += f"/{each.assembled.platform}"
                result.metadata[key] = statement["predicate"]
