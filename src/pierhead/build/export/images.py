"""``image`` and ``registry``: into this daemon's images under their names, and on to registries.

An image that is asked for nothing special is recorded by its config alone, as the classic
builder does: nothing is compressed. A manifest is made where somebody must see one (several
platforms, attestations, annotations, a compression asked for).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from pierhead.build.export import documents
from pierhead.build.export.attributes import ImageTarget
from pierhead.build.export.layers import Layers
from pierhead.build.export.packing import Packed, Packer, Prepared, layer_blobs
from pierhead.build.export.progress import Step
from pierhead.build.export.pushing import push_digest, push_name
from pierhead.build.model import BuildResult, BuiltImage, Client
from pierhead.build.registries import Registries
from pierhead.engine.events import EventBus
from pierhead.engine.images.content import Lease
from pierhead.engine.images.events import image_event
from pierhead.engine.images.model import Image
from pierhead.engine.images.service import ImageService
from pierhead.errors import NotFound
from pierhead.oci.digest import Digest
from pierhead.oci.reference import Reference


@dataclass(slots=True)
class ImageOutput:
    """Exports to this daemon's images."""

    images: ImageService
    events: EventBus
    registries: Registries
    packer: Packer
    layers: Layers

    async def run(
        self,
        prepared: Sequence[Prepared],
        target: ImageTarget,
        client: Client,
        lease: Lease,
        step: Step,
        result: BuildResult,
    ) -> None:
        """Record, name and push; what is to be known of it goes into ``result``."""
        packed = None
        if target.packing.asked or len(prepared) > 1 or any(each.statements for each in prepared):
            packed = await self.packer.pack(
                prepared, target.packing, names=target.names, lease=lease, step=step
            )
        if target.by_digest and target.push:
            assert packed is not None
            for name in target.names:
                await push_digest(name, packed, client, self.registries, self.layers, step)
            _report(result, prepared, packed)
            return
        self._record(prepared, target, packed, step)
        _report(result, prepared, packed)
        if target.names:
            result.metadata["image.name"] = ",".join(str(name) for name in target.names)
        if target.push:
            try:
                for name in target.names:
                    digest = await push_name(name, client, self.registries, step)
                    if digest is not None and packed is None:
                        result.digest = digest
                        result.metadata["containerimage.digest"] = digest
            finally:
                if not target.store:
                    await self._forget(target.names)

    def _record(
        self,
        prepared: Sequence[Prepared],
        target: ImageTarget,
        packed: Packed | None,
        step: Step,
    ) -> None:
        """All platforms and all names in one transaction."""
        index = self.images.index
        top = packed.top if packed is not None else None
        refs = list(target.names)
        if target.canonical and top is not None:
            digest = top.descriptor.digest
            refs += [name.without_tag().with_digest(digest) for name in target.names]
        recorded: list[Image] = []
        with index.transaction():
            for number, each in enumerate(prepared):
                with step.part(f"writing image {each.id}"):
                    if packed is None or top is None:
                        image = index.add(each.config, parent=each.assembled.parent, refs=refs)
                    else:
                        mine = packed.images[number]
                        raw = [mine.manifest.raw]
                        if mine.attested is not None:
                            raw.append(mine.attested.manifest.raw)
                        if packed.index is not None:
                            raw.append(packed.index.raw)
                        image = index.add(
                            each.config,
                            parent=each.assembled.parent,
                            refs=refs,
                            target=top.descriptor,
                            manifests=raw,
                            blobs=layer_blobs(mine),
                        )
                recorded.append(image)
        for name in target.names:
            step.said(f"naming to {name}")
            image_event(self.events, recorded[0], name.familiar, "tag")

    async def _forget(self, names: Sequence[Reference]) -> None:
        for name in names:
            with contextlib.suppress(NotFound):
                await self.images.remove(str(name), force=True)


def _report(result: BuildResult, prepared: Sequence[Prepared], packed: Packed | None) -> None:
    result.images = [
        BuiltImage(
            platform=str(each.assembled.platform),
            id=each.id,
            config=each.config,
            manifest=packed.images[number].manifest.descriptor.digest if packed else None,
        )
        for number, each in enumerate(prepared)
    ]
    if packed is not None:
        report_packed(result, packed)
    elif prepared:
        result.metadata["containerimage.digest"] = str(prepared[0].id)
        result.metadata["containerimage.config.digest"] = str(prepared[0].id)


def report_packed(result: BuildResult, packed: Packed) -> None:
    """What the metadata file says of an image with a manifest."""
    top = packed.top.descriptor
    result.digest = Digest(top.digest)
    result.metadata["containerimage.digest"] = str(top.digest)
    result.metadata["containerimage.descriptor"] = documents.descriptor_entry(top)
    if packed.index is None or len(packed.images) == 1:
        result.metadata["containerimage.config.digest"] = str(packed.images[0].prepared.id)
