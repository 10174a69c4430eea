"""What a build is asked, what it asks back, and what it tells: shared by all its doors. No IO.

A door (``POST /build``, BuildKit's ``/grpc``, pier's own) turns its request into
``BuildOptions`` and a ``Client``, and draws the ``Event`` stream in its own way::

    result = await service.build(options, client, emit)

Names and meanings of options are those of ``docker buildx build``.
"""

from __future__ import annotations

import enum
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from pierhead.oci.digest import Digest, ImageId


class NetworkMode(enum.StrEnum):
    DEFAULT = "default"
    NONE = "none"
    HOST = "host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One ``--output``: ``type`` and its attributes as given (``dest``, ``name``, ``push``...)."""

    type: str  # image, local, tar, oci, docker, registry
    attributes: Mapping[str, str] = field(default_factory=dict)
    number: int = 0
    """Which one of several: what the client's ``receive`` is asked with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheOption:
    """One ``--cache-from`` or ``--cache-to``."""

    type: str  # inline, registry, local
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a RUN step may take; 0 is no limit. Bytes, microseconds, as in ``HostConfig``."""

    memory: int = 0
    memory_swap: int = 0
    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    shm_size: int = 0
    ulimits: Sequence[tuple[str, int, int]] = ()  # name, soft, hard
    cgroup_parent: str = ""


@dataclass(slots=True, kw_only=True)
class BuildOptions:
    """One build, for one or several platforms."""

    context: str = "context"
    """Name of the client's local source that is the context; or a git or http URL; or "" (none)."""
    context_name: str = ""
    """What people know the context by, for lists: the client's directory."""
    dockerfile: str = "Dockerfile"
    """Path within ``dockerfile_source``."""
    dockerfile_source: str = ""
    """Name of the client's local source that the Dockerfile is in; "" is the context itself."""
    dockerfile_text: bytes | None = None
    target: str = ""
    tags: list[str] = field(default_factory=list)
    platforms: list[str] = field(default_factory=list)
    build_args: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    named_contexts: dict[str, str] = field(default_factory=dict)
    """``--build-context``: name → ``docker-image://``, ``local:NAME``, ``oci-layout://``, URL."""
    no_cache: bool = False
    no_cache_stages: list[str] = field(default_factory=list)
    pull: bool = False
    network: NetworkMode = NetworkMode.DEFAULT
    network_name: str = ""
    """One of pierd's networks that RUN steps join instead of the default one."""
    add_hosts: list[tuple[str, str]] = field(default_factory=list)  # name, address
    limits: Limits = field(default_factory=Limits)
    squash: bool = False
    entitlements: frozenset[str] = frozenset()  # network.host, security.insecure, device
    outputs: list[Output] = field(default_factory=list)
    """None is ``image``: into this daemon's images."""
    cache_from: list[CacheOption] = field(default_factory=list)
    cache_to: list[CacheOption] = field(default_factory=list)
    provenance: Mapping[str, str] | None = None
    """Attributes of ``--provenance`` (``mode``, ``version``...); ``None``: no attestation."""
    sbom: Mapping[str, str] | None = None
    source_date_epoch: int | None = None
    """Seconds; every time in layers and config is at most this."""
    check_only: bool = False
    """Only lint (``--check``): warnings are emitted, nothing is built."""
    debug: bool = False
    """Keep the file system of a step that failed, to look at."""
    classic: bool = False
    """History and config as the classic builder writes them, for ``POST /build``."""
    multi_stage_cache_key: str = ""
    """What several builds of one client share its local sources under (BuildKit: shared key)."""
    ref: str = ""
    """The client's id of the build; "" lets the service make one."""
    door: str = ""
    """Which door it came through, for the history: ``classic``, ``pier``; "" is BuildKit's."""


@dataclass(slots=True, kw_only=True)
class FileStat:
    """One file on the client's side: ``path`` relative, "/"-separated, bytes as they are.

    Nobody changes one; not frozen because that costs 3 µs each, and contexts have thousands.
    """

    path: bytes
    mode: int  # st_mode, type bits included
    uid: int = 0
    gid: int = 0
    size: int = 0
    mtime_ns: int = 0
    link: bytes = b""  # target of a symlink; of a hard link: path of the first name
    hard_link: bool = False
    device: tuple[int, int] = (0, 0)
    xattrs: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which files of a local source are needed; patterns as in ``.dockerignore``."""

    include: Sequence[str] = ()
    exclude: Sequence[str] = ()
    follow: Sequence[str] = ()
    shared_key: str = ""


class Listing(Protocol):
    """A client's walk through one local source, and the way to its contents."""

    def files(self) -> AsyncIterator[FileStat]:
        """All that is wanted, parents before children, names sorted as the client sorts."""
        ...

    def content(self, path: bytes) -> AsyncIterator[bytes]:
        """A regular file's bytes. Several may be asked for at a time; only changed ones are."""
        ...


class Client(Protocol):
    """The side that asked for the build. Every method may raise ``PierError``."""

    def local(self, name: str, wanted: Wanted) -> AsyncIterator[Listing]:
        """An async generator giving one ``Listing``; closing it ends the transfer.

        ``NotFound`` if the client has no such source.
        """
        ...

    async def context_tar(self) -> AsyncIterator[bytes] | None:
        """The context as a tar in any compression, where the door brings it so; else ``None``."""
        ...

    async def secret(self, secret_id: str) -> bytes | None:
        """A secret's bytes; ``None`` if the client has none of that id. Never stored."""
        ...

    async def ssh(self, agent_id: str) -> SshAgent | None:
        """The client's ssh agent; ``None`` if it forwards none."""
        ...

    async def credentials(self, host: str) -> tuple[str, str] | None:
        """User and password (or "" and an identity token) for a registry."""
        ...

    def receive(self, output: Output) -> Receiver:
        """Where the bytes of a ``local``, ``tar``, ``oci`` or ``docker`` output go."""
        ...


class Duplex(Protocol):
    async def read(self) -> bytes:
        """The next bytes; b"" at the end."""
        ...

    async def write(self, data: bytes) -> None: ...

    async def close(self) -> None: ...


class SshAgent(Protocol):
    async def connect(self) -> Duplex:
        """Open one connection to the agent."""
        ...


class Receiver(Protocol):
    async def write(self, data: bytes) -> None:
        """The next bytes of a tar (``local`` outputs are tars as well; the door unpacks)."""
        ...

    async def close(self) -> None: ...


# What a build tells


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Times are nanoseconds since 1970."""

    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted(Event):
    """A step of the graph begins. ``step`` is its digest, for all later events."""

    step: Digest
    name: str
    """As BuildKit shows it: ``[build 2/5] RUN make``, ``[internal] load build context``."""
    inputs: Sequence[Digest] = ()
    stage: str = ""
    instruction: str = ""
    """The Dockerfile's text of it, for the classic door; "" for internal steps."""
    number: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepDone(Event):
    step: Digest
    cached: bool = False
    error: str = ""
    canceled: bool = False
    miss: str = ""
    """Why it wasn't in the cache, for people: ``no such step before``, ``--no-cache``..."""
    image_id: str = ""
    """The classic door's `` ---> abcdef``: id of the intermediate image or layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepLog(Event):
    step: Digest
    stream: int  # 1 or 2
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StepProgress(Event):
    """A transfer within a step: bytes, or whatever ``unit`` says."""

    step: Digest
    id: str
    action: str = ""
    current: int = 0
    total: int = 0
    started_ns: int = 0
    completed_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Warned(Event):
    """A lint finding or another warning."""

    rule: str
    text: str
    description: str = ""
    url: str = ""
    file: str = ""
    lines: Sequence[tuple[int, int]] = ()  # first and last, from 1
    source: bytes = b""
    level: int = 1


Emit = Callable[[Event], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltImage:
    """One platform's image."""

    platform: str
    id: ImageId
    config: bytes
    manifest: Digest | None = None


@dataclass(slots=True, kw_only=True)
class BuildResult:
    ref: str
    images: list[BuiltImage] = field(default_factory=list)
    digest: Digest | None = None
    """Digest of the manifest, or of the index for several platforms or with attestations."""
    metadata: dict[str, object] = field(default_factory=dict)
    """For ``--metadata-file``: ``containerimage.digest``, ``buildx.build.ref``..."""
    warnings: list[Warned] = field(default_factory=list)
