"""What is kept of every build: its steps with their times, hits and misses, and their logs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True, kw_only=True)
class HistoryStep:
    """One step of a build, as ``pier build history inspect`` shows it."""

    id: str
    name: str
    instruction: str = ""
    stage: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    """0: it hasn't ended."""
    cached: bool = False
    miss: str = ""
    error: str = ""
    canceled: bool = False
    inputs: list[str] = field(default_factory=list)
    debug_id: str = ""
    max_memory_bytes: int = 0
    cpu_ns: int = 0
    log_bytes: int = 0
    lines: tuple[int, int] = (0, 0)


@dataclass(slots=True, kw_only=True)
class HistoryRecord:
    """One build. Kept as JSON in ``build_history``, logs in a file beside."""

    ref: str
    name: str = ""
    """First tag, or the Dockerfile and context: for lists."""
    status: str = "running"
    """``running``, ``completed``, ``error``, ``canceled``."""
    error: str = ""
    started_ns: int = 0
    finished_ns: int = 0
    door: str = ""
    dockerfile: str = ""
    """Its text."""
    dockerfile_name: str = ""
    context: str = ""
    target: str = ""
    platforms: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    build_args: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    steps: list[HistoryStep] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    materials: list[dict[str, str]] = field(default_factory=list)
    images: list[dict[str, str]] = field(default_factory=list)
    """``platform``, ``id``, ``manifest`` of what came of it."""
    digest: str = ""
    debug_id: str = ""
    pinned: bool = False
    vcs: Mapping[str, str] = field(default_factory=dict)
