"""``pier history``: the steps an image was made of."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.format.clock import rfc3339_local, since
from pierhead.cli.format.listing import Row, write_list
from pierhead.cli.format.units import ellipsis, human_duration, human_size, truncate_id
from pierhead.cli.image.platform import checked_platform
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

#: Times up to 2000-01-01 are made up and not shown as an age.
_EPOCH = 946684800
_HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


class HistoryRow(Row):
    """An element of ``GET /images/{name}/history``."""

    GO_TYPE = "*image.historyContext"

    def __init__(self, step: dict[str, Any], *, trunc: bool, human: bool) -> None:
        self._step = step
        self._trunc = trunc
        self._human = human

    def ID(self) -> str:
        identifier = str(self._step.get("Id") or "")
        return truncate_id(identifier) if self._trunc else identifier

    def CreatedAt(self) -> str:
        return rfc3339_local(int(self._step.get("Created") or 0))

    def CreatedSince(self) -> str:
        created = int(self._step.get("Created") or 0)
        if not self._human:
            return self.CreatedAt()
        return "N/A" if created <= _EPOCH else human_duration(since(created)) + " ago"

    def CreatedBy(self) -> str:
        command = str(self._step.get("CreatedBy") or "").replace("\t", " ")
        return ellipsis(command, 45) if self._trunc else command

    def Size(self) -> str:
        size = int(self._step.get("Size") or 0)
        return human_size(size, 3) if self._human else str(size)

    def Comment(self) -> str:
        return str(self._step.get("Comment") or "")


def history(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /images/{name}/history."""
    human = options.flag("human")
    query = {
        "platform": checked_platform(
            cli, options.string("platform"), "1.48", prefix="invalid platform: "
        )
    }
    steps = cli.client.get(f"/images/{quote(args[0])}/history", query) or []
    source = options.string("format") or "table"
    if source == "table":
        created = "CreatedSince" if human else "CreatedAt"
        source = (
            "table {{.ID}}\t{{.%s}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}" % created  # noqa: UP031
        )
        if options.flag("quiet"):
            source = "{{.ID}}"
    rows = [HistoryRow(step, trunc=not options.flag("no-trunc"), human=human) for step in steps]
    write_list(cli, source, rows, _HEADERS)


HISTORY = Command(
    "[OPTIONS] IMAGE",
    history,
    (
        ("format", "", "string", "", "Print with 'table', 'json', or a Go template"),
        ("human", "H", "bool", True, "Print sizes and times for people"),
        ("no-trunc", "", "bool", False, "Print ids and commands in full length"),
        ("platform", "", "string", "", "History of this platform, os[/arch[/variant]]"),
        ("quiet", "q", "bool", False, "Print ids only"),
    ),
    args=(1, 1),
)
