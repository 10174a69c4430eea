"""The build as BuildKit's ``SolveStatus`` objects, one JSON object a line. No IO."""

from __future__ import annotations

from pierhead.cli.build.progress.trace import warning_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


class RawJson:
    """Turns events into lines of JSON; keeps what a vertex was, since each names all of it."""

    def __init__(self) -> None:
        self._vertexes: dict[str, dict[str, Any]] = {}
        self._definition = ""

    def feed(self, events: Iterable[dict[str, Any]]) -> bytes:
        """One line for these events, or nothing."""
        from pierhead.client.json_fast import dumps

        status: dict[str, list[dict[str, Any]]] = {}
        for event in events:
            kind = event.get("type")
            if kind in ("started", "done"):
                status.setdefault("vertexes", []).append(dict(self._vertex(event)))
            elif kind == "progress" and event.get("id"):
                status.setdefault("statuses", []).append(_transfer(event))
            elif kind == "log":
                data = str(event.get("data", "")).encode("utf-8", "surrogateescape")
                status.setdefault("logs", []).append(
                    {
                        "vertex": event.get("step", ""),
                        "stream": int(event.get("stream", 1)),
                        "data": _base64(data),
                        "timestamp": timestamp(int(event.get("time_ns", 0))),
                    }
                )
            elif kind == "warning":
                status.setdefault("warnings", []).append(self._warning(event))
        return dumps(status).encode() + b"\n" if status else b""

    def _vertex(self, event: dict[str, Any]) -> dict[str, Any]:
        digest = str(event.get("step", ""))
        vertex = self._vertexes.setdefault(digest, {"digest": digest})
        time = timestamp(int(event.get("time_ns", 0)))
        if event.get("type") == "started":
            if event.get("inputs"):
                vertex["inputs"] = event["inputs"]
            vertex["name"] = str(event.get("name", ""))
            vertex["started"] = time
            vertex.pop("completed", None)
            if vertex["name"].startswith("[internal] load build definition"):
                self._definition = digest
        else:
            vertex["completed"] = time
            if event.get("cached"):
                vertex["cached"] = True
            if event.get("error"):
                vertex["error"] = event["error"]
        return vertex

    def _warning(self, event: dict[str, Any]) -> dict[str, Any]:
        out: dict[str, Any] = {
            "vertex": self._definition,
            "level": int(event.get("level", 1)),
            "short": _base64(warning_text(event).encode("utf-8", "surrogateescape")),
        }
        if event.get("description"):
            out["detail"] = [_base64(str(event["description"]).encode())]
        if event.get("url"):
            out["url"] = event["url"]
        if event.get("source"):
            data = str(event["source"]).encode("utf-8", "surrogateescape")
            out["sourceInfo"] = {
                "filename": event.get("file", ""),
                "data": _base64(data),
                "language": "Dockerfile",
            }
        if event.get("lines"):
            out["range"] = [
                {"start": {"line": first}, "end": {"line": last}} for first, last in event["lines"]
            ]
        return out


def _transfer(event: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {
        "id": str(event.get("id", "")),
        "vertex": event.get("step", ""),
        "current": int(event.get("current", 0)),
        "timestamp": timestamp(int(event.get("time_ns", 0))),
    }
    if event.get("total"):
        out["total"] = event["total"]
    for key in ("started", "completed"):
        if event.get(key + "_ns"):
            out[key] = timestamp(int(event[key + "_ns"]))
    return out


def _base64(data: bytes) -> str:
    from binascii import b2a_base64

    return b2a_base64(data, newline=False).decode()


def timestamp(time_ns: int) -> str:
    """RFC 3339 with as many digits of the second as it has, as Go writes times."""
    import time

    seconds, rest = divmod(time_ns, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".") + "Z"
