"""The form of the route table: a route is a row, finding one is a dictionary look-up.

A path has at most one parameter in its middle or at its end (``/images/{name}/json``).
The parameter may contain slashes, as names of images do; so rows are found by what
stands before and after it, the longest tail first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pierhead.api.versions import MAX_MINOR, MIN_MINOR

if TYPE_CHECKING:
    import msgspec
    from aiohttp.web_response import StreamResponse

    from pierhead.api.call import Call

Handler = Callable[["Call"], Awaitable["StreamResponse"]]


@dataclass(frozen=True, slots=True)
class Route:
    """One row. ``since`` and ``until`` are minor API versions, both included."""

    method: str
    path: str
    handler: Handler
    body: type[msgspec.Struct] | None = None
    """Type of a JSON body: decoded before the handler runs, then ``call.body``."""
    stream: bool = False
    """Long-lived: the handler is cancelled when the client goes, and when pierd stops."""
    duplex: bool = False
    """Long-lived and both ways: cancelled when pierd stops; the handler watches its client."""
    since: int = MIN_MINOR
    until: int = MAX_MINOR


class RouteTable:
    """Rows, arranged for finding."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = tuple(routes)
        self._fixed: dict[tuple[str, str], Route] = {}
        # (method, head) → [(tail, row)], head and tail being what stands around the parameter
        self._open: dict[tuple[str, str], list[tuple[str, Route]]] = {}
        for route in self.routes:
            head, brace, rest = route.path.partition("{")
            if not brace:
                self._fixed[route.method, route.path] = route
                continue
            _, _, tail = rest.partition("}")
            rows = self._open.setdefault((route.method, head), [])
            rows.append((tail, route))
            rows.sort(key=lambda row: -len(row[0]))

    def find(self, method: str, path: str, minor: int) -> tuple[Route, str] | None:
        """The row for a path without its version, and the parameter's value ("" for none)."""
        route = self._fixed.get((method, path))
        if route is not None:
            return (route, "") if route.since <= minor <= route.until else None
        # Ours are one or two levels deeper: /pierhead/images/{name}/explore
        ours = path.startswith("/pierhead/")
        slash = path.find("/", 10 if ours else 1)
        while slash >= 0:
            head = path[: slash + 1]
            for tail, route in self._open.get((method, head), ()):
                if path.endswith(tail) and route.since <= minor <= route.until:
                    value = path[len(head) : len(path) - len(tail)]
                    if value:
                        return route, value
            slash = path.find("/", slash + 1) if ours else -1
        return None
