"""Which images a ``save`` takes, and in which form: as registries know them, or made up.

An image goes out by its own manifest, and its compressed layers as they came, where all of
that is here: whoever loads it has the same digests. Else a manifest is made for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from pierhead.engine.images import listing
from pierhead.engine.images.content import Kept
from pierhead.engine.images.index import ImageIndex, display
from pierhead.engine.images.model import Image
from pierhead.errors import InvalidParameter, NotFound
from pierhead.oci import manifest, reference
from pierhead.oci.digest import Digest, is_digest, is_hex
from pierhead.oci.manifest import Manifest
from pierhead.oci.platform import Platform
from pierhead.store.blobs import BlobStore


@dataclass(slots=True)
class Variant:
    """One image, and its manifest if that can go out byte for byte."""

    image: Image
    kept: Kept | None = None
    manifest: Manifest | None = None


@dataclass(slots=True)
class Item:
    """One entry of the archive: an image, or an index of images, with its names (familiar)."""

    variants: list[Variant]
    """The first is the one that a reader takes who knows nothing of platforms."""
    names: list[str] = field(default_factory=list)
    index: Kept | None = None
    """Where all variants go out byte for byte: the index that lists them."""


@dataclass(slots=True)
class Plan:
    items: list[Item]

    @property
    def images(self) -> list[Image]:
        """Every image once."""
        found = {each.image.id: each.image for item in self.items for each in item.variants}
        return list(found.values())


def plan(index: ImageIndex, blobs: BlobStore, refs: list[str], wanted: list[Platform]) -> Plan:
    """Find all of ``refs``; with ``wanted`` their images for these platforms.

    A plain repository name takes all of its tags. Raises ``NotFound``, ``InvalidParameter``.
    """
    if not refs:
        raise InvalidParameter("no images to save: give at least one name")
    items: dict[str, Item] = {}

    def take(text: str, image: Image, name: str | None, target: Kept | None) -> None:
        key = target.digest if target is not None else image.id
        item = items.get(key)
        if item is None:
            item = items[key] = _item(index, blobs, text, image, target, wanted)
        if name is not None and name not in item.names:
            item.names.append(name)

    for text in refs:
        if is_digest(text) or (len(text) == 64 and is_hex(text)):
            image = index.get(text)
            take(text, image, None, index.manifest_of(image))
            continue
        ref = reference.parse(text)
        if ref.is_name_only:
            tagged = sorted(
                stored for stored in index.refs if reference.parse_stored(stored).name == ref.name
            )
            for stored in tagged:
                image = index.images[index.refs[stored]]
                take(text, image, _tag_of(stored), index.target_of_name(stored))
            if not tagged:
                image = index.get(text)
                take(text, image, None, index.manifest_of(image))
            continue
        name = index.stored_name(ref)
        if name is None:
            raise NotFound(f"No such image: {display(text)}")
        image = index.images[index.refs[name]]
        take(text, image, ref.familiar if ref.digest is None else None, index.target_of_name(name))
    return Plan(_joined(list(items.values())))


def _tag_of(stored: str) -> str | None:
    ref = reference.parse_stored(stored)
    return ref.familiar if ref.digest is None else None


def _item(
    index: ImageIndex,
    blobs: BlobStore,
    text: str,
    image: Image,
    target: Kept | None,
    wanted: list[Platform],
) -> Item:
    within = target.digest if target is not None and target.is_index else None
    images = [image]
    if within is not None:
        images += [each for _, each in index.variants(within) if each is not image]
    if wanted:
        images = [each for each in images if any(each.is_for(one) for one in wanted)]
        for one in wanted:
            if not any(each.is_for(one) for each in images):
                listing.refuse_platform(one, text)
    variants = [_variant(index, blobs, each, target) for each in images]
    whole = within is not None and all(each.kept is not None for each in variants)
    if wanted and len(variants) == 1:
        whole = False  # then the name stands for that one alone
    return Item(variants, index=target if whole else None)


def _variant(index: ImageIndex, blobs: BlobStore, image: Image, target: Kept | None) -> Variant:
    candidates: list[Kept | None] = []
    if target is not None:
        inside = index.manifest_of(image, within=target.digest)
        candidates.append(inside)
    candidates.append(index.manifest_of(image))
    for kept in candidates:
        if kept is None or not blobs.exists(kept.digest):
            continue
        decoded = manifest.decode_manifest(blobs.read(kept.digest))
        if isinstance(decoded, Manifest) and all(
            blobs.exists(layer.digest) for layer in decoded.layers
        ):
            return Variant(image, kept, decoded)
    return Variant(image)


def _joined(items: list[Item]) -> list[Item]:
    """Images that go out in the same form under several names are one item."""
    found: dict[tuple[Digest | None, ...], Item] = {}
    for item in items:
        forms = [each.kept.digest if each.kept else Digest(each.image.id) for each in item.variants]
        key = (item.index.digest if item.index is not None else None, *forms)
        if key in found:
            known = found[key]
            known.names += [name for name in item.names if name not in known.names]
        else:
            found[key] = item
    return list(found.values())
