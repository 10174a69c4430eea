"""Removing images and names, one by one or by prune.

The rules (what counts as a conflict, what force overrides, which parents go along) and the
wording are moby's ``daemon/images/image_delete.go``: clients match on both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any, Final, NamedTuple

from pierhead.engine.events import EventBus
from pierhead.engine.filters import Filters
from pierhead.engine.images.clock import parse_timestamp
from pierhead.engine.images.events import image_event
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import Conflict, InvalidParameter, NotFound, PierError
from pierhead.oci import reference
from pierhead.oci.digest import ChainId, hex_of
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Snapshotter

Records = list[dict[str, str]]
PRUNE_FILTERS: Final = frozenset({"dangling", "label", "label!", "until"})


class ContainerUse(NamedTuple):
    """A container that uses an image."""

    container_id: str
    running: bool


class _InUse(Conflict):
    """A reason not to delete an image."""

    def __init__(self, image: Image, message: str, *, hard: bool, used: bool) -> None:
        force = "cannot be forced" if hard else "must be forced"
        super().__init__(f"conflict: unable to delete {short(image.id)} ({force}) - {message}")
        self.used = used


def short(id_: str) -> str:
    """The first twelve digits of an id."""
    return hex_of(id_)[:12]


class ImageRemover:
    """Decides and deletes. ``users(image id)`` tells which containers use an image."""

    def __init__(
        self,
        index: ImageIndex,
        snapshots: Snapshotter,
        events: EventBus,
        users: Callable[[str], list[ContainerUse]],
    ) -> None:
        self._index = index
        self._snapshots = snapshots
        self._events = events
        self._users = users
        self._orphans: set[ChainId] = set()

    async def remove(
        self, text: str, *, force: bool, noprune: bool, platforms: list[Platform] | None = None
    ) -> Records:
        """Remove the name ``text``, or the image of that id. See ``ImageService.remove``."""
        index = self._index
        if platforms:
            return await self._remove_variants(text, platforms, force=force)
        image = index.get(text)
        records: Records = []
        beside: list[Image] = []
        by_name = not _is_id_prefix(image.id, text)
        if by_name:
            ref = reference.parse(text)
            name = index.stored_name(ref)
            users = [user for each in index.companions(text) for user in self._users(each.id)]
            if not force and _single_reference(image) and users:
                raise Conflict(
                    f'conflict: unable to remove repository reference "{text}" (must force) - '
                    f"container {short(users[0].container_id)} is using its referenced image "
                    f"{short(image.id)}"
                )
            if name is None:  # a digest prefix that looks like a name
                name = str(ref.with_default_tag())
            beside += self._untag(image, name, records)
            if ref.digest is None:
                beside += self._drop_lonely_digests(image, ref.name, records)
            if image.refs:
                return records
        elif _single_reference(image):
            self._check(image, force=force, references=False)
            for name in sorted(image.refs):
                beside += self._untag(image, name, records)
        beside += await self._delete(image, records, force=force, prune=not noprune, quiet=by_name)
        await self._delete_beside(beside, records)
        return records

    async def _remove_variants(
        self, text: str, platforms: list[Platform], *, force: bool
    ) -> Records:
        """Only these platforms' images of ``text``; its name stays while another is left."""
        found: list[Image] = []
        for wanted in platforms:
            image = self._index.variant(text, wanted)
            if image is None:
                raise NotFound(f"no image for platform {wanted} in {text}")
            if image not in found:
                found.append(image)
        for image in found:
            self._check(image, force=force, references=False)
        records: Records = []
        for image in found:
            await self._forget(image, records)
        return records

    async def _delete_beside(self, images: list[Image], records: Records) -> None:
        """Other platforms' images that had only the names which are gone."""
        for image in images:
            if image.id not in self._index.images or image.refs or image.also:
                continue
            try:
                self._check(image, force=False)
            except _InUse:
                continue
            await self._forget(image, records)

    def _drop_lonely_digests(self, image: Image, name: str, records: Records) -> list[Image]:
        """A repository's last tag is gone: its digests go with it. Returns as ``untag``."""
        same = [ref for ref in sorted(image.refs) if reference.parse_stored(ref).name == name]
        if any(reference.parse_stored(ref).digest is None for ref in same):
            return []
        beside = []
        for ref in same:
            beside += self._index.untag(ref)
            records.append({"Untagged": reference.familiar(ref)})
        return beside

    def _untag(self, image: Image, ref: str, records: Records) -> list[Image]:
        beside = self._index.untag(ref)
        image_event(self._events, image, image.id, "untag")
        records.append({"Untagged": reference.familiar(ref)})
        return beside

    def _check(self, image: Image, *, force: bool, references: bool = True) -> None:
        """Raise the first reason not to delete ``image``; ``force`` skips the soft ones."""
        if self._index.children(image.id):
            raise _InUse(image, "image has dependent child images", hard=True, used=False)
        users = self._users(image.id)
        for user in users:
            if user.running:
                raise _InUse(
                    image,
                    f"image is being used by running container {short(user.container_id)}",
                    hard=True,
                    used=True,
                )
        if force:
            return
        if references and image.refs:
            raise _InUse(
                image, "image is referenced in multiple repositories", hard=False, used=False
            )
        if users:
            raise _InUse(
                image,
                f"image is being used by stopped container {short(users[0].container_id)}",
                hard=False,
                used=True,
            )

    async def _delete(
        self, image: Image, records: Records, *, force: bool, prune: bool, quiet: bool
    ) -> list[Image]:
        """Delete ``image``, and its parents that were here only for it.

        Returns other platforms' images that lost their last name.
        """
        beside: list[Image] = []
        while True:
            try:
                self._check(image, force=force)
            except _InUse as conflict:
                is_dangling = not image.refs and not self._index.children(image.id)
                if quiet and (not is_dangling or conflict.used):
                    return beside
                raise
            parent = self._index.images.get(image.parent) if image.parent else None
            for ref in sorted(image.refs):
                beside += self._untag(image, ref, records)
            if quiet and image.also:
                return beside  # it still stands beside a name's image
            await self._forget(image, records)
            if not prune or parent is None:
                return beside
            image, force, quiet = parent, False, True

    async def _forget(self, image: Image, records: Records) -> None:
        freed = self._index.delete(image)
        image_event(self._events, image, image.id, "delete")
        records.append({"Deleted": image.id})
        for chain_id in freed:
            if not self._index.needed(chain_id) and await self._release(chain_id):
                records.append({"Deleted": chain_id})

    async def _release(self, chain_id: ChainId) -> bool:
        try:
            await self._snapshots.remove_layer(chain_id)
        except Conflict:  # a container still stands on it: goes when that goes
            self._orphans.add(chain_id)
            return False
        except PierError:
            return False
        self._orphans.discard(chain_id)
        return True

    async def release_orphans(self) -> None:
        """Remove layers that nobody needs any more, those above before those below."""
        depths: dict[ChainId, int] = {}
        for chain_id in list(self._orphans):
            layer = self._snapshots.layer(chain_id)
            if layer is None or self._index.needed(chain_id):
                self._orphans.discard(chain_id)
                continue
            depth = 0
            while layer is not None and layer.parent is not None:
                depth += 1
                layer = self._snapshots.layer(layer.parent)
            depths[chain_id] = depth
        for chain_id in sorted(depths, key=depths.__getitem__, reverse=True):
            if self._index.needed(chain_id):
                self._orphans.discard(chain_id)
            else:
                await self._release(chain_id)

    def suspect(self, chains: Iterable[ChainId]) -> None:
        """These layers may be unneeded: the next ``release_orphans`` looks at them."""
        self._orphans.update(chain for chain in chains if not self._index.needed(chain))

    @property
    def has_orphans(self) -> bool:
        return bool(self._orphans)

    async def prune(self, filters: Filters) -> dict[str, Any]:
        """See ``ImageService.prune``."""
        filters.validate(PRUNE_FILTERS)
        dangling_only = filters.boolean("dangling", True)
        until_ns = _until(filters)
        sizes = {layer.chain_id: layer.size_bytes for layer in self._snapshots.layers()}
        deleted: Records = []
        for image in list(self._index.images.values()):
            if image.id not in self._index.images:
                continue  # went along with a child
            if self._index.children(image.id) and (dangling_only or not image.refs):
                continue
            if until_ns is not None and image.created_ns > until_ns:
                continue
            if not filters.match_labels(image.config.config.labels):
                continue
            if image.also and not image.refs:
                continue  # goes with the name that it stands beside
            tagged = any(reference.parse_stored(ref).tag for ref in image.refs)
            if dangling_only and tagged:
                continue
            for name in [reference.familiar(ref) for ref in sorted(image.refs)] or [image.id]:
                try:
                    deleted += await self.remove(name, force=False, noprune=False)
                except (Conflict, NotFound):
                    continue  # in use, or gone meanwhile
        reclaimed = sum(sizes.get(ChainId(record.get("Deleted", "")), 0) for record in deleted)
        self._events.emit("image", "prune", "", {"reclaimed": str(reclaimed)})
        return {"ImagesDeleted": deleted or None, "SpaceReclaimed": reclaimed}


def _until(filters: Filters) -> int | None:
    values = filters.get("until")
    if not values:
        return None
    if len(values) > 1:
        raise InvalidParameter("more than one until filter specified")
    return parse_timestamp(values[0], time.time_ns())


def _is_id_prefix(image_id: str, text: str) -> bool:
    return bool(text) and (image_id.startswith(text) or hex_of(image_id).startswith(text))


def _single_reference(image: Image) -> bool:
    """At most one tag, and all names in one repository."""
    if len(image.refs) <= 1:
        return True
    parsed = [reference.parse_stored(ref) for ref in image.refs]
    tagged = [ref for ref in parsed if ref.digest is None]
    return len(tagged) <= 1 and len({ref.name for ref in parsed}) == 1
