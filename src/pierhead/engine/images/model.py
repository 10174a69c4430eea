"""An image as the engine knows it. No IO."""

from __future__ import annotations

from dataclasses import dataclass, field

from pierhead.oci.digest import ChainId, ImageId, chain_ids
from pierhead.oci.image_config import ImageConfig
from pierhead.oci.platform import Platform


@dataclass(slots=True)
class Image:
    """One local image. ``id``, ``config`` and ``chain_id`` never change; the rest may."""

    id: ImageId
    config: ImageConfig
    chain_id: ChainId | None
    size_bytes: int
    """Sum of its layers' sizes."""
    created_ns: int
    """As the config says; 0 if it doesn't."""
    parent: ImageId | None = None
    """Only known for images made here (commit, build) or loaded with their parents."""
    refs: set[str] = field(default_factory=set)
    """Normalised names: ``docker.io/library/busybox:latest``, ``...@sha256:...``."""
    also: frozenset[str] = frozenset()
    """Names that mean another platform's image of the same index: this one stands beside it."""
    last_tagged_ns: int = 0
    chains: tuple[ChainId, ...] = ()
    """Chain ids of all its layers, lowest first."""

    def is_for(self, wanted: Platform) -> bool:
        """Whether it runs on ``wanted``, variants by their rules."""
        config = self.config
        return wanted.matches(config.os, config.architecture, config.variant)

    def __post_init__(self) -> None:
        self.chains = tuple(chain_ids(self.config.rootfs.diff_ids))
