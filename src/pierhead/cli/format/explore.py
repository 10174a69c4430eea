"""The text of ``pier image explore``: layers, wasted space, the largest files."""

from __future__ import annotations

from pierhead.cli.format.clock import parse_rfc3339, since
from pierhead.cli.format.entries import count, entry_line, percent, printable
from pierhead.cli.format.tabwriter import tabwriter
from pierhead.cli.format.units import ellipsis, human_duration, human_size, truncate_id

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    Report = Mapping[str, Any]

#: Commands are cut to this many columns unless asked not to.
_COMMAND_WIDTH = 60


def size_text(size: Any) -> str:
    """Bytes with three digits."""
    return human_size(int(size), 3)


def title(report: Report) -> str:
    """``big:one  1231f91f5a85  linux/amd64  10 months ago``."""
    names = report.get("RepoTags") or report.get("RepoDigests") or []
    parts = [", ".join(names), truncate_id(str(report["Id"])), str(report["Platform"])]
    try:
        seconds, _ = parse_rfc3339(str(report["Created"]))
    except ValueError:
        seconds = 0
    if seconds > 0:
        parts.append(human_duration(since(seconds)) + " ago")
    return "  ".join(part for part in parts if part)


def layer_range(numbers: list[int]) -> str:
    """``0-2,5``."""
    out: list[str] = []
    start = at = 0
    while start < len(numbers):
        at = start
        while at + 1 < len(numbers) and numbers[at + 1] == numbers[at] + 1:
            at += 1
        out.append(str(numbers[start]) + (f"-{numbers[at]}" if at > start else ""))
        start = at + 1
    return ",".join(out)


def explore_text(report: Report, *, trunc: bool = True, listing: bool = False) -> str:
    """All of it; ``listing`` prints the layers' entries instead of the sums."""
    layers = report["Layers"]
    out = [
        title(report),
        "\n\n",
        f"{size_text(report['Size'])} in {count(len(layers), 'layer')}, of which a container sees "
        f"{size_text(report['VisibleSize'])} in {count(report['Files'], 'file')} and "
        f"{count(report['Directories'], 'directory', 'directories')}\n",
        f"{size_text(report['WastedSize'])} wasted in {count(report['WastedPaths'], 'path')}, "
        f"efficiency {percent(report['Efficiency'])}\n",
    ]
    if listing:
        for layer in layers:
            if "Entries" in layer:
                out.append(f"\nLayer {layer['Index']}: {_command(layer, trunc)}\n")
                out += map(entry_line, layer["Entries"])
        return "".join(out)
    if layers:
        out += ("\n", _layers(layers, trunc))
    if report["Wasted"]:
        out += ("\n", _wasted(report))
    if report["Largest"]:
        out += ("\n", _largest(report))
    return "".join(out)


def _command(layer: Report, trunc: bool) -> str:
    text = printable(" ".join(str(layer.get("CreatedBy") or layer.get("Comment") or "").split()))
    text = text.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").strip() or "-"
    return ellipsis(text, _COMMAND_WIDTH) if trunc else text


def _layers(layers: list[Report], trunc: bool) -> str:
    lines = ["LAYER\tSIZE\tFILES\tADDED\tCHANGED\tREMOVED\tWASTED\tCREATED BY"]
    for layer in layers:
        lines.append(
            f"{layer['Index']}\t{size_text(layer['Size'])}\t{layer['Files']}\t{layer['Added']}\t"
            f"{layer['Changed']}\t{layer['Removed']}\t{size_text(layer['WastedSize'])}\t"
            + _command(layer, trunc)
        )
    return tabwriter("\n".join(lines) + "\n")


_REASONS = {"metadata": "only mode or owner changed"}


def _wasted(report: Report) -> str:
    lines = ["WASTED\tFILES\tIN LAYER\tBY LAYER\tREASON\tPATH"]
    for item in report["Wasted"]:
        reason = str(item["Reason"])
        lines.append(
            f"{size_text(item['Size'])}\t{item['Files']}\t{layer_range(item['Layers'])}\t"
            f"{layer_range(item['HiddenBy'])}\t{_REASONS.get(reason, reason)}\t"
            + printable(str(item["Path"]))
        )
    more = report["WastedPaths"] - len(report["Wasted"])
    text = tabwriter("\n".join(lines) + "\n")
    return text + (f"and {count(more, 'more path')}\n" if more > 0 else "")


def _largest(report: Report) -> str:
    lines = ["LARGEST\tLAYER\tPATH"]
    for item in report["Largest"]:
        lines.append(f"{size_text(item['Size'])}\t{item['Layer']}\t{printable(str(item['Path']))}")
    return tabwriter("\n".join(lines) + "\n")
