"""What a Dockerfile comes to for one platform: stages of steps. No IO.

Everything is expanded and checked; what is not known yet are only the contents: a step says
where its files come from (``Origin``), the solver finds out what they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pierhead.build.dockerfile.model import Range
from pierhead.build.dockerfile.mounts import DeviceSpec, MountSpec
from pierhead.build.execute.model import StepFile
from pierhead.build.files.model import CopyRequest
from pierhead.build.model import NetworkMode
from pierhead.oci.image_config import ImageConfig, RunConfig
from pierhead.oci.platform import Platform


@dataclass(frozen=True, slots=True)
class FromStage:
    """Another stage of the same Dockerfile."""

    index: int


@dataclass(frozen=True, slots=True)
class FromImage:
    """An image, by the name that was written (expanded)."""

    name: str
    platform: Platform


@dataclass(frozen=True, slots=True)
class FromContext:
    """The build context (""), or a named one."""

    name: str = ""


@dataclass(frozen=True, slots=True)
class FromUrl:
    """A download, or with ``is_git`` a repository."""

    url: str
    is_git: bool = False
    checksum: str = ""
    keep_git_dir: bool = False


@dataclass(frozen=True, slots=True)
class FromNothing:
    """``scratch``."""


Origin = FromStage | FromImage | FromContext | FromUrl | FromNothing


@dataclass(frozen=True, slots=True, kw_only=True)
class MountPlan:
    """One ``RUN --mount``. ``origin`` is ``None`` where the kind has no source."""

    spec: MountSpec
    target: str
    """Absolute; "" for a secret that is only a variable."""
    origin: Origin | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOp:
    args: Sequence[str]
    env: Sequence[str]
    """``KEY=value``, what counts for the cache."""
    proxies: Sequence[str] = ()
    """The same for predefined proxy arguments: the process has them, nothing else knows."""
    user: str = ""
    working_dir: str = "/"
    mounts: Sequence[MountPlan] = ()
    files: Sequence[StepFile] = ()
    network: NetworkMode = NetworkMode.DEFAULT
    insecure: bool = False
    devices: Sequence[DeviceSpec] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPart:
    """What one COPY or ADD takes from one place."""

    origin: Origin | None
    """``None``: the request's heredocs."""
    request: CopyRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyOp:
    parts: Sequence[CopyPart]
    request: CopyRequest
    """Destination and flags; each part's request has its sources as well."""
    is_add: bool = False
    written: str = ""
    """The destination as it stands in the Dockerfile, expanded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkdirOp:
    path: str
    user: str = ""
    """Who owns a directory that is made (BuildKit; the classic builder makes it root's)."""
    epoch_s: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One instruction. ``op`` is ``None`` if only the config changes."""

    op: RunOp | CopyOp | WorkdirOp | None
    name: str
    """As it's shown: ``[build 2/5] RUN make``."""
    instruction: str
    """The Dockerfile's words."""
    location: Range
    created_by: str
    """For the image's history; ``{files}`` stands for the classic COPY's hash."""
    empty_layer: bool
    config: RunConfig
    """After it, with the classic builder; else the finished one."""
    author: str = ""
    text: str = ""
    """Expanded, without its place: ``RUN make``; what ``du`` shows."""
    is_trigger: bool = False
    """From ONBUILD of the base: it stands in no line of this Dockerfile."""


@dataclass(slots=True, kw_only=True)
class StagePlan:
    """One stage that is needed."""

    index: int
    name: str
    """Its name, or ``stage-1``; "" if it is the only one."""
    written_name: str
    platform: Platform
    base: Origin
    base_name: str
    """For people and for materials: ``docker.io/library/busybox:latest``, ``scratch``."""
    base_step: str
    """``[build 1/5] FROM docker.io/library/busybox:latest``; "" if the base is no image."""
    instruction: str
    """``FROM busybox AS build``"""
    location: Range
    config: ImageConfig
    """Of the finished stage, history included (without times); diff ids are the base's."""
    base_history: int = 0
    """How many entries of ``config.history`` are the base's."""
    steps: list[Step] = field(default_factory=list)
    triggers: int = 0
    """How many of them, the first ones, are ONBUILD's of the base."""
    ignore_cache: bool = False


@dataclass(slots=True, kw_only=True)
class Plan:
    """One platform's build."""

    platform: Platform
    implicit_platform: bool
    stages: Mapping[int, StagePlan]
    """Those that are needed, by index."""
    target: int
    epoch_s: int | None = None
    context_paths: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Context ("" is the build's own) → which paths of it are needed; empty: all."""
    used_args: frozenset[str] = frozenset()
    """Build arguments that some ARG asked for (predefined ones included)."""
    labels: Mapping[str, str] = field(default_factory=dict)
