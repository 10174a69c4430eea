"""Lists, details and history of images, in the API's shapes (newest version's fields).

Fields that newer API versions dropped are all there: the edge takes away what a version
doesn't have.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn

import msgspec

from pierhead.engine.config import ContainerConfig
from pierhead.engine.filters import Filters
from pierhead.engine.images.clock import GO_ZERO, format_rfc3339, parse_rfc3339, parse_timestamp
from pierhead.engine.images.content import Kept
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import InvalidParameter, NotFound
from pierhead.oci import platform, reference
from pierhead.oci.digest import ChainId, ImageId
from pierhead.oci.image_config import RunConfig
from pierhead.oci.platform import Platform
from pierhead.store.snapshots import Snapshotter

LIST_FILTERS: Final = frozenset({"dangling", "label", "before", "since", "reference", "until"})


def list_images(
    index: ImageIndex,
    snapshots: Snapshotter,
    filters: Filters,
    *,
    all: bool,
    shared_size: bool,
    containers: Callable[[str], int] | None = None,
    manifests: Callable[[Kept], list[dict[str, Any]]] | None = None,
) -> list[dict[str, Any]]:
    """``GET /images/json``, newest first.

    ``containers`` counts an image's containers, ``manifests`` tells of a target's. Images of
    other platforms that a name's index leads to are part of its one entry.
    """
    filters.validate(LIST_FILTERS)
    dangling = filters.boolean("dangling") if "dangling" in filters else None
    before_ns = _bound(index, filters, "before")
    since_ns = _bound(index, filters, "since")
    until_ns = None
    if values := filters.get("until"):
        now_ns = time.time_ns()
        until_ns = min(parse_timestamp(value, now_ns) for value in values)
    patterns = [_glob(pattern) for pattern in filters.get("reference")]
    parents = {image.parent for image in index.images.values() if image.parent}
    shared = _shared_layers(index, parents) if shared_size else None
    found: list[tuple[int, dict[str, Any]]] = []
    for image in index.images.values():
        if image.also and not image.refs:
            continue
        if before_ns is not None and image.created_ns >= before_ns:
            continue
        if since_ns is not None and image.created_ns <= since_ns:
            continue
        if until_ns is not None and image.created_ns > until_ns:
            continue
        if not filters.match_kv("label", image.config.config.labels):
            continue
        tags, digests = names(image)
        if patterns:
            tags = [name for name in tags if _matches(name, patterns)]
            digests = [name for name in digests if _matches(name, patterns)]
        if not tags and not digests:
            if patterns or dangling is False or (image.id in parents and (dangling or not all)):
                continue
        elif dangling and tags:
            continue
        together = beside(index, image)
        chains = _chains(together)
        size_bytes = image.size_bytes if len(together) == 1 else _size(snapshots, chains)
        summary: dict[str, Any] = {
            "Containers": -1,
            "Created": image.created_ns // 1_000_000_000,
            "Id": image.id,
            "Labels": image.config.config.labels,
            "ParentId": image.parent or "",
            "RepoDigests": digests,
            "RepoTags": tags,
            "SharedSize": -1,
            "Size": size_bytes,
            "VirtualSize": size_bytes,
        }
        if containers is not None:
            summary["Containers"] = sum(containers(each.id) for each in together)
        if (target := target_of(index, image)) is not None:
            summary["Descriptor"] = msgspec.to_builtins(target.descriptor)
            if manifests is not None:
                summary["Manifests"] = manifests(target)
        if shared is not None:
            summary["SharedSize"] = _size(
                snapshots, (chain_id for chain_id in chains if shared[chain_id] > 1)
            )
        found.append((image.created_ns, summary))
    found.sort(key=lambda item: item[0], reverse=True)
    return [summary for _, summary in found]


def beside(index: ImageIndex, image: Image) -> list[Image]:
    """``image`` and those of other platforms that are part of its entry in a list."""
    together = {image.id: image}
    for name in image.refs:
        target = index.targets.get(name)
        if target is not None and (kept := index.content.manifests.get(target)) and kept.is_index:
            for _, other in index.variants(target):
                if not other.refs:  # with a name it has an entry of its own
                    together[other.id] = other
    return list(together.values())


def target_of(index: ImageIndex, image: Image) -> Kept | None:
    """What a list says that registries know ``image`` by: its names' target, or a manifest."""
    for name in sorted(image.refs):
        if (kept := index.target_of_name(name)) is not None:
            return kept
    return index.manifest_of(image)


def _chains(images: list[Image]) -> set[ChainId]:
    return {chain_id for image in images for chain_id in image.chains}


def _size(snapshots: Snapshotter, chains: Iterable[ChainId]) -> int:
    layers = (snapshots.layer(chain_id) for chain_id in chains)
    return sum(layer.size_bytes for layer in layers if layer is not None)


def _bound(index: ImageIndex, filters: Filters, key: str) -> int | None:
    """The creation time of the image that ``before``/``since`` names."""
    bound: int | None = None
    for value in filters.get(key):
        created_ns = index.get(value).created_ns
        if bound is None:
            bound = created_ns
        else:
            bound = min(bound, created_ns) if key == "before" else max(bound, created_ns)
    return bound


def _shared_layers(index: ImageIndex, parents: set[ImageId]) -> Counter[ChainId]:
    """How many entries of the list have each layer."""
    counts: Counter[ChainId] = Counter()
    for image in index.images.values():
        if image.refs or not (image.also or image.id in parents):
            counts.update(_chains(beside(index, image)))
    return counts


def needed_bytes(index: ImageIndex, snapshots: Snapshotter, active: Callable[[str], bool]) -> int:
    """Bytes of the layers below all images for whose id ``active`` holds."""
    return _size(snapshots, _chains([each for each in index.images.values() if active(each.id)]))


def names(image: Image) -> tuple[list[str], list[str]]:
    """The familiar names with tags, and those with digests, each sorted."""
    tags: list[str] = []
    digests: list[str] = []
    for stored in sorted(image.refs):
        ref = reference.parse_stored(stored)
        (tags if ref.digest is None else digests).append(ref.familiar)
    return tags, digests


def _matches(name: str, patterns: list[re.Pattern[str]]) -> bool:
    bare = re.sub(r"(@.*|:[^/:]*)$", "", name)
    return any(pattern.fullmatch(name) or pattern.fullmatch(bare) for pattern in patterns)


def _glob(pattern: str) -> re.Pattern[str]:
    """Go's ``path.Match``: ``*`` and ``?`` stop at slashes, ``[^a]`` negates."""
    out, position = "", 0
    while position < len(pattern):
        char = pattern[position]
        position += 1
        if char == "*":
            out += "[^/]*"
        elif char == "?":
            out += "[^/]"
        elif char == "\\" and position < len(pattern):
            out += re.escape(pattern[position])
            position += 1
        elif char == "[":
            end = pattern.find("]", position + 1)
            if end < 0:
                raise InvalidParameter("syntax error in pattern")
            inner = pattern[position:end]
            negated = inner.startswith("^")
            inner = inner.removeprefix("^").replace("\\", "\\\\").replace("[", "\\[")
            out += f"[{'^' if negated else ''}{inner}]"
            position = end + 1
        else:
            out += re.escape(char)
    try:
        return re.compile(out)
    except re.error as error:
        raise InvalidParameter("syntax error in pattern") from error


def inspect_image(
    image: Image, snapshots: Snapshotter, target: Kept | None = None
) -> dict[str, Any]:
    """``GET /images/{name}/json``; ``target`` is what registries know it by."""
    config = image.config
    tags, digests = names(image)
    details: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": tags,
        "RepoDigests": digests,
        "Parent": image.parent or "",
        "Comment": config.comment or (config.history[-1].comment if config.history else ""),
        "Created": config.created or GO_ZERO,
        "Container": config.container,
        "ContainerConfig": container_config(config.container_config or RunConfig()),
        "DockerVersion": config.docker_version,
        "Author": config.author,
        "Config": container_config(config.config),
        "Architecture": config.architecture,
    }
    if config.variant:
        details["Variant"] = config.variant
    details["Os"] = config.os or "linux"
    if config.os_version:
        details["OsVersion"] = config.os_version
    details |= {
        "Size": image.size_bytes,
        "VirtualSize": image.size_bytes,
        "GraphDriver": {
            "Data": snapshots.layer_graph_data(image.chain_id) or None,
            "Name": snapshots.driver,
        },
        "RootFS": {"Type": "layers", "Layers": list(config.rootfs.diff_ids)},
        "Metadata": {
            "LastTagTime": format_rfc3339(image.last_tagged_ns) if image.last_tagged_ns else GO_ZERO
        },
    }
    if target is not None:
        details["Descriptor"] = msgspec.to_builtins(target.descriptor)
    return details


def container_config(config: RunConfig) -> dict[str, Any]:
    """An image's ``config`` with all of the API's fields, zero values included."""
    whole = msgspec.convert(
        {key: value for key, value in msgspec.to_builtins(config).items()},
        ContainerConfig,
        strict=False,
    )
    built: dict[str, Any] = msgspec.to_builtins(whole)
    for key in ("ExposedPorts", "Healthcheck", "StopTimeout", "Shell"):
        if not built.get(key):
            built.pop(key, None)
    for key in ("NetworkDisabled", "MacAddress", "StopSignal", "ArgsEscaped"):
        if not built.get(key):
            built.pop(key, None)
    return built


def history(image: Image, index: ImageIndex, snapshots: Snapshotter) -> list[dict[str, Any]]:
    """``GET /images/{name}/history``, newest step first.

    Steps don't know their images, except along a chain of parents that we have.
    """
    chains = iter(image.chains)
    steps: list[dict[str, Any]] = []
    for step in image.config.history:
        size_bytes = 0
        if not step.empty_layer:
            chain_id = next(chains, None)
            layer = snapshots.layer(chain_id) if chain_id is not None else None
            size_bytes = layer.size_bytes if layer is not None else 0
        steps.append(
            {
                "Comment": step.comment,
                "Created": parse_rfc3339(step.created) // 1_000_000_000,
                "CreatedBy": step.created_by,
                "Id": "<missing>",
                "Size": size_bytes,
                "Tags": None,
            }
        )
    steps.reverse()
    current: Image | None = image
    for entry in steps:
        if current is None:
            break
        entry["Id"] = current.id
        entry["Tags"] = names(current)[0] or None
        current = index.images.get(current.parent) if current.parent else None
    return steps


def check_platform(image: Image, text: str, ref: str, architecture: str) -> None:
    """Raise ``NotFound`` if ``image`` is for another platform than ``text`` asks for."""
    wanted = platform.parse(text, architecture)
    if not image.is_for(wanted):
        actual = platform_of(image)
        raise NotFound(
            f"image with reference {ref} was found but does not match the specified platform: "
            f"wanted {wanted}, actual: {actual}"
        )


def platform_of(image: Image) -> Platform:
    """What an image is for."""
    config = image.config
    return platform.normalise(config.os or "linux", config.architecture, config.variant)


def refuse_platform(wanted: Platform, ref: str) -> NoReturn:
    """Raise ``NotFound``: ``ref`` has no image for ``wanted`` here."""
    raise NotFound(
        f"image with reference {ref} was found but does not provide the specified platform "
        f"({wanted})"
    )
