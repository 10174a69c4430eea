"""A failed build as gRPC tells it: the message, and where in the Dockerfile. No IO.

BuildKit's typed errors are JSON under a type URL in the status' details; ``errdefs.Source``
makes clients draw the lines with ``>>>`` before them.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pierhead.build.dockerfile.model import Range, SourceText
SOURCE_URL: Final = "github.com/moby/buildkit/errdefs.Source+json"

Detail = tuple[str, bytes]
"""Type URL and value."""


def details_of(location: Range | None, source: SourceText | None) -> list[Detail]:
    """Where the fault is, if that is known."""
    if location is None or source is None:
        return []
    lines = source.lines(location.file)
    info: dict[str, Any] = {
        "filename": location.file or source.name,
        "data": base64.b64encode("\n".join(lines).encode()).decode(),
        "language": "Dockerfile",
    }
    ranges = [{"start": {"line": location.first}, "end": {"line": location.last}}]
    value = json.dumps({"info": info, "ranges": ranges}, separators=(",", ":"))
    return [(SOURCE_URL, value.encode())]
