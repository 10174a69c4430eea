"""Which attestations an image gets, as in-toto statements whose subjects come later."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pierhead.build.export.model import Assembled, Solved

if TYPE_CHECKING:
    from pierhead.build.files.service import FileService


@dataclass(slots=True)
class Attester:
    files: FileService

    async def statements(
        self, solved: Solved, image: Assembled, *, explicit: bool, now_ns: int
    ) -> list[dict[str, Any]]:
        """Provenance and SBOM, as far as they were asked for.

        Not ``explicit``: the output makes no manifest by itself, and attributes with
        ``inline-only`` don't make it do so.
        """
        found: list[dict[str, Any]] = []
        options = solved.options
        if options.sbom is not None and (explicit or not _inline_only(options.sbom)):
            from pierhead.build.export.sbom import statement as sbom

            top = image.chains[-1] if image.chains else None
            async with self.files.view(top) as path:
                found.append(await sbom(path, image, solved, now_ns=now_ns))
        if options.provenance is not None and (explicit or not _inline_only(options.provenance)):
            from pierhead.build.export.provenance import statement

            found.append(statement(solved, image, options.provenance))
        return found


def _inline_only(attributes: Any) -> bool:
    return str(attributes.get("inline-only", "")).lower() in ("true", "1")
