"""``pier image explore``: what is in an image's layers, and what of it is wasted."""

from __future__ import annotations

from pierhead.cli.errors import CliError
from pierhead.cli.flags import Command
from pierhead.cli.image.report import FORMAT_FLAG, show_report
from pierhead.client.http import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli


def _ratio(text: str) -> float:
    """``0.95`` or ``95%``. Raises ValueError."""
    number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    if not 0 <= number <= 1:
        raise ValueError("must be between 0 and 1, or a percentage")
    return number


def explore(cli: Cli, options: Options, args: list[str]) -> int:
    """GET /pierhead/images/{name}/explore."""
    layer = options.integer("layer") if options.changed("layer") else None
    listing = options.flag("files") or layer is not None
    query: dict[str, Any] = {
        "platform": options.string("platform") or None,
        "files": True if listing else None,
        "layer": layer,
        "path": options.string("path") or None,
        "limit": options.integer("limit"),
    }
    checked: list[str] = []

    def draw(report: Any) -> str:
        from pierhead.cli.format.explore import explore_text

        return explore_text(report, trunc=not options.flag("no-trunc"), listing=listing)

    path = f"/pierhead/images/{quote(args[0], '/')}/explore"
    source = options.string("format")
    if not options.changed("min-efficiency") and not options.changed("max-wasted"):
        show_report(cli, path, query, source, draw)
        return 0
    if source in ("", "table"):
        report = show_report(cli, path, query, source, draw)
    else:
        show_report(cli, path, query, source, draw)
        report = cli.client.get(path, {"platform": query["platform"], "limit": 0})
    _check(options, report, checked)
    if checked:
        raise CliError("\n".join(checked))
    return 0


def _check(options: Options, report: Any, failed: list[str]) -> None:
    """The limits that a build pipeline sets."""
    from pierhead.cli.format.entries import percent
    from pierhead.cli.format.units import human_size

    if options.changed("min-efficiency"):
        least = options["min-efficiency"]
        if report["Efficiency"] < least:
            failed.append(
                f"efficiency is {percent(report['Efficiency'])}, less than {percent(least)}"
            )
    if options.changed("max-wasted") and report["WastedSize"] > options.integer("max-wasted"):
        most = human_size(options.integer("max-wasted"), 3)
        failed.append(f"{human_size(report['WastedSize'], 3)} are wasted, more than {most}")


EXPLORE = Command(
    "[OPTIONS] IMAGE",
    explore,
    (
        ("files", "", "bool", False, "List the files of every layer"),
        FORMAT_FLAG,
        ("layer", "l", "int", 0, "List the files of this layer, the lowest is 0"),
        ("limit", "n", "int", 20, "Most wasted paths and large files to show"),
        ("max-wasted", "", "bytes", 0, "Fail if more is wasted, as 20m"),
        ("min-efficiency", "", "string", "", "Fail if it is less, as 0.95 or 95%", _ratio),
        ("no-trunc", "", "bool", False, "Print commands in full length"),
        ("path", "", "string", "", "List files at and below this path only"),
        ("platform", "", "string", "", "Look at this platform, os[/arch[/variant]]"),
    ),
    args=(1, 1),
    long=(
        "Show the layers of an image, what each adds, changes and removes, the space that files\n"
        "take which a container never sees, and the largest files. Nothing is unpacked."
    ),
)
