"""Which images and names there are: in memory for reading, in the database for keeping.

Every change is written to the database, in one transaction, before memory shows it. All
methods are synchronous and short, so none of them is ever seen half done.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from pierhead.engine.images.clock import parse_rfc3339
from pierhead.engine.images.model import Image
from pierhead.errors import InvalidParameter, NotFound, PierError
from pierhead.oci import reference
from pierhead.oci.digest import ChainId, ImageId, chain_ids, hex_of, is_digest, is_hex
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.reference import Reference
from pierhead.store.blobs import BlobStore
from pierhead.store.database import Database
from pierhead.store.snapshots import Snapshotter

log = logging.getLogger(__name__)


class ImageIndex:
    """The images, their names, and which layers they need."""

    def __init__(self, db: Database, blobs: BlobStore, snapshots: Snapshotter) -> None:
        self._db = db
        self._blobs = blobs
        self._snapshots = snapshots
        self.images: dict[ImageId, Image] = {}
        self.refs: dict[str, ImageId] = {}
        self._held: dict[ChainId, int] = {}
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
            self.images[id_] = Image(
                id_, config, chain_id, size_bytes, parse_rfc3339(config.created), parent,
                last_tagged_ns=kept.get("last_tagged_ns", 0),
            )  # fmt: skip
        for ref, image_id in self._db.rows("SELECT ref, image_id FROM image_refs"):
            if image_id in self.images:
                self.refs[ref] = image_id
                self.images[image_id].refs.add(ref)

    # Finding

    def find(self, text: str) -> Image | None:
        """By name, name@digest, id or unique id prefix. ``InvalidParameter`` if none of these."""
        if is_digest(text):
            return self.images.get(ImageId(text))
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
        if ref.digest is not None:
            ref = ref.without_tag()
        image_id = self.refs.get(str(ref.with_default_tag()))
        return self.images[image_id] if image_id else None

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
        return [image for image in self.images.values() if image.parent == image_id]

    # Changing

    def add(
        self, config_blob: bytes, *, parent: ImageId | None = None, refs: Iterable[Reference] = ()
    ) -> Image:
        """Record an image whose layers are all applied, with its names; the old one if known.

        Raises ``InvalidParameter`` if the config is broken or its layers aren't there.
        """
        config = ImageConfig.decode(config_blob)
        chains = chain_ids(config.rootfs.diff_ids)
        size_bytes = 0
        for chain_id in chains:
            layer = self._snapshots.layer(chain_id)
            if layer is None:
                raise InvalidParameter(f"invalid image: its layer {chain_id} is missing")
            size_bytes += layer.size_bytes
        image_id = ImageId(self._blobs.put(config_blob))
        image = self.images.get(image_id)
        with self._db.transaction():
            if image is None:
                image = Image(
                    image_id, config, chains[-1] if chains else None, size_bytes,
                    parse_rfc3339(config.created), parent,
                )  # fmt: skip
                self._db.execute(
                    "INSERT INTO images (id, created_ns, parent, chain_id, size_bytes, record) "
                    "VALUES (?, ?, ?, ?, ?, ?)",
                    (image_id, image.created_ns, parent, image.chain_id, size_bytes, "{}"),
                )
            elif parent is not None and image.parent is None and parent != image_id:
                self._db.execute("UPDATE images SET parent = ? WHERE id = ?", (parent, image_id))
                image.parent = parent
            self.images[image_id] = image
            for ref in refs:
                self.tag(image, ref)
        return image

    def tag(self, image: Image, ref: Reference) -> ImageId | None:
        """Point ``ref`` at ``image``; return the image it pointed to before, if another one."""
        name = str(ref.with_default_tag())
        now = time.time_ns()
        with self._db.transaction():
            self._db.execute(
                "INSERT INTO image_refs (ref, image_id, manifest_digest, tagged_ns) "
                "VALUES (?, ?, ?, ?) ON CONFLICT (ref) DO UPDATE SET "
                "image_id = excluded.image_id, tagged_ns = excluded.tagged_ns",
                (name, image.id, ref.digest, now),
            )
            self._db.execute(
                "UPDATE images SET record = ? WHERE id = ?",
                (json.dumps({"last_tagged_ns": now}), image.id),
            )
        before = self.refs.get(name)
        if before is not None and before in self.images:
            self.images[before].refs.discard(name)
        self.refs[name] = image.id
        image.refs.add(name)
        image.last_tagged_ns = now
        return before if before != image.id else None

    def untag(self, ref: str) -> None:
        """Forget one name (in its stored form)."""
        self._db.execute("DELETE FROM image_refs WHERE ref = ?", (ref,))
        image_id = self.refs.pop(ref, None)
        if image_id is not None and image_id in self.images:
            self.images[image_id].refs.discard(ref)

    def delete(self, image: Image) -> list[ChainId]:
        """Forget an image and its names; return the layers that nobody needs now, topmost first."""
        with self._db.transaction():
            self._db.execute("DELETE FROM image_refs WHERE image_id = ?", (image.id,))
            self._db.execute("DELETE FROM images WHERE id = ?", (image.id,))
            self._db.execute("UPDATE images SET parent = NULL WHERE parent = ?", (image.id,))
        for ref in image.refs:
            self.refs.pop(ref, None)
        image.refs = set()
        del self.images[image.id]
        for child in self.children(image.id):
            child.parent = None
        self._blobs.delete(image.id)
        return [chain for chain in reversed(image.chains) if not self.needed(chain)]

    # Layers

    def needed(self, chain_id: ChainId) -> bool:
        """Whether an image, or an operation under way, counts on this layer."""
        return chain_id in self._held or any(
            chain_id in image.chains for image in self.images.values()
        )

    @contextmanager
    def hold(self, chains: Iterable[ChainId]) -> Iterator[None]:
        """Keep layers while an image that will need them is being made."""
        chains = list(chains)
        for chain_id in chains:
            self._held[chain_id] = self._held.get(chain_id, 0) + 1
        try:
            yield
        finally:
            for chain_id in chains:
                self._held[chain_id] -= 1
                if not self._held[chain_id]:
                    del self._held[chain_id]


def display(text: str) -> str:
    """How Docker repeats a name in "No such image": familiar, with its tag."""
    if is_digest(text) or (len(text) == 64 and is_hex(text)):
        return text if is_digest(text) else f"sha256:{text}"
    try:
        return reference.parse(text).with_default_tag().familiar
    except InvalidParameter:
        return text
