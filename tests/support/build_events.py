"""Events of builds as the daemon sends them, short to write."""

from __future__ import annotations

from typing import Any

SECOND = 1_000_000_000
START = 1_700_000_000 * SECOND


def at(seconds: float) -> int:
    """Nanoseconds since 1970, ``seconds`` after the builds of these tests begin."""
    return START + round(seconds * SECOND)


def started(step: str, name: str, seconds: float = 0, **fields: Any) -> dict[str, Any]:
    return {"type": "started", "step": step, "name": name, "time_ns": at(seconds), **fields}


def done(step: str, seconds: float = 1, **fields: Any) -> dict[str, Any]:
    return {"type": "done", "step": step, "time_ns": at(seconds), **fields}


def log(step: str, data: str, seconds: float = 0.5, stream: int = 1) -> dict[str, Any]:
    return {"type": "log", "step": step, "data": data, "time_ns": at(seconds), "stream": stream}


def moved(
    step: str, id: str, current: int, total: int = 0, seconds: float = 0.5, finished: bool = False
) -> dict[str, Any]:
    return {
        "type": "progress",
        "step": step,
        "id": id,
        "current": current,
        "total": total,
        "time_ns": at(seconds),
        "started_ns": at(0),
        "completed_ns": at(seconds) if finished else 0,
    }


def warning(rule: str, text: str, line: int = 1, **fields: Any) -> dict[str, Any]:
    return {
        "type": "warning",
        "rule": rule,
        "text": text,
        "time_ns": at(0),
        "lines": [[line, line]],
        "file": "Dockerfile",
        "source": "FROM a\nRUN b\n",
        **fields,
    }
