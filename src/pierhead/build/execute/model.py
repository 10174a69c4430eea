"""What one RUN step is asked to do, and what came of it. No IO."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass, field

from pierhead.build.files.model import Source
from pierhead.build.model import Limits, NetworkMode
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import ChainId
from pierhead.oci.platform import Platform


class MountKind(enum.StrEnum):
    BIND = "bind"
    CACHE = "cache"
    TMPFS = "tmpfs"
    SECRET = "secret"
    SSH = "ssh"


class Sharing(enum.StrEnum):
    SHARED = "shared"
    PRIVATE = "private"
    LOCKED = "locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class StepMount:
    """One ``--mount``, all words expanded and checked; fields as in the Dockerfile reference."""

    kind: MountKind
    target: str = ""
    """Absolute. Secrets: where the file goes ("" if only ``env``)."""
    source: Source | None = None
    """Of ``bind`` and of ``cache`` with ``from``: what stands there at first."""
    source_path: str = "/"
    read_write: bool = False
    id: str = ""
    sharing: Sharing = Sharing.SHARED
    mode: int | None = None
    uid: int = 0
    gid: int = 0
    size_bytes: int = 0
    required: bool = False
    env: str = ""
    """Secrets: the variable that has its value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFile:
    """A file that is there for this step only: a heredoc that the command runs."""

    path: str
    data: bytes
    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStep:
    args: Sequence[str]
    env: Sequence[str] = ()
    user: str = ""
    working_dir: str = "/"
    mounts: Sequence[StepMount] = ()
    files: Sequence[StepFile] = ()
    network: NetworkMode = NetworkMode.DEFAULT
    network_name: str = ""
    """One of pierd's networks to join instead of the default one."""
    insecure: bool = False
    devices: Sequence[str] = ()
    add_hosts: Sequence[tuple[str, str]] = ()
    limits: Limits = field(default_factory=Limits)
    platform: Platform | None = None
    """Of the image; another one than the machine's needs binfmt_misc (qemu-user)."""
    epoch_s: int | None = None
    hostname: str = ""
    name: str = ""
    """For logs: ``[build 2/5] RUN make``."""
    keep_failed: bool = False
    build_ref: str = ""
    classic: bool = False
    """As in a container of the classic builder: ``/.dockerenv``, ``HOSTNAME``, an
    ``/etc/hostname`` of its own, and the three managed files can be written to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    chain_id: ChainId | None
    """What the file system is now: a new layer on the base (of an empty tar if nothing
    changed), never the base itself."""
    changed: bool
    size_bytes: int
    started_ns: int
    finished_ns: int
    max_memory_bytes: int = 0
    cpu_ns: int = 0


class StepFailed(InvalidParameter):
    """The command ended with another status than 0. Docker's words:
    ``process "/bin/sh -c false" did not complete successfully: exit code: 1``."""

    def __init__(self, message: str, exit_code: int, debug_id: str = "") -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.debug_id = debug_id
        """For ``pier build debug``; "" if nothing was kept."""
