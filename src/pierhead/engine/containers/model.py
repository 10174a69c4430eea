"""A container as the engine keeps it: an immutable record and a mutable status.

State machine (Docker's words)::

    created ──start──▶ running ──exit──▶ exited ──start──▶ running
       │                │  ▲  │                │
       │            pause  unpause └─restart policy─▶ restarting ──▶ running
       │                ▼  │
       │               paused
       └──────────── remove ───────▶ removing ──▶ (gone) | dead (removal failed)

``ContainerRecord`` is written once at create; update and rename write a new one.
``ContainerStatus`` is written at every transition, before the transition is
acknowledged. Times are nanoseconds since the epoch, 0 for never. No IO here.
"""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from pierhead.engine.config import (
    ApiStruct,
    ContainerConfig,
    EndpointSettings,
    HostConfig,
    Mount,
    MountPoint,
)


class Phase(enum.StrEnum):
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class MountRecord(msgspec.Struct, kw_only=True):
    """One mount of a container: what was asked (``spec``) and what it became (``point``)."""

    point: MountPoint
    spec: Mount | None = None
    anonymous: bool = False  # a volume made for this container alone: goes with `rm -v` and --rm
    copy_up: bool = False  # fill an empty volume from the image at the destination
    options: list[str] = []  # further OCI mount options, e.g. tmpfs size


class ContainerRecord(msgspec.Struct, kw_only=True):
    """Immutable configuration, as understood at create."""

    id: str  # 64 hex digits
    name: str  # without the leading slash
    created_ns: int
    image_id: str  # "sha256:..."
    image_ref: str  # what the user typed
    chain_id: str | None  # the snapshot's parent
    path: str  # entrypoint and command, resolved
    args: list[str]
    config: ContainerConfig
    host_config: HostConfig
    networks: dict[str, EndpointSettings]  # what was asked, by network name, order kept
    mounts: list[MountRecord] = []
    platform: str = "linux"
    driver: str = "overlay2"


class HealthResult(msgspec.Struct, kw_only=True):
    start_ns: int
    end_ns: int
    exit_code: int
    output: str


class HealthStatus(msgspec.Struct, kw_only=True):
    status: str = "starting"  # none, starting, healthy, unhealthy
    failing_streak: int = 0
    log: list[HealthResult] = []  # the newest five


class ContainerStatus(msgspec.Struct, kw_only=True):
    """Mutable; every field has a default, so old rows decode."""

    phase: Phase = Phase.CREATED
    creating: bool = False  # half made: recovery removes it
    remove_on_exit: bool = False  # --rm was promised and the exit has been seen
    has_been_started: bool = False
    pid: int = 0  # of the container's first process, host's view
    runtime_binary: str = ""  # of the run under way or the last one; "" is pierd's default
    conmon_pid: int = 0
    conmon_start_ticks: int = 0  # guards against a reused pid after a restart of pierd
    exit_code: int = 0
    oom_killed: bool = False
    error: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    restart_count: int = 0
    manually_stopped: bool = False
    manually_restarted: bool = False
    health: HealthStatus | None = None
    networks: dict[str, EndpointSettings] = {}  # what was given while running
    ports: dict[str, list[dict[str, str]] | None] = {}  # published: "80/tcp" → [{HostIp, HostPort}]
    sandbox_id: str = ""
    sandbox_key: str = ""
    extra: dict[str, Any] = {}  # room for the network and volume rooms; JSON


class ExecConfig(ApiStruct):
    """What is asked of an exec (Engine API, ExecConfig)."""

    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    console_size: list[int] | None = None  # [height, width]
    detach_keys: str = ""
    tty: bool = False
    env: list[str] | None = None
    cmd: list[str] | None = None
    privileged: bool = False
    user: str = ""
    working_dir: str = ""
