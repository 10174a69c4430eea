"""Which images and names there are: in memory for reading, in the database for keeping.

A name points at an image and, where it came with one, at a *target*: the index or manifest
that registries know it by. Images of an index's other platforms stand beside the one that
the bare name means (their ``also`` has the name): ``variant`` finds them.

Every change is written to the database, in one transaction, before memory shows it. All
methods are synchronous and short, so none of them is ever seen half done.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Final

from pierhead.engine.images.clock import parse_rfc3339
from pierhead.engine.images.content import Content, Kept, Lease, RawManifest
from pierhead.engine.images.model import Image
from pierhead.errors import InvalidParameter, NotFound, PierError
from pierhead.oci import platform, reference
from pierhead.oci.digest import (
    ChainId,
    DiffId,
    Digest,
    ImageId,
    chain_ids,
    hex_of,
    is_digest,
    is_hex,
)
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.manifest import Descriptor
from pierhead.oci.platform import Platform
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.snapshots import Snapshotter

log = logging.getLogger(__name__)

INDEX_DEPTH_LIMIT: Final = 4
"""Indexes within indexes."""


class ImageIndex:
    """The images, their names, and which layers they need."""

    def __init__(self, db: Database, blobs: BlobStore, snapshots: Snapshotter) -> None:
        self._db = db
        self._blobs = blobs
        self._snapshots = snapshots
        self.host = platform.of_machine(os.uname().machine)
        """Whose variant a bare name means, if it is here."""
        self.content = Content(db, blobs)
        self.images: dict[ImageId, Image] = {}
        self.refs: dict[str, ImageId] = {}
        self.targets: dict[str, Digest] = {}
        """Name (as in ``refs``) → the index or manifest it stands for; local ones have none."""
        self._uses: dict[ChainId, int] = {}
        self._children: dict[ImageId, set[ImageId]] = {}
        self.on_garbage: Callable[[], None] = lambda: None
        """Called when blobs may have become unneeded. Set by the service."""
        self._load()

    def _load(self) -> None:
        for id_, parent, chain_id, size_bytes, record in self._db.rows(
            "SELECT id, parent, chain_id, size_bytes, record FROM images"
        ):
            try:
                config = ImageConfig.decode(self._blobs.read(id_))
            except PierError as error:
                log.error("image can't be read", extra={"image": id_, "error": str(error)})
                continue
            kept = json.loads(record)
            self._remember(
                Image(
                    id_, config, chain_id, size_bytes, parse_rfc3339(config.created), parent,
                    last_tagged_ns=kept.get("last_tagged_ns", 0),
                )
            )  # fmt: skip
        for ref, image_id, target in self._db.rows(
            "SELECT ref, image_id, manifest_digest FROM image_refs"
        ):
            if image_id in self.images:
                self._point(ref, self.images[image_id], target)

    def _remember(self, image: Image) -> None:
        self.images[image.id] = image
        for chain_id in image.chains:
            self._uses[chain_id] = self._uses.get(chain_id, 0) + 1
        if image.parent is not None:
            self._children.setdefault(image.parent, set()).add(image.id)

    def _forget(self, image: Image) -> None:
        del self.images[image.id]
        if image.parent is not None:
            siblings = self._children.get(image.parent, set())
            siblings.discard(image.id)
            if not siblings:
                self._children.pop(image.parent, None)
        for chain_id in image.chains:
            self._uses[chain_id] -= 1
            if not self._uses[chain_id]:
                del self._uses[chain_id]

    # Finding

    def find(self, text: str) -> Image | None:
        """By name, name@digest, id, manifest digest or unique id prefix.

        ``InvalidParameter`` if it is none of these.
        """
        if is_digest(text):
            return self.images.get(ImageId(text)) or self.by_manifest(Digest(text))
        if len(text) == 64 and is_hex(text):
            return self.images.get(ImageId(f"sha256:{text}"))
        try:
            found = self.by_ref(reference.parse(text))
        except InvalidParameter:
            found = self.by_prefix(text)
            if found is None:
                raise
            return found
        return found or self.by_prefix(text)

    def by_ref(self, ref: Reference) -> Image | None:
        """The image a normalised name points to; a digest counts more than a tag."""
        name = self.stored_name(ref)
        return self.images[self.refs[name]] if name is not None else None

    def stored_name(self, ref: Reference) -> str | None:
        """The key of ``refs`` and ``targets`` that ``ref`` means, if there is one."""
        if ref.digest is None:
            name = str(ref.with_default_tag())
            return name if name in self.refs else None
        name = str(ref.without_tag())
        if name in self.refs:
            return name
        if ref.digest not in self.content.manifests:
            return None
        for stored, target in self.targets.items():
            if target == ref.digest and reference.parse_stored(stored).name == ref.name:
                return stored
        return None

    def by_manifest(self, digest: Digest) -> Image | None:
        """The image that a manifest leads to, or an index for this host."""
        held = [image for _, image in self.variants(digest)]
        return self._preferred(held) or (held[0] if held else None)

    def by_prefix(self, text: str) -> Image | None:
        """The one image whose id begins so; None if there is none, or more than one."""
        prefix = text.removeprefix("sha256:")
        if not is_hex(prefix) or len(prefix) > 64:
            return None
        found = [image for id_, image in self.images.items() if hex_of(id_).startswith(prefix)]
        return found[0] if len(found) == 1 else None

    def get(self, text: str) -> Image:
        """As ``find``; raises ``NotFound`` with Docker's wording."""
        image = self.find(text)
        if image is None:
            raise NotFound(f"No such image: {display(text)}")
        return image

    def children(self, image_id: ImageId) -> list[Image]:
        """Images made from this one (by commit or build)."""
        return [self.images[child] for child in self._children.get(image_id, ())]

    # Targets and platforms

    def target(self, text: str) -> Kept | None:
        """What registries know ``text`` by: a name's target, else a manifest of the image.

        ``None`` if the image was made here and never pushed. ``NotFound`` as ``get``.
        """
        image = self.get(text)
        try:
            name = self.stored_name(reference.parse(text))
        except InvalidParameter:
            name = None
        if name is not None:
            return self.target_of_name(name)
        return self.manifest_of(image)

    def target_of_name(self, name: str) -> Kept | None:
        """The target of a stored name, if its bytes are here."""
        digest = self.targets.get(name)
        return self.content.manifests.get(digest) if digest is not None else None

    def manifest_of(self, image: Image, within: Digest | None = None) -> Kept | None:
        """A manifest whose config is ``image``: the one in index ``within``, or the latest."""
        digests = self.content.by_image.get(image.id, [])
        if within is not None:
            inside = set(self._manifests_under(within))
            digests = [digest for digest in digests if digest in inside]
        return self.content.manifests[digests[-1]] if digests else None

    def _manifests_under(self, digest: Digest, depth: int = INDEX_DEPTH_LIMIT) -> Iterator[Digest]:
        kept = self.content.manifests.get(digest)
        if kept is None or depth == 0:
            return
        if not kept.is_index:
            yield digest
        for child in kept.children:
            yield from self._manifests_under(child, depth - 1)

    def variants(self, digest: Digest) -> list[tuple[Kept, Image]]:
        """The images that an index (or one manifest) leads to and that are held, in its order."""
        found: dict[ImageId, tuple[Kept, Image]] = {}
        for each in self._manifests_under(digest):
            kept = self.content.manifests[each]
            if kept.image_id in self.images and kept.image_id not in found:
                found[kept.image_id] = (kept, self.images[kept.image_id])
        return list(found.values())

    def companions(self, text: str) -> list[Image]:
        """The image that ``text`` names and its variants for other platforms that are held."""
        image = self.get(text)
        target = self.target(text)
        others = [each for _, each in self.variants(target.digest)] if target is not None else []
        return [image, *(each for each in others if each is not image)]

    def variant(self, text: str, wanted: Platform) -> Image | None:
        """The image for ``wanted`` among what ``text`` names; the exact variant if possible."""
        found = [image for image in self.companions(text) if image.is_for(wanted)]
        exact = [image for image in found if (image.config.variant or "") == wanted.variant]
        return next(iter(exact or found), None)

    def _preferred(self, images: list[Image]) -> Image | None:
        return next((image for image in images if image.is_for(self.host)), None)

    # Changing

    def transaction(self) -> AbstractContextManager[None]:
        """All changes inside are kept together or not at all. Never await inside."""
        return self._db.transaction()

    def add(
        self,
        config_blob: bytes,
        *,
        parent: ImageId | None = None,
        refs: Iterable[Reference] = (),
        target: Descriptor | None = None,
        manifests: Iterable[RawManifest] = (),
        blobs: Mapping[DiffId, Descriptor] | None = None,
        repository: str | None = None,
    ) -> Image:
        """Record an image whose layers are all applied, with its names; the old one if known.

        ``manifests`` are kept byte for byte: the image's own and the indexes above it.
        ``target`` says which of them (or of those kept already) ``refs`` stand for; names
        with a tag get their ``name@digest`` beside them then. ``blobs`` tells by which
        compressed blob each layer came, ``repository`` where all that is ("docker.io/
        library/busybox"). All of it becomes visible at once. Several variants of one
        index: one call each, within one ``Database.transaction``, with the same ``target``.

        Raises ``InvalidParameter`` if the config or a manifest is broken, or layers aren't
        there.
        """
        config = ImageConfig.decode(config_blob)
        chains = chain_ids(config.rootfs.diff_ids)
        size_bytes = 0
        for chain_id in chains:
            layer = self._snapshots.layer(chain_id)
            if layer is None:
                raise InvalidParameter(f"invalid image: its layer {chain_id} is missing")
            size_bytes += layer.size_bytes
        refs = list(refs)
        image_id = ImageId(self._blobs.put(config_blob))
        image = self.images.get(image_id)
        known = image is not None
        before = set(self.content.manifests)
        try:
            with self._db.transaction():
                if image is None:
                    image = Image(
                        image_id, config, chains[-1] if chains else None, size_bytes,
                        parse_rfc3339(config.created), parent,
                    )  # fmt: skip
                    self._db.execute(
                        "INSERT INTO images (id, created_ns, parent, chain_id, size_bytes, record)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        (image_id, image.created_ns, parent, image.chain_id, size_bytes, "{}"),
                    )
                self._keep(manifests, blobs or {}, repository)
                if image_id not in self.images:
                    self._remember(image)
                elif parent is not None and image.parent is None and parent != image_id:
                    self._db.execute(
                        "UPDATE images SET parent = ? WHERE id = ?", (parent, image_id)
                    )
                    image.parent = parent
                    self._children.setdefault(parent, set()).add(image_id)
                for ref in refs:
                    self._tag_with_digest(image, ref, target)
        except BaseException:
            self.content.withdraw(before)
            if not known and image is not None and image_id in self.images:
                self._forget(image)
            raise
        self._join(image)
        return image

    def _keep(
        self,
        manifests: Iterable[RawManifest],
        blobs: Mapping[DiffId, Descriptor],
        repository: str | None,
    ) -> None:
        """Record what an image is known by: within a transaction."""
        for raw in manifests:
            self.content.put(raw)
        for diff_id, blob in blobs.items():
            self.content.add_layer_blob(diff_id, blob)
            if repository is not None:
                self.content.add_source(blob.digest, repository)

    def pushed(
        self,
        image: Image,
        ref: Reference,
        *,
        target: Descriptor,
        manifests: Iterable[RawManifest] = (),
        blobs: Mapping[DiffId, Descriptor] | None = None,
        repository: str | None = None,
    ) -> None:
        """A registry has ``image`` now as ``target``: names and blobs as in ``add``."""
        before = set(self.content.manifests)
        try:
            with self._db.transaction():
                self._keep(manifests, blobs or {}, repository)
                name = str(ref.with_default_tag())
                if self.refs.get(name) == image.id or name in image.also:
                    self._tag_with_digest(image, ref.with_default_tag(), target)
        except BaseException:
            self.content.withdraw(before)
            raise

    def _tag_with_digest(self, image: Image, ref: Reference, target: Descriptor | None) -> None:
        self.tag(image, ref, target.digest if target is not None else None)
        if target is not None and ref.digest is None:
            self.tag(image, ref.without_tag().with_digest(target.digest), target.digest)

    def _join(self, image: Image) -> None:
        """Stand beside the other variants of indexes that name this one as well."""
        above: set[Digest] = set()
        wave = list(self.content.by_image.get(image.id, ()))
        while wave:
            wave = [up for digest in wave for up in self.content.parents.get(digest, ())]
            wave = [digest for digest in wave if digest not in above]
            above.update(wave)
        if above:
            for name, target in list(self.targets.items()):
                if target in above:
                    self._point(name, self.images[self.refs[name]], target)

    def tag(self, image: Image, ref: Reference, target: Digest | None = None) -> ImageId | None:
        """Point ``ref`` at ``image``; return the image it pointed to before, if another one.

        ``target`` is what the name stands for in registries. If it is an index of which this
        host's variant is here, the bare name means that one, whichever ``image`` is.
        """
        name = str(ref.with_default_tag())
        now = time.time_ns()
        if target is None and ref.digest is not None:
            target = Digest(ref.digest)
        primary = image
        if target is not None and (kept := self.content.manifests.get(target)) and kept.is_index:
            primary = self._preferred([held for _, held in self.variants(target)]) or image
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO image_refs (ref, image_id, manifest_digest, tagged_ns) "
                "VALUES (?, ?, ?, ?) ON CONFLICT (ref) DO UPDATE SET image_id = excluded.image_id, "
                "manifest_digest = excluded.manifest_digest, tagged_ns = excluded.tagged_ns",
                (name, primary.id, target, now),
            )
            self._db.execute(
                "UPDATE images SET record = ? WHERE id = ?",
                (json.dumps({"last_tagged_ns": now}), image.id),
            )
        before = self.refs.get(name)
        replaced = self.targets.get(name)
        self._point(name, primary, target)
        image.last_tagged_ns = now
        if replaced is not None and replaced != target:
            self.on_garbage()
        return before if before != primary.id else None

    def _point(self, name: str, image: Image, target: Digest | None) -> None:
        """In memory: ``name`` means ``image``, its other variants stand beside it."""
        self._unpoint(name)
        self.refs[name] = image.id
        image.refs.add(name)
        if target is not None:
            self.targets[name] = target
            for _, other in self.variants(target):
                if other is not image:
                    other.also |= {name}

    def _unpoint(self, name: str) -> list[Image]:
        """In memory: nobody has ``name`` any more. Returns who had it."""
        had: list[Image] = []
        image_id = self.refs.pop(name, None)
        if image_id in self.images:
            image = self.images[image_id]
            image.refs.discard(name)
            had.append(image)
        if (target := self.targets.pop(name, None)) is not None:
            for _, other in self.variants(target):
                if name in other.also:
                    other.also -= {name}
                    had.append(other)
        return had

    def untag(self, ref: str) -> list[Image]:
        """Forget one name (in its stored form).

        Returns variants that stood beside the one it meant and have no name left.
        """
        self._db.execute("DELETE FROM image_refs WHERE ref = ?", (ref,))
        meant = self.refs.get(ref)
        had = self._unpoint(ref)
        self.on_garbage()
        return [image for image in had if image.id != meant and not image.refs and not image.also]

    def delete(self, image: Image) -> list[ChainId]:
        """Forget an image and its names; return the layers that nobody needs now, topmost first.

        A name whose other variants stay means one of those from now on.
        """
        left = {
            name: [held for _, held in self.variants(self.targets[name]) if held is not image]
            for name in image.refs
            if name in self.targets
        }
        moved = {name: self._preferred(held) or held[0] for name, held in left.items() if held}
        with self._db.transaction():
            for name, other in moved.items():
                self._db.execute(
                    "UPDATE image_refs SET image_id = ? WHERE ref = ?", (other.id, name)
                )
            self._db.execute("DELETE FROM image_refs WHERE image_id = ?", (image.id,))
            self._db.execute("DELETE FROM images WHERE id = ?", (image.id,))
            self._db.execute("UPDATE images SET parent = NULL WHERE parent = ?", (image.id,))
        targets = {name: self.targets.get(name) for name in moved}
        for name in list(image.refs):
            self._unpoint(name)
        image.also = frozenset()
        self._forget(image)
        for name, other in moved.items():
            self._point(name, other, targets[name])
        for child in self.children(image.id):
            child.parent = None
        self._children.pop(image.id, None)
        if image.id not in self.content.held_blobs:
            self._blobs.delete(image.id)
        self.on_garbage()
        return [chain for chain in reversed(image.chains) if not self.needed(chain)]

    # Layers

    def needed(self, chain_id: ChainId) -> bool:
        """Whether an image, or an operation under way, counts on this layer."""
        return chain_id in self._uses or chain_id in self.content.held_chains

    def lease(self) -> Lease:
        """Keep blobs and layers while an operation counts on them; use it as a context."""
        return self.content.lease()

    @contextmanager
    def hold(self, chains: Iterable[ChainId]) -> Iterator[None]:
        """Keep layers while an image that will need them is being made."""
        with self.lease() as lease:
            lease.add_chains(chains)
            yield


def display(text: str) -> str:
    """How Docker repeats a name in "No such image": familiar, with its tag."""
    if is_digest(text) or (len(text) == 64 and is_hex(text)):
        return text if is_digest(text) else f"sha256:{text}"
    try:
        return reference.parse(text).with_default_tag().familiar
    except InvalidParameter:
        return text
