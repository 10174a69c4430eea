"""``pier image diff``: what two images don't share."""

from __future__ import annotations

from pierhead.cli.flags import Command
from pierhead.cli.image.report import FORMAT_FLAG, show_report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pierhead.cli.flags import Options
    from pierhead.cli.main import Cli

_SECTIONS = ("config", "layers", "packages", "files")


def _section(text: str) -> str:
    names = text.split(",")
    for name in names:
        if name not in _SECTIONS:
            raise ValueError(f"must be of {', '.join(_SECTIONS)}")
    return text


def diff(cli: Cli, options: Options, args: list[str]) -> int:
    """GET /pierhead/images/diff."""
    chosen = options.string("only")
    sections = chosen.split(",") if chosen else list(_SECTIONS)
    query: dict[str, Any] = {
        "a": args[0],
        "b": args[1],
        "platform": options.string("platform") or None,
        "path": options.string("path") or None,
        "files": None if "files" in sections else False,
        "packages": None if "packages" in sections else False,
        "times": True if options.flag("times") else None,
        "content": False if options.flag("fast") else None,
    }

    def draw(report: Any) -> str:
        from pierhead.cli.format.image_diff import diff_text

        return diff_text(
            report, sections, every=options.flag("all"), trunc=not options.flag("no-trunc")
        )

    source = options.string("format")
    report = show_report(cli, "/pierhead/images/diff", query, source, draw)
    if not options.flag("exit-code"):
        return 0
    if report is None:  # printed as it came
        report = cli.client.get("/pierhead/images/diff", query)
    from pierhead.cli.format.image_diff import differs

    return 1 if differs(report) else 0


DIFF = Command(
    "[OPTIONS] IMAGE IMAGE",
    diff,
    (
        ("all", "a", "bool", False, "List what is in added and removed directories, too"),
        ("exit-code", "", "bool", False, "Exit with 1 if the images differ"),
        ("fast", "", "bool", False, "Take files of equal size and time for equal, unread"),
        FORMAT_FLAG,
        ("no-trunc", "", "bool", False, "Print commands and values in full length"),
        ("only", "", "string", "", "Compare only these: config,layers,packages,files", _section),
        ("path", "", "string", "", "Compare files at and below this path only"),
        ("platform", "", "string", "", "Compare this platform, os[/arch[/variant]]"),
        ("times", "", "bool", False, "Count another modification time as a change"),
    ),
    args=(2, 2),
    long=(
        "Show how two images differ: configuration, layers, packages (dpkg, apk, pip, npm) and\n"
        "files. A stands for added, C for changed and D for removed, as in pier diff."
    ),
)
