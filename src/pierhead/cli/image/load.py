"""``pier load``: read images from a tar archive."""

from __future__ import annotations

import posix

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.format.progress import show
from pierhead.cli.image.platform import checked_platform
from pierhead.cli.image.source import blocks, open_archive

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def load(cli: Cli, options: Options, args: list[str]) -> None:
    """POST /images/load."""
    path = options.string("input")
    if path:
        fd = open_archive(path)
    elif posix.isatty(0):
        raise CliError("requested load from stdin, but stdin is empty")
    else:
        fd = 0
    query = {
        "quiet": bool(options.flag("quiet") or not posix.isatty(1)),
        "platform": [
            checked_platform(cli, text, "1.48", prefix="invalid platform: ")
            for text in options.strings("platform")
        ]
        or None,
    }
    response = cli.client.request("POST", "/images/load", query, blocks(fd))
    if "json" in response.headers.get("content-type", ""):
        show(cli, response.objects())
        return
    for data in response.chunks():
        cli.out_bytes(data)


LOAD = Command(
    "[OPTIONS]",
    load,
    (
        ("input", "i", "string", "", "Read from this file instead of stdin"),
        ("platform", "", "stringSlice", None, "Load only these platforms, os[/arch[/variant]]"),
        ("quiet", "q", "bool", False, "Do not show progress"),
    ),
    args=(0, 0),
)
