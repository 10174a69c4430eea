"""Rows of ``pier images``: one for each tag, as docker orders and names them."""

from __future__ import annotations

from pierhead.cli.format.clock import go_time_string, since
from pierhead.cli.format.listing import Row
from pierhead.cli.format.references import parse
from pierhead.cli.format.units import human_duration, human_size, truncate_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

TABLE = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
TABLE_WITH_DIGEST = (
    "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
)
_RAW = """repository: {{.Repository}}
tag: {{.Tag}}
%simage_id: {{.ID}}
created_at: {{.CreatedAt}}
virtual_size: {{.Size}}
"""

HEADERS = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}


def image_format(source: str, *, quiet: bool, digest: bool) -> str:
    """The template for ``--format source``; ``quiet`` counts for the named ones only."""
    if source == "table":
        if quiet:
            return "{{.ID}}"
        return TABLE_WITH_DIGEST if digest else TABLE
    if source == "raw":
        if quiet:
            return "image_id: {{.ID}}"
        return _RAW % ("digest: {{.Digest}}\n" if digest else "")
    if source.startswith("table") and digest and "{{.Digest}}" not in source:
        return source + "\t{{.Digest}}"
    return source


class ImageRow(Row):
    """An element of ``GET /images/json`` under one of its names."""

    GO_TYPE = "*formatter.imageContext"

    def __init__(
        self, summary: dict[str, Any], repository: str, tag: str, digest: str, *, trunc: bool
    ) -> None:
        self._summary = summary
        self._repository = repository
        self._tag = tag
        self._digest = digest
        self._trunc = trunc

    def _number(self, name: str) -> int:
        return int(self._summary.get(name) or 0)

    def ID(self) -> str:
        identifier = str(self._summary.get("Id") or "")
        return truncate_id(identifier) if self._trunc else identifier

    def Repository(self) -> str:
        return self._repository

    def Tag(self) -> str:
        return self._tag

    def Digest(self) -> str:
        return self._digest

    def CreatedSince(self) -> str:
        return human_duration(since(self._number("Created"))) + " ago"

    def CreatedAt(self) -> str:
        return go_time_string(self._number("Created"))

    def Size(self) -> str:
        return human_size(self._number("Size"), 3)

    def VirtualSize(self) -> str:
        return human_size(self._number("Size"))

    def Containers(self) -> str:
        count = self._number("Containers")
        return "N/A" if count == -1 else str(count)

    def SharedSize(self) -> str:
        shared = self._number("SharedSize")
        return "N/A" if shared == -1 else human_size(shared)

    def UniqueSize(self) -> str:
        size, shared = self._number("Size"), self._number("SharedSize")
        return "N/A" if -1 in (size, shared) else human_size(size - shared)


def is_dangling(summary: dict[str, Any]) -> bool:
    """An image without a name."""
    tags, digests = summary.get("RepoTags") or [], summary.get("RepoDigests") or []
    return (not tags and not digests) or (
        tags == ["<none>:<none>"] and digests == ["<none>@<none>"]
    )


def image_rows(
    summaries: Iterable[dict[str, Any]], *, trunc: bool, digest: bool, source: str = ""
) -> list[ImageRow]:
    """A row for each name; ``digest`` shows digests, and a row for each."""
    rows: list[ImageRow] = []
    for summary in summaries:
        if is_dangling(summary):
            rows.append(ImageRow(summary, "<none>", "<none>", "<none>", trunc=trunc))
        else:
            rows += _named(summary, trunc, digest, digest or "{{.Digest}}" in source)
    return rows


def _named(summary: dict[str, Any], trunc: bool, digest: bool, needed: bool) -> list[ImageRow]:
    tags: dict[str, list[str]] = {}
    digests: dict[str, list[str]] = {}
    for kind, texts, attribute in (
        (tags, summary.get("RepoTags"), "tag"),
        (digests, summary.get("RepoDigests"), "digest"),
    ):
        for text in texts or ():
            try:
                reference = parse(text)
            except ValueError:
                continue
            value = getattr(reference, attribute)
            if value:
                kind.setdefault(reference.familiar_name, []).append(value)
    rows = []
    for repository, names in tags.items():
        known = digests.pop(repository, [])
        for tag in names:
            for one in (known if needed else []) or ["<none>"]:
                rows.append(ImageRow(summary, repository, tag, one, trunc=trunc))
    for repository, known in digests.items():
        for one in known if digest else [""]:
            rows.append(ImageRow(summary, repository, "<none>", one, trunc=trunc))
    return rows
