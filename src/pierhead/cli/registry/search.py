"""``pier search``: have the daemon ask Docker Hub for images."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.format.filters import check_filter, parse_filters
from pierhead.cli.format.listing import Row, write_list
from pierhead.cli.format.units import ellipsis
from pierhead.cli.registry.ask import with_credentials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_TABLE = "table {{.Name}}\t{{.Description}}\t{{.StarCount}}\t{{.IsOfficial}}"
_AUTOMATED = (
    'WARNING: the "is-automated" filter is deprecated, and searching for "is-automated=true" '
    "will not yield any results in future.\n"
)
_HEADERS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
}


class SearchRow(Row):
    """An element of ``GET /images/search``."""

    GO_TYPE = "*registry.searchContext"

    def __init__(self, result: dict[str, Any], *, trunc: bool) -> None:
        self._result = result
        self._trunc = trunc
        self._json = False

    def go_json(self) -> dict[str, Any]:
        self._json = True
        return super().go_json()

    def Name(self) -> str:
        return str(self._result.get("name") or "")

    def Description(self) -> str:
        text = str(self._result.get("description") or "").replace("\n", " ").replace("\r", " ")
        return ellipsis(text, 45) if self._trunc else text

    def StarCount(self) -> str:
        return str(self._result.get("star_count") or 0)

    def IsOfficial(self) -> str:
        official = bool(self._result.get("is_official"))
        if self._json:
            return "true" if official else "false"
        return "[OK]" if official else ""


def search(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /images/search."""
    limit = options.integer("limit")
    query = {
        "term": args[0],
        "limit": limit if limit > 0 else None,
        "filters": parse_filters(options.strings("filter")),
    }
    domain = args[0].partition("/")[0] if "." in args[0].partition("/")[0] else "docker.io"
    if any(text.partition("=")[0] == "is-automated" for text in options.strings("filter")):
        cli.err(_AUTOMATED)
    results = with_credentials(
        cli,
        domain,
        "search",
        lambda headers: cli.client.request("GET", "/images/search", query, headers=headers),
    ).json()
    source = options.string("format")
    trunc = not options.flag("no-trunc")
    write_list(
        cli,
        _TABLE if source in ("", "table") else source,
        [SearchRow(result, trunc=trunc) for result in results or ()],
        _HEADERS,
    )


SEARCH = Command(
    "[OPTIONS] TERM",
    search,
    (
        ("filter", "f", "filter", None, "Show only what fits name=value", check_filter),
        ("format", "", "string", "", "Print with a Go template"),
        ("limit", "", "int", 0, "Most results to show"),
        ("no-trunc", "", "bool", False, "Print descriptions in full length"),
    ),
    args=(1, 1),
)
