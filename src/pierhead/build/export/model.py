"""What a solved build hands to its outputs. No IO."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pierhead.build.model import BuildOptions, Warned
from pierhead.oci.digest import ChainId, Digest, ImageId
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.platform import Platform

if TYPE_CHECKING:
    from pierhead.build.cache.imported import ImportedCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """Something a build took from outside, for provenance."""

    uri: str
    """``pkg:docker/…``, a git or http URL, as BuildKit writes it."""
    digest: Digest | str


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """One step as provenance and history tell it."""

    id: str
    name: str
    instruction: str
    started_ns: int
    finished_ns: int
    cached: bool
    inputs: Sequence[str] = ()
    chain_id: ChainId | None = None
    miss: str = ""
    lines: tuple[int, int] = (0, 0)
    """Of the Dockerfile, from 1."""


@dataclass(slots=True, kw_only=True)
class Assembled:
    """One platform's finished image, not yet recorded anywhere. The service holds its chains."""

    platform: Platform
    config: ImageConfig
    chains: Sequence[ChainId]
    """One for each non-empty history entry; ``config.rootfs.diff_ids`` are theirs."""
    base: ImageId | None = None
    parent: ImageId | None = None
    """Classic door: the image of the step before."""
    materials: list[Material] = field(default_factory=list)
    steps: list[StepRecord] = field(default_factory=list)
    cache_keys: Sequence[tuple[str, ChainId | None]] = ()
    """Key → result, in order, of all steps of all stages: what cache exports carry."""
    cache_times: Mapping[str, int] = field(default_factory=dict)
    """When the results of these keys were made, nanoseconds since 1970: so that an image whose
    steps come from an imported cache has the same id."""


@dataclass(slots=True, kw_only=True)
class Solved:
    """A build whose images are made. ``BuildService.export`` gives them away; then ``release``."""

    ref: str
    options: BuildOptions
    images: list[Assembled] = field(default_factory=list)
    warnings: list[Warned] = field(default_factory=list)
    dockerfile: bytes = b""
    dockerfile_name: str = "Dockerfile"
    started_ns: int = 0
    finished_ns: int = 0
    imported: Sequence[ImportedCache] = ()
    """What ``--cache-from`` opened, closed by now: ``--cache-to`` passes on from them what isn't
    here."""

    @property
    def epoch_s(self) -> int | None:
        """``SOURCE_DATE_EPOCH`` of the build, however it was given."""
        if self.options.source_date_epoch is not None:
            return self.options.source_date_epoch
        given = self.options.build_args.get("SOURCE_DATE_EPOCH", "")
        return int(given) if given.isdecimal() else None
