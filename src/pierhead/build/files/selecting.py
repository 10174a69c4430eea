"""What COPY's sources mean in a tree, counted and digested."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from pierhead.build.files.held import Held
from pierhead.build.files.layers import Layers
from pierhead.build.files.model import CopyRequest, Selection, Source
from pierhead.errors import InvalidParameter
from pierhead.oci.digest import PREFIX, ChainId, Digest

_REMEMBERED: Final = 2000


class Selector:
    """Remembers what it found in chains: they never change."""

    def __init__(self, layers: Layers) -> None:
        self._layers = layers
        self._found: dict[tuple[ChainId | None, str], dict[str, Any]] = {}

    async def in_held(self, source: Source, held: Held, request: CopyRequest) -> Selection:
        """See ``FileService.select``."""
        sources = list(request.sources)
        if held.single:
            sources = [name.decode() for name in held.tree.names(b"")]
        parts = await held.collect(sources, request.parents, request.exclude)
        if request.classic and not parts:
            raise InvalidParameter("COPY failed: no source files were specified")
        digest, files, size = await held.digest(parts, keep_owner=request.keep_owner)
        found = {
            "digest": digest,
            "files": files,
            "bytes": size,
            "roots": len(parts),
            "is_dir": len(parts) == 1 and parts[0].is_dir,
        }
        return _selection(source, sources, found)

    async def in_chain(self, source: Source, request: CopyRequest) -> Selection:
        """See ``FileService.select``."""
        arguments = {
            "sources": list(request.sources),
            "parents": request.parents,
            "exclude": list(request.exclude),
            "keep_owner": request.keep_owner,
        }
        key = (source.chain_id, json.dumps(arguments))
        found = self._found.pop(key, None)
        if found is None:
            found = await self._layers.look(source.chain_id, "select", arguments)
        self._found[key] = found  # the last used is last
        while len(self._found) > _REMEMBERED:
            del self._found[next(iter(self._found))]
        return _selection(source, request.sources, found)


def _selection(source: Source, sources: Sequence[str], found: dict[str, Any]) -> Selection:
    return Selection(
        source=source,
        digest=Digest(PREFIX + found["digest"]),
        files=found["files"],
        size_bytes=found["bytes"],
        sources=list(sources),
        roots=found["roots"],
        is_dir=found["is_dir"],
    )
