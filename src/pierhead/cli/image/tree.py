"""``pier image tree``: the files of an image with sizes, or all images by shared layers."""

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

_FILES_ONLY = ("depth", "directories", "min-size", "platform", "sort")


def _order(text: str) -> str:
    if text not in ("name", "size"):
        raise ValueError("must be name or size")
    return text


def tree(cli: Cli, options: Options, args: list[str]) -> None:
    """GET /pierhead/images/tree, or /pierhead/images/{name}/explore?tree=1."""
    source = options.string("format")
    if not args:
        for name in _FILES_ONLY:
            if options.changed(name):
                raise CliError(f"--{name} needs an image to show the files of")

        def draw_images(report: Any) -> str:
            from pierhead.cli.format.file_tree import image_tree_text

            return image_tree_text(report or [], trunc=not options.flag("no-trunc"))

        show_report(cli, "/pierhead/images/tree", {}, source, draw_images)
        return
    depth = options.integer("depth")
    query: dict[str, Any] = {
        "tree": True,
        "limit": 0,
        "platform": options.string("platform") or None,
        "path": args[1] if len(args) > 1 else None,
        "depth": depth if depth >= 0 else None,
    }

    def draw(report: Any) -> str:
        from pierhead.cli.format.file_tree import file_tree_text

        return file_tree_text(
            report["Tree"],
            by_size=options.string("sort") == "size",
            directories=options.flag("directories"),
            least=options.integer("min-size"),
        )

    show_report(cli, f"/pierhead/images/{quote(args[0], '/')}/explore", query, source, draw)


TREE = Command(
    "[OPTIONS] [IMAGE [PATH]]",
    tree,
    (
        ("depth", "L", "int", 2, "Levels to show, -1 for all"),
        ("directories", "d", "bool", False, "Show directories only"),
        FORMAT_FLAG,
        ("min-size", "", "bytes", 0, "Leave out what is smaller, as 1m"),
        ("no-trunc", "", "bool", False, "Print ids in full length"),
        ("platform", "", "string", "", "Look at this platform, os[/arch[/variant]]"),
        ("sort", "", "string", "name", "Order by name or size", _order),
    ),
    args=(0, 2),
    long=(
        "Show the files of an image as a tree, with sizes and the layers they are from. Without\n"
        "an image show all images as a tree of the layers that they share."
    ),
)
