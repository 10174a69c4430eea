"""``RUN --mount`` and ``--device``: their texts, checked as BuildKit checks them. No IO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pierhead.build.execute.model import MountKind, Sharing


class MountError(ValueError):
    """A fault in the flag's text; the words are BuildKit's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MountSpec:
    """Values as given, expanded; what is not given is "", ``None`` or the kind's default.

    ``cache``: ``id`` is the target if not given. ``secret``: ``id`` is the source's or the
    target's base name, ``target`` is ``/run/secrets/<id>`` unless only ``env`` is given.
    ``ssh``: ``id`` is ``default``.
    """

    kind: MountKind
    origin: str = ""
    """``from=``: a stage, an image, a context; "" is the build context (bind), nothing (cache)."""
    source: str = ""
    target: str = ""
    """May be relative: to the WORKDIR."""
    read_only: bool = True
    size_bytes: int = 0
    id: str = ""
    sharing: Sharing = Sharing.SHARED
    required: bool = False
    env: str | None = None
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpec:
    name: str
    required: bool = False


def parse(flag: str, lookup: Mapping[str, str] | None = None, *, escape: str = "\\") -> MountSpec:
    """``MountError`` (or ``WordError``). Without a lookup, variables stay and are not checked."""
    raise NotImplementedError


def parse_device(flag: str) -> DeviceSpec:
    """``MountError``."""
    raise NotImplementedError
