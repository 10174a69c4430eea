"""Base images made on the spot from the distribution's signed packages, no registry needed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from pierhead.engine.events import EventBus
from pierhead.engine.images import busybox, debian
from pierhead.engine.images.events import image_event
from pierhead.engine.images.index import ImageIndex
from pierhead.engine.images.model import Image
from pierhead.errors import InvalidParameter
from pierhead.oci import reference
from pierhead.oci.reference import Reference
from pierhead.store.paths import Paths
from pierhead.store.snapshots import Snapshotter

_SUITE: Final = re.compile(r"[a-z][a-z0-9._-]{0,63}", re.ASCII)
_PACKAGE: Final = re.compile(
    r"[a-z0-9][a-z0-9.+-]*(?::[a-z0-9]+)?(?:=[A-Za-z0-9.+:~-]+)?", re.ASCII
)
_MIRROR: Final = re.compile(r"(https?|file)://[A-Za-z0-9._~:/\[\]%@+-]+", re.ASCII)
DEFAULT_SUITE: Final = "stable"


@dataclass(frozen=True, slots=True)
class Request:
    """A checked bootstrap request."""

    kind: str
    ref: Reference
    suite: str
    variant: str
    packages: list[str]
    mirror: str


def request(spec: str, *, variant: str, packages: list[str], mirror: str, name: str) -> Request:
    """Check what was asked for. Raises ``InvalidParameter`` that says what there is."""
    kind, _, suite = spec.partition(":")
    if kind not in ("busybox", "debian"):
        raise InvalidParameter(
            f"can't bootstrap {spec!r}: choose busybox or debian:<suite>, e.g. debian:bookworm"
        )
    if kind == "busybox" and (variant or packages or mirror):
        raise InvalidParameter("busybox takes no variant, packages or mirror")
    if kind == "debian":
        suite = suite or DEFAULT_SUITE
        if not _SUITE.fullmatch(suite):
            raise InvalidParameter(f"invalid suite {suite!r}: want a name like bookworm")
        if variant not in ("", *debian.VARIANTS):
            raise InvalidParameter(
                f"invalid variant {variant!r}: choose one of {', '.join(debian.VARIANTS)}"
            )
    for package in packages:
        if not _PACKAGE.fullmatch(package):
            raise InvalidParameter(f"invalid package name {package!r}")
    if mirror and not _MIRROR.fullmatch(mirror):
        raise InvalidParameter(f"invalid mirror {mirror!r}: want an http, https or file URL")
    ref = reference.parse(name or spec).with_default_tag()
    return Request(kind, ref, suite, variant or debian.DEFAULT_VARIANT, packages, mirror)


async def run(
    wanted: Request, index: ImageIndex, snapshots: Snapshotter, paths: Paths, events: EventBus
) -> AsyncIterator[dict[str, Any]]:
    """Make the image; progress messages, at the end its id and its name."""
    if wanted.kind == "busybox":
        steps = busybox.bootstrap(index, snapshots, wanted.ref)
    else:
        steps = debian.bootstrap(
            index,
            snapshots,
            paths,
            wanted.ref,
            suite=wanted.suite,
            variant=wanted.variant,
            packages=wanted.packages,
            mirror=wanted.mirror,
        )
    async for step in steps:
        if not isinstance(step, Image):
            yield step
            continue
        name = wanted.ref.familiar
        image_event(events, step, step.id, "import")
        image_event(events, step, name, "tag")
        yield {"aux": {"ID": step.id}}
        yield {"status": f"Bootstrapped image: {name}"}
